"""Editors that change what a metric is, or make new ones (transformprocessor/README.md, Metrics only functions).

They work on messages of OTLP: types and numbers of data points are no columns. Each is called with a metric and the
list of metrics that it stands in, at whose end new ones are put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from untrace_pipeline.conditions.expression import Expression
from untrace_pipeline.conditions.function import Function, fixed, fixed_texts
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.errors import ConditionError, EvaluationError
from untrace_pipeline.statements.aggregation import AGGREGATIONS, aggregate
from untrace_pipeline.statements.edit import Reshape
from untrace_pipeline.statements.scaling import SCALERS

__all__ = ["METRIC_EDITORS", "MetricEditor"]

_DELTA, _CUMULATIVE = 1, 2
_TEMPORALITIES = {"delta": _DELTA, "cumulative": _CUMULATIVE}

Given = Mapping[str, Any]
Build = Callable[[Given], Reshape]


class MetricEditor:
    """An editor of metrics: its parameters, and how a call becomes a change of shape."""

    def __init__(self, name: str, parameters: tuple[str, ...], build: Build) -> None:
        self.signature = Function(name, parameters, _no_value)
        self.build = build


def _no_value(scope: Scope, given: Any) -> Expression:
    raise ConditionError("an editor has no value")


def _kind(metric: Any) -> str:
    return metric.WhichOneof("data") or ""


def _points(metric: Any) -> Any:
    return getattr(metric, _kind(metric)).data_points


def _temporality(given: Given) -> int:
    text = fixed(given, "aggregation_temporality", str)
    if text not in _TEMPORALITIES:
        msg = f"aggregation_temporality is delta or cumulative, not {text!r}"
        raise ConditionError(msg)
    return _TEMPORALITIES[text]


# --------------------------------------------------------------------- types


def _convert_sum_to_gauge(given: Given) -> Reshape:
    def convert(metric: Any, beside: Any) -> None:
        if _kind(metric) == "sum":
            points = list(metric.sum.data_points)
            metric.gauge.SetInParent()
            metric.gauge.data_points.extend(points)

    return Reshape(convert)


def _convert_gauge_to_sum(given: Given) -> Reshape:
    temporality, monotonic = _temporality(given), fixed(given, "is_monotonic", bool)

    def convert(metric: Any, beside: Any) -> None:
        if _kind(metric) == "gauge":
            points = list(metric.gauge.data_points)
            metric.sum.aggregation_temporality = temporality
            metric.sum.is_monotonic = monotonic
            metric.sum.data_points.extend(points)

    return Reshape(convert)


# --------------------------------------------------------------- new metrics


def _derived(metric: Any, beside: Any, suffix: str, unit: str) -> Any:
    new = beside.add()
    new.name, new.description, new.unit = metric.name + suffix, metric.description, unit
    return new


def _extracted(metric: Any, beside: Any, name: str, monotonic: bool, suffix: str, temporality: int) -> None:
    """Put the counts or sums of the points of a metric beside it, as a sum; without any there is no new metric."""
    points = [point for point in _points(metric) if name == "count" or _has_sum(point)]
    if not points:
        return
    new = _derived(metric, beside, suffix, "1" if name == "count" else metric.unit)
    new.sum.aggregation_temporality = temporality
    new.sum.is_monotonic = monotonic
    for point in points:
        value = {"as_int": point.count} if name == "count" else {"as_double": point.sum}
        _copy_point(point, new.sum.data_points.add(**value))


def _has_sum(point: Any) -> bool:
    described = point.DESCRIPTOR.fields_by_name["sum"]
    return not described.has_presence or point.HasField("sum")


def _copy_point(source: Any, target: Any) -> None:
    target.attributes.extend(source.attributes)
    target.start_time_unix_nano = source.start_time_unix_nano
    target.time_unix_nano = source.time_unix_nano


def _extract(name: str) -> Build:
    """Return ``extract_sum_metric`` or ``extract_count_metric``."""

    def build(given: Given) -> Reshape:
        monotonic, suffix = fixed(given, "is_monotonic", bool), fixed(given, "suffix", str, f"_{name}")

        def extract(metric: Any, beside: Any) -> None:
            kind = _kind(metric)
            if kind not in {"histogram", "exponential_histogram", "summary"}:
                msg = f"a histogram or summary is needed, not a {kind or 'metric without a type'}"
                raise EvaluationError(msg)
            temporality = _CUMULATIVE if kind == "summary" else getattr(metric, kind).aggregation_temporality
            if not temporality:
                msg = "the histogram has no aggregation temporality"
                raise EvaluationError(msg)
            _extracted(metric, beside, name, monotonic, suffix, temporality)

        return Reshape(extract)

    return build


def _summary_value(name: str) -> Build:
    """Return ``convert_summary_sum_val_to_sum`` or ``convert_summary_count_val_to_sum``."""

    def build(given: Given) -> Reshape:
        temporality, monotonic = _temporality(given), fixed(given, "is_monotonic", bool)
        suffix = fixed(given, "suffix", str, f"_{name}")

        def convert(metric: Any, beside: Any) -> None:
            if _kind(metric) == "summary":
                unit = metric.unit
                _extracted(metric, beside, name, monotonic, suffix, temporality)
                beside[len(beside) - 1].unit = unit

        return Reshape(convert)

    return build


def _summary_quantiles(given: Given) -> Reshape:
    key, suffix = fixed(given, "attributeKey", str, "quantile"), fixed(given, "suffix", str, ".quantiles")

    def convert(metric: Any, beside: Any) -> None:
        if _kind(metric) != "summary":
            return
        new = _derived(metric, beside, suffix, metric.unit)
        new.gauge.SetInParent()
        for point in metric.summary.data_points:
            for quantile in point.quantile_values:
                target = new.gauge.data_points.add(as_double=quantile.value)
                _copy_point(point, target)
                kept = [attribute for attribute in target.attributes if attribute.key != key]
                del target.attributes[:]
                target.attributes.extend(kept)
                target.attributes.add(key=key).value.double_value = quantile.quantile

    return Reshape(convert)


def _copy_metric(given: Given) -> Reshape:
    names = [name for name in ("name", "description", "unit") if name in given]

    def copy(metric: Any, beside: Any, *values: Any) -> None:
        if not all(isinstance(value, str) for value in values):
            msg = "name, description and unit are strings"
            raise EvaluationError(msg)
        new = beside.add()
        new.CopyFrom(metric)
        for name, value in zip(names, values, strict=True):
            setattr(new, name, value)

    return Reshape(copy, tuple(given[name] for name in names))


# -------------------------------------------------------------------- numbers


def _scale_metric(given: Given) -> Reshape:
    given_factor = given["multiplier"].constant
    if not given_factor or type(given_factor[0]) not in {int, float}:
        msg = "multiplier must be a number written out"
        raise ConditionError(msg)
    multiplier = float(given_factor[0])

    def scale(metric: Any, beside: Any, *unit: Any) -> None:
        scaler = SCALERS.get(_kind(metric))
        if scaler is None:
            msg = f"a {_kind(metric) or 'metric without a type'} cannot be scaled"
            raise EvaluationError(msg)
        if unit and not isinstance(unit[0], str):
            msg = "a unit is a string"
            raise EvaluationError(msg)
        for point in _points(metric):
            scaler(point, multiplier)
        metric.unit = unit[0] if unit else metric.unit

    return Reshape(scale, (given["unit"],) if "unit" in given else ())


# ---------------------------------------------------------------- aggregation


def _aggregation(given: Given) -> str:
    name = fixed(given, "aggregation_function", str)
    if name not in AGGREGATIONS:
        msg = f"aggregation_function is one of {', '.join(AGGREGATIONS)}, not {name!r}"
        raise ConditionError(msg)
    return name


def _needs_points(metric: Any) -> None:
    if _kind(metric) in {"", "summary"}:
        msg = "a gauge, sum or histogram is needed"
        raise EvaluationError(msg)


def _aggregate_on_attributes(given: Given) -> Reshape:
    function = _aggregation(given)
    keys = frozenset(fixed_texts(given, "attributes")) if "attributes" in given else None

    def convert(metric: Any, beside: Any) -> None:
        _needs_points(metric)
        if keys is not None:
            for point in _points(metric):
                _keep(point.attributes, [one for one in point.attributes if one.key in keys])
        aggregate(metric, function)

    return Reshape(convert)


def _aggregate_on_attribute_value(given: Given) -> Reshape:
    function, values = _aggregation(given), frozenset(fixed_texts(given, "values"))
    key, new = fixed(given, "attribute", str), fixed(given, "newValue", str)

    def convert(metric: Any, beside: Any) -> None:
        _needs_points(metric)
        for point in _points(metric):
            for one in point.attributes:
                if one.key == key and one.value.string_value in values and one.value.HasField("string_value"):
                    one.value.string_value = new
        aggregate(metric, function)

    return Reshape(convert)


def _keep(attributes: Any, kept: Iterable[Any]) -> None:
    kept = list(kept)
    del attributes[:]
    attributes.extend(kept)


_TEMPORALITY, _MONOTONIC = "aggregation_temporality", "is_monotonic"
_EDITORS: dict[str, tuple[tuple[str, ...], Build]] = {
    "convert_sum_to_gauge": ((), _convert_sum_to_gauge),
    "convert_gauge_to_sum": ((_TEMPORALITY, _MONOTONIC), _convert_gauge_to_sum),
    "extract_sum_metric": ((_MONOTONIC, "suffix?"), _extract("sum")),
    "extract_count_metric": ((_MONOTONIC, "suffix?"), _extract("count")),
    "convert_summary_sum_val_to_sum": ((_TEMPORALITY, _MONOTONIC, "suffix?"), _summary_value("sum")),
    "convert_summary_count_val_to_sum": ((_TEMPORALITY, _MONOTONIC, "suffix?"), _summary_value("count")),
    "convert_summary_quantile_val_to_gauge": (("attributeKey?", "suffix?"), _summary_quantiles),
    "copy_metric": (("name?", "description?", "unit?"), _copy_metric),
    "scale_metric": (("multiplier", "unit?"), _scale_metric),
    "aggregate_on_attributes": (("aggregation_function", "attributes*?"), _aggregate_on_attributes),
    "aggregate_on_attribute_value": (
        ("aggregation_function", "attribute", "values*", "newValue"),
        _aggregate_on_attribute_value,
    ),
}

METRIC_EDITORS: dict[str, MetricEditor] = {
    name: MetricEditor(name, parameters, build) for name, (parameters, build) in _EDITORS.items()
}
"""All editors of whole metrics, by name."""
