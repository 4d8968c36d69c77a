"""Multiplying the numbers of a data point, by the type of its metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from untrace_pipeline.errors import EvaluationError

__all__ = ["SCALERS"]


def _scale_number(point: Any, factor: float) -> None:
    if point.WhichOneof("value") == "as_int":
        scaled = point.as_int * factor
        if not abs(scaled) < float(1 << 63):
            msg = "a scaled number does not fit into 64 bits"
            raise EvaluationError(msg)
        point.as_int = int(scaled)
    elif point.WhichOneof("value"):
        point.as_double *= factor


def _scale_histogram(point: Any, factor: float) -> None:
    for name in ("sum", "min", "max"):
        if point.HasField(name):
            setattr(point, name, getattr(point, name) * factor)
    point.explicit_bounds[:] = [bound * factor for bound in point.explicit_bounds]
    for exemplar in point.exemplars:
        _scale_number(exemplar, factor)


def _scale_summary(point: Any, factor: float) -> None:
    point.sum *= factor
    for quantile in point.quantile_values:
        quantile.value *= factor


SCALERS: Mapping[str, Callable[[Any, float], None]] = {
    "gauge": _scale_number,
    "sum": _scale_number,
    "histogram": _scale_histogram,
    "summary": _scale_summary,
}
"""What multiplies a point, by the type of its metric; exponential histograms have no such thing."""
