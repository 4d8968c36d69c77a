"""Asks components what they think of their options, once they and all that is around them are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.api.factory import passes_on
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.config.diagnostics import Finding, Path, Severity
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.config.option_files import place_of, read_options, steps_of

__all__ = ["review"]

M = TypeVar("M", bound=ConfigModel)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    outputs: Collection[PipelineId]
    processors: Collection[str]

    def read(self, path: str, model: type[M]) -> M:
        return read_options(path, model)

    def place(self, path: str, option: str) -> str:
        return place_of(path, option)


def review(spec: ServiceSpec, configured: Mapping[ComponentId, Path]) -> Iterator[Finding]:
    """Yield what components remark."""
    found = spec.components.values()
    processors = [str(one.id) for one in found if one.id.kind is Kind.PROCESSOR and passes_on(one.factory)]
    for component in spec.components.values():
        outputs = [one.id for one in spec.pipelines.values() if component.id in one.receivers]
        for remark in component.config.review(_Surroundings(outputs, processors)):
            steps = steps_of(remark.option)
            code, severity = ("bad-value", Severity.ERROR) if remark.fatal else ("doubtful-option", Severity.WARNING)
            yield Finding(code, (*configured[component.id], *steps), remark.message, remark.expected, severity=severity)
