"""Scores and feedback: log records as OTel GenAI has them, ``gen_ai.evaluation.result``.

An evaluation comes when its span is long gone, so it can be no event of the span; it names it by its ids.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from untrace_pipeline.data import Value
from untrace_pipeline.data.compose import NewLog, Scope, compose_logs
from untrace_plugins.genai import names

__all__ = ["compose_evaluations", "evaluation"]

_INFO = 9
"""Severity number of OTLP."""


def evaluation(
    name: str,
    score: object,
    *,
    explanation: str | None = None,
    when: int | None = None,
    trace_id: bytes = b"",
    span_id: bytes = b"",
    attributes: Mapping[str, Value] | None = None,
) -> NewLog:
    """Return an evaluation: ``score`` is a number, a boolean, or a text that is the label; ``when`` in nanoseconds."""
    found: dict[str, Value] = {names.EVALUATION_NAME: name}
    if isinstance(score, (bool, int, float)):
        found[names.EVALUATION_SCORE] = float(score)
    if isinstance(score, (bool, str)):
        found[names.EVALUATION_LABEL] = str(score).lower() if isinstance(score, bool) else score
    if explanation:
        found[names.EVALUATION_EXPLANATION] = explanation
    now = time.time_ns()
    return NewLog(
        time_unix_nano=when or now,
        body=None,
        attributes=found | dict(attributes or {}),
        severity_number=_INFO,
        observed_time_unix_nano=now,
        trace_id=trace_id,
        span_id=span_id,
        event_name="gen_ai.evaluation.result",
    )


def compose_evaluations(scope: Scope, evaluations: Iterable[NewLog]) -> bytes:
    """Return an OTLP request of them."""
    return compose_logs({}, scope, evaluations)
