"""Detectors of other packages, which may take long: they are waited for only so long."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue

from untrace_pipeline.api import Detector, Finding

__all__ = ["TimedDetector"]

_Answer = list[Finding] | Exception


class TimedDetector:
    """A detector that works in a thread of its own, from its first text until nobody has it any more.

    A thread cannot be stopped: as long as one that took too long has not come back, every further text fails at once.
    """

    def __init__(self, detector: Detector, timeout: float) -> None:
        self.name = detector.name
        self.prefilter: Sequence[str] = detector.prefilter
        self._detector = detector
        self._timeout = timeout
        self._tasks: SimpleQueue[str | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._started = False
        self._owed = 0  # answers that nobody waits for any more

    def find(self, text: str) -> Iterable[Finding]:
        """Return what the detector finds. Raises what it raises, ``TimeoutError``, and ``ValueError`` for nonsense."""
        self._start()
        try:
            while self._owed:
                self._answers.get_nowait()
                self._owed -= 1
        except Empty:
            raise TimeoutError from None
        self._tasks.put(text)
        try:
            answer = self._answers.get(timeout=self._timeout)
        except Empty:
            self._owed += 1
            raise TimeoutError from None
        if isinstance(answer, Exception):
            raise answer
        if any(not 0 <= finding.start < finding.end <= len(text) for finding in answer):
            raise ValueError("a finding that is not in the text")
        return answer

    def _start(self) -> None:
        if not self._started:
            self._started = True
            work = (self._detector, self._tasks, self._answers)
            threading.Thread(target=_work, args=work, name=f"detector {self._detector.name}", daemon=True).start()
            weakref.finalize(self, self._tasks.put, None)


def _work(detector: Detector, tasks: SimpleQueue[str | None], answers: SimpleQueue[_Answer]) -> None:
    while (text := tasks.get()) is not None:
        try:
            answers.put(list(detector.find(text)))
        except Exception as error:  # noqa: BLE001  it is raised where the answer is awaited
            answers.put(error)
