"""Several detectors together: precedence, failures, engines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from tests.support.pii import all_detectors, lines
from untrace_pipeline.api import DETECTOR_GROUP, Detector, Finding, installed_detectors, load_detector
from untrace_plugins.detectors.custom import CustomDetector
from untrace_plugins.detectors.detector_set import DetectorSet
from untrace_plugins.detectors.names import GROUPS, resolve


class Broken:
    """A detector that fails."""

    name = "broken"
    prefilter: Sequence[str] = ("a",)

    def find(self, text: str) -> Iterable[Finding]:
        """Fail."""
        msg = f"no idea about {len(text)}"
        raise ValueError(msg)


def test_overlap_becomes_one_of_the_highest_rank() -> None:
    """Nothing of what two found stays, and the earlier detector gives the name."""
    detectors = [CustomDetector("second", "cde"), CustomDetector("first", "abc")]
    assert DetectorSet(detectors).find("xabcdex") == [Finding(1, 6, "SECOND", "second")]
    assert DetectorSet(detectors[::-1]).find("xabcdex") == [Finding(1, 6, "FIRST", "first")]


def test_neighbours_stay_apart_and_in_order() -> None:
    """What only touches is two findings, in order of the text."""
    detectors = [CustomDetector("b", "b+"), CustomDetector("a", "a+", type="LETTER")]
    assert DetectorSet(detectors).find("aab") == [Finding(0, 2, "LETTER", "a"), Finding(2, 3, "B", "b")]


def test_failure_is_told_and_the_others_go_on() -> None:
    """A detector that raises takes nothing from the others."""
    failed: list[tuple[str, str]] = []
    found = DetectorSet([Broken(), CustomDetector("a", "a")]).find(
        "xa", lambda *what: failed.append((what[0], str(what[1])))
    )
    assert found == [Finding(1, 2, "A", "a")]
    assert failed == [("broken", "no idea about 2")]


def test_failure_without_listener_goes_up() -> None:
    """Who does not listen gets the exception."""
    with pytest.raises(ValueError, match="no idea"):
        DetectorSet([Broken()]).find("a")


def test_detector_without_usable_prefilter_sees_every_text() -> None:
    """A pattern that cannot be scanned for means: look everywhere."""
    assert DetectorSet([CustomDetector("any", r"q*\bz?")]).find("qq") == [Finding(0, 2, "ANY", "any")]


def test_custom_pattern_with_groups() -> None:
    """The last group that takes part is what is found; nothing of no characters is."""
    detector = CustomDetector("staff", r"staff (?:id )?(\d+)|()x")
    assert [(one.start, one.end, one.type) for one in detector.find("staff id 77 x")] == [(9, 11, "STAFF")]


def test_custom_pattern_that_is_none() -> None:
    """RE2's reason is told."""
    with pytest.raises(ValueError, match="missing"):
        CustomDetector("bad", "(")


def test_without_hyperscan() -> None:
    """RE2 finds the same."""
    slow = DetectorSet([load_detector(name) for name in resolve(["all"])], use_hyperscan=False)
    rows = [row["text"] for row in lines() if len(row["text"]) < 2000][:200]
    assert [slow.find(text) for text in rows] == [all_detectors().find(text) for text in rows]


def test_lone_surrogates() -> None:
    """A text that has no UTF-8 is looked at like any other."""
    (finding,) = all_detectors().find("\ud800 jane@example.com \udfff")
    assert (finding.start, finding.end) == (2, 18)


def test_groups_are_installed() -> None:
    """Every name of a group is a detector, and each is in ``all``."""
    installed = set(installed_detectors())
    assert {name for names in GROUPS.values() for name in names} <= installed
    assert {name for name in installed if name in GROUPS["all"]} == set(GROUPS["all"])


def test_every_installed_detector_loads() -> None:
    """The name of the entry point is that of the detector."""
    for name in resolve(["all"]):
        assert isinstance(load_detector(name), Detector), f"{DETECTOR_GROUP}: {name}"


def test_resolve() -> None:
    """Groups and names mix, each detector comes once, and secrets have precedence."""
    assert resolve(["email", "secrets", "email"]) == (*GROUPS["secrets"], "email")
    with pytest.raises(ValueError, match=r"'emial' is no installed detector; did you mean email\?"):
        resolve(["emial"])
