"""The corpus of personal data and secrets, and how much of it redaction leaves (`tests/pii_corpus`)."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from untrace_pipeline.api import Finding, load_detector
from untrace_plugins.detectors.detector_set import DetectorSet
from untrace_plugins.detectors.names import resolve

CORPUS = Path(__file__).resolve().parents[1] / "pii_corpus"


def is_held_out(id: str) -> bool:
    """Whether a line is of the half that detectors were not tuned with."""
    return not hashlib.sha256(id.encode()).digest()[0] & 1


def lines() -> Iterator[dict[str, Any]]:
    """Yield the lines of the corpus."""
    with gzip.open(CORPUS / "dev.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def score(find: Callable[[str], list[Finding]], rows: list[dict[str, Any]], *tiers: str) -> dict[str, Any]:
    """Return what `score.py` says of redaction that replaces every finding by its type."""
    return score_texts({row["id"]: replaced(row["text"], find(row["text"])) for row in rows}, rows, *tiers)


def score_texts(texts: Mapping[str, str], rows: list[dict[str, Any]], *tiers: str) -> dict[str, Any]:
    """Return what `score.py` says of redacted texts, by the ids of their lines."""
    scorer: Any = _scorer().Score(set(tiers), set(), "")
    for row in rows:
        scorer.line(row, {"text": texts[row["id"]]})
    result: dict[str, Any] = scorer.result()
    return result


def replaced(text: str, findings: list[Finding]) -> str:
    """Return the text with each finding replaced by its type."""
    pieces, last = [], 0
    for finding in findings:
        pieces += [text[last : finding.start], f"<{finding.type}>"]
        last = finding.end
    return "".join([*pieces, text[last:]])


@cache
def all_detectors() -> DetectorSet:
    """Return the set of all detectors that come with the daemon."""
    return DetectorSet([load_detector(name) for name in resolve(["all"])])


def _scorer() -> Any:
    spec = importlib.util.spec_from_file_location("pii_corpus_score", CORPUS / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
