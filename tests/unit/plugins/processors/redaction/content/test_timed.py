"""Detectors of other packages are waited for only so long."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from untrace_pipeline.api import Finding
from untrace_plugins.processors.redaction.content.timed import TimedDetector


class Held:
    """A detector that answers when it is let go."""

    name = "held"
    prefilter = ("x",)

    def __init__(self) -> None:
        self.go = threading.Event()
        self.answered = threading.Event()

    def find(self, text: str) -> Iterator[Finding]:
        self.go.wait(60)
        yield Finding(0, len(text), "X", self.name)
        self.answered.set()


class Wrong:
    name = "wrong"
    prefilter = ("x",)

    def find(self, text: str) -> Iterator[Finding]:
        if text == "raise":
            raise KeyError(text)
        yield Finding(0, len(text) + 1, "X", self.name)


def test_answers_come_through() -> None:
    """What the detector finds is found, what it raises is raised, and what is no place in the text is refused."""
    detector = Held()
    detector.go.set()
    timed = TimedDetector(detector, 60)
    assert (timed.name, list(timed.prefilter)) == ("held", ["x"])
    assert list(timed.find("abc")) == [Finding(0, 3, "X", "held")]
    wrong = TimedDetector(Wrong(), 60)
    with pytest.raises(KeyError):
        wrong.find("raise")
    with pytest.raises(ValueError, match="not in the text"):
        wrong.find("x")


def test_one_that_hangs_fails_until_it_is_back() -> None:
    """It is not asked twice meanwhile, and a late answer is never taken for that of another text."""
    detector = Held()
    timed = TimedDetector(detector, 0.001)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            timed.find("first")
    detector.go.set()
    assert detector.answered.wait(60)
    timed._timeout = 60
    while True:  # the answer of the thread may still be on its way
        try:
            found = list(timed.find("ab"))
        except TimeoutError:
            continue
        break
    assert found == [Finding(0, 2, "X", "held")]


def test_the_thread_ends_with_the_detector() -> None:
    """Nothing is left of a detector that nobody has any more, as after a reload."""
    detector = Held()
    detector.name = "last"
    detector.go.set()
    timed = TimedDetector(detector, 60)
    timed.find("x")
    (thread,) = [one for one in threading.enumerate() if one.name == "detector last"]
    gone = weakref.ref(timed)
    del timed
    gc.collect()
    assert gone() is None
    thread.join(60)
    assert not thread.is_alive()
