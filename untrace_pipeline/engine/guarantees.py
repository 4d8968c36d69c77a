"""Where acknowledging data is worth less than its configuration seems to say.

A receiver whose sender does not wait loses what the pipelines refuse, and what is under way in a crash. That matters
where an exporter counts on being asked again, because it has no queue or answers after delivery, and where a queue on
disk was put behind it to lose nothing. A receiver whose source keeps everything, like Kafka, moves on when an exporter
has data in memory only, or a processor that holds it: then a crash loses what the source could have given again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from untrace_pipeline.api.acknowledgement import Acceptance, Keeps, Upstream
from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.config.diagnostics import Finding, Path, Severity
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.engine.graph import components_behind

__all__ = ["GUARANTEE_CODES", "find_gaps"]

GUARANTEE_CODES: Mapping[str, str] = {
    "unacknowledged-receiver": "the sender of a receiver does not wait, before an exporter that counts on it",
    "acknowledged-in-memory": "a receiver counts data as read that an exporter or processor has in memory only",
}
"""Codes of the findings made here; all are warnings."""

_COUNTS_ON_IT = {
    Acceptance.DELIVERED: "{} hands failures back to the sender",
    Acceptance.ON_DISK: "{} keeps its queue on disk",
}


def find_gaps(spec: ServiceSpec) -> Iterator[Finding]:
    """Yield a warning for each receiver, and for each exporter, that acknowledges less than one may think."""
    stored: dict[ComponentId, list[ComponentId]] = {}
    for receiver in [one for one in spec.components if one.kind is Kind.RECEIVER]:
        upstream = spec.components[receiver].config.upstream()
        accepting = {one: spec.components[one].config.acceptance() for one in components_behind(spec, receiver)}
        if upstream.keeps is Keeps.NOTHING:
            yield from _unacknowledged(receiver, upstream, accepting)
        elif upstream.keeps is Keeps.STORED:
            for holder in [one for one, where in accepting.items() if where is Acceptance.IN_MEMORY]:
                stored.setdefault(holder, []).append(receiver)
    for holder, receivers in stored.items():
        yield _in_memory(holder, receivers)


def _unacknowledged(
    receiver: ComponentId, upstream: Upstream, accepting: Mapping[ComponentId, Acceptance | None]
) -> Iterator[Finding]:
    words = ((one, _COUNTS_ON_IT.get(where) if where else None) for one, where in sorted(accepting.items()))
    counting = [text.format(f"exporter {one}") for one, text in words if text]
    if counting:
        where: Path = ("receivers", str(receiver), *(step for step in upstream.option.split(".") if step))
        message = f"{upstream.why}: what is refused or under way in a crash is lost, although {' and '.join(counting)}"
        yield Finding("unacknowledged-receiver", where, message, upstream.remedy, severity=Severity.WARNING)


def _in_memory(holder: ComponentId, receivers: list[ComponentId]) -> Finding:
    names = ", ".join(str(one) for one in receivers)
    if holder.kind is Kind.PROCESSOR:
        message = f"receiver {names} counts as read what waits here, in memory: a crash loses it"
        return Finding(
            "acknowledged-in-memory", ("processors", str(holder)), message, "a storage", severity=Severity.WARNING
        )
    message = f"receiver {names} counts as read what is in this queue, in memory: a crash loses it"
    expected = "a storage, wait_for_result: true, or enabled: false"
    where: Path = ("exporters", str(holder), "sending_queue")
    return Finding("acknowledged-in-memory", where, message, expected, severity=Severity.WARNING)
