"""What several processes count, as if one had counted it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from untrace_pipeline.api.telemetry import Aggregation, MetricKind, MetricSpec
from untrace_pipeline.telemetry.metrics import Sample, Snapshot

__all__ = ["merge", "totals"]

logger = logging.getLogger(__name__)


def merge(own: Snapshot, others: Iterable[Snapshot]) -> Snapshot:
    """Return one snapshot of this process and of others, in the order of first appearance.

    Values of equal labels become one as the metric's ``aggregation`` says. A metric that another process declares
    differently, which a package that was exchanged under running processes can bring about, is left out there.
    """
    families: dict[str, tuple[MetricSpec, dict[tuple[str, ...], Sample]]] = {}
    for number, snapshot in enumerate((own, *others)):
        for spec, samples in snapshot:
            if number and spec.aggregation is Aggregation.OWN:
                continue
            known, merged = families.setdefault(spec.name, (spec, {}))
            if known == spec:
                _add(merged, samples, _RULES[spec.aggregation])
            else:
                logger.warning("metric %s is declared differently by a worker, which is not counted in it", spec.name)
    return [(spec, list(merged.values())) for spec, merged in families.values()]


def totals(snapshot: Snapshot) -> Snapshot:
    """Return what remains true when the process that counted it has ended: what is counted, and added up."""
    return [
        (spec, samples)
        for spec, samples in snapshot
        if spec.aggregation is Aggregation.SUM and spec.kind is not MetricKind.GAUGE
    ]


def _add(
    merged: dict[tuple[str, ...], Sample], samples: Sequence[Sample], rule: Callable[[float, float], float]
) -> None:
    for sample in samples:
        known = merged.get(sample.labels)
        merged[sample.labels] = sample if known is None else _both(known, sample, rule)


def _both(one: Sample, other: Sample, rule: Callable[[float, float], float]) -> Sample:
    counts = tuple([a + b for a, b in zip(one.counts, other.counts, strict=True)])
    return replace(one, value=rule(one.value, other.value), counts=counts)


def _sum(one: float, other: float) -> float:
    return one + other


_RULES: Mapping[Aggregation, Callable[[float, float], float]] = {
    Aggregation.SUM: _sum,
    Aggregation.MAX: max,
    Aggregation.MIN: min,
    Aggregation.OWN: max,
}
