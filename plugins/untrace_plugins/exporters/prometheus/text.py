"""The page as text: Prometheus' format 0.0.4, and OpenMetrics 1.0."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from untrace_plugins.exporters.prometheus.escaping import escape, is_legacy
from untrace_plugins.exporters.prometheus.negotiation import Form, Wish
from untrace_plugins.exporters.prometheus.store import Family
from untrace_plugins.prometheus.labels import Labels
from untrace_plugins.prometheus.points import (
    Exemplar,
    Histogram,
    NativeHistogram,
    Number,
    Point,
    Summary,
)

__all__ = ["render_text"]

_EXPONENT_BELOW, _EXPONENT_FROM = 1e-4, 1e21
_LONGEST_EXEMPLAR = 128
"""Characters of an exemplar's labels (OpenMetrics, "Exemplars")."""


def render_text(families: Iterable[Family], wish: Wish, *, timestamps: bool) -> bytes:
    """Return the whole page."""
    writer = _Writer(wish, timestamps=timestamps)
    lines = [line for family in families for line in writer.family(family)]
    if wish.form is Form.OPENMETRICS:
        lines.append("# EOF")
    return "".join([f"{line}\n" for line in lines]).encode()


class _Writer:
    """Writes families in one form."""

    def __init__(self, wish: Wish, *, timestamps: bool) -> None:
        self._open = wish.form is Form.OPENMETRICS
        self._escaping = wish.escaping
        self._timestamps = timestamps

    def family(self, family: Family) -> Iterator[str]:
        """Yield the lines of a family."""
        name = escape(family.name, self._escaping)
        counts = family.type == "counter"
        shown, type_ = name, "untyped" if family.type == "unknown" else family.type
        if self._open:
            type_ = family.type
            if counts and name.endswith("_total"):
                shown = name.removesuffix("_total")
            elif counts:
                type_ = "unknown"
        quoted = shown if is_legacy(shown) else f'"{_quoted(shown)}"'
        yield f"# HELP {quoted} {_help(family.help, quotes=self._open)}"
        yield f"# TYPE {quoted} {type_}"
        for labels, sample in sorted(family.series.items()):
            yield from self._series(name, self._labels(labels), sample.point, exemplars=counts)

    def _series(self, name: str, labels: str, point: Point, *, exemplars: bool) -> Iterator[str]:
        end = self._end(point)
        match point:
            case Number():
                last = point.exemplars[-1] if exemplars and point.exemplars else None
                yield self._line(name, labels, self._float(point.value), end, last)
            case Histogram():
                yield from self._buckets(name, labels, point, end)
            case NativeHistogram():
                yield self._line(f"{name}_bucket", _and(labels, 'le="+Inf"'), str(point.count), end)
                yield from self._sum_and_count(name, labels, point.sum, point.count, end)
            case Summary():
                for quantile, value in point.quantiles:
                    text = self._float(quantile)
                    yield self._line(name, _and(labels, f'quantile="{text}"'), self._float(value), end)
                yield from self._sum_and_count(name, labels, point.sum, point.count, end)

    def _buckets(self, name: str, labels: str, point: Histogram, end: str) -> Iterator[str]:
        by_bucket = {bisect_left(point.bounds, one.value): one for one in point.exemplars}
        bounds = [*map(self._float, point.bounds), "+Inf"]
        counts = [*accumulate(point.counts[:-1]), point.count]
        for place, (bound, count) in enumerate(zip(bounds, counts, strict=True)):
            yield self._line(f"{name}_bucket", _and(labels, f'le="{bound}"'), str(count), end, by_bucket.get(place))
        yield from self._sum_and_count(name, labels, point.sum, point.count, end)

    def _sum_and_count(self, name: str, labels: str, sum_: float, count: int, end: str) -> Iterator[str]:
        yield self._line(f"{name}_sum", labels, self._float(sum_), end)
        yield self._line(f"{name}_count", labels, str(count), end)

    def _line(self, name: str, labels: str, value: str, end: str, exemplar: Exemplar | None = None) -> str:
        if not is_legacy(name):
            name, labels = "", ",".join(filter(None, (f'"{_quoted(name)}"', labels)))
        braces = f"{{{labels}}}" if labels else ""
        return f"{name}{braces} {value}{end}{self._exemplar(exemplar)}"

    def _labels(self, labels: Labels) -> str:
        return ",".join([f'{_label(escape(name, self._escaping))}="{_quoted(value)}"' for name, value in labels])

    def _end(self, point: Point) -> str:
        if not self._timestamps or not point.times.end:
            return ""
        return f" {point.times.end / 1e9!r}" if self._open else f" {point.times.end // 1_000_000}"

    def _exemplar(self, exemplar: Exemplar | None) -> str:
        if exemplar is None or not self._open:
            return ""
        if sum(len(name) + len(value) for name, value in exemplar.labels) > _LONGEST_EXEMPLAR:
            return ""
        labels = ",".join([f'{name}="{value}"' for name, value in exemplar.labels])
        return f" # {{{labels}}} {self._float(exemplar.value)} {exemplar.nanos / 1e9!r}"

    def _float(self, value: float) -> str:
        text = format_value(value)
        return f"{text}.0" if self._open and text.lstrip("-").isdigit() else text


def format_value(value: float) -> str:
    """Return a number as Go's ``%g`` writes it: ``1e+06``, ``+Inf``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent and (value == 0 or _EXPONENT_BELOW <= abs(value) < _EXPONENT_FROM):
        return mantissa.removesuffix(".0")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}" if exponent else repr(value)


def _and(labels: str, label: str) -> str:
    return f"{labels},{label}" if labels else label


def _label(name: str) -> str:
    return name if is_legacy(name) and ":" not in name else f'"{_quoted(name)}"'


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _help(text: str, *, quotes: bool) -> str:
    return _quoted(text) if quotes else text.replace("\\", r"\\").replace("\n", r"\n")
