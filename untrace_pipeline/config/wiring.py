"""Checks what ``service`` names: pipelines, extensions, and the ids in options of components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.config.diagnostics import Finding, Path
from untrace_pipeline.config.explain import suggest
from untrace_pipeline.config.model import PipelineSpec
from untrace_pipeline.config.nodes import List, Map, Scalar, find
from untrace_pipeline.data.signal import Signal

__all__ = ["Wiring"]

_LISTS: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.RECEIVER: (Kind.RECEIVER, Kind.CONNECTOR),
    Kind.PROCESSOR: (Kind.PROCESSOR,),
    Kind.EXPORTER: (Kind.EXPORTER, Kind.CONNECTOR),
    Kind.EXTENSION: (Kind.EXTENSION,),
}
"""The lists that name components, and the sections where each looks for them."""


class Wiring:
    """One run over the section ``service``; ``configured`` are all ids that have a section, right or wrong."""

    def __init__(self, service: Map | None, configured: Mapping[ComponentId, Path]) -> None:
        self._service = service
        self._configured = configured
        self.findings: list[Finding] = []
        self.pipelines: dict[PipelineId, PipelineSpec] = {}
        self.extensions: list[ComponentId] = []

    def run(self) -> None:
        """Read ``service.extensions`` and ``service.pipelines``."""
        self.extensions = self._ids(("extensions",), Kind.EXTENSION)
        found = self._service.entries.get("pipelines") if self._service else None
        pipelines = found[1] if found else None
        if isinstance(pipelines, Map) and pipelines.entries:
            for text in pipelines.entries:
                self._pipeline(text)
        elif pipelines is None or isinstance(pipelines, Map) or (isinstance(pipelines, Scalar) and not pipelines.value):
            self._report("no-pipelines", ("pipelines",), "service must have at least one pipeline")

    def references(self, configs: Mapping[ComponentId, ComponentConfig]) -> Iterator[Finding]:
        """Yield a finding for every extension in a component's options that does not run.

        The graph looks after the pipelines that connectors name.
        """
        for component, config in configs.items():
            for option, names in config.references().items():
                steps = tuple(int(step) if step.isdigit() else step for step in option.split("."))
                for name in names:
                    is_pipeline = component.kind is Kind.CONNECTOR and name.partition("/")[0] in set(Signal)
                    finding = None if is_pipeline else self._extension((*self._configured[component], *steps), name)
                    if finding is not None:
                        yield finding

    def _extension(self, path: Path, name: str) -> Finding | None:
        known = [str(one) for one in self._configured if one.kind is Kind.EXTENSION]
        if name in [str(one) for one in self.extensions]:
            return None
        if name in known:
            message = f"the extension {name} is not listed in service.extensions"
            return Finding("extension-not-enabled", path, message, f"service.extensions: [{name}, …]")
        names = ", ".join(known) or "none is configured"
        return Finding("unknown-extension", path, f"extension {name} is not configured", names, suggest(name, known))

    def _pipeline(self, text: str) -> None:
        path = ("pipelines", text)
        try:
            pipeline = PipelineId.parse(text)
        except ValueError as error:
            self._report("bad-pipeline-id", path, str(error), "traces, metrics, logs, or one of them with /name")
            return
        receivers, processors, exporters = (
            self._ids((*path, kind.value), kind) for kind in (Kind.RECEIVER, Kind.PROCESSOR, Kind.EXPORTER)
        )
        for kind in (Kind.RECEIVER, Kind.EXPORTER):
            if self._is_empty((*path, kind.value)):
                message = f"pipeline must have at least one {kind.singular}"
                self._report(f"no-{kind.value}", path, message, f"{kind.value}: [id, …]")
        self.pipelines[pipeline] = PipelineSpec(pipeline, tuple(receivers), tuple(processors), tuple(exporters))

    def _is_empty(self, path: Path) -> bool:
        assert self._service is not None
        _, node, taken = find(self._service, path)
        return (
            taken < len(path)
            or (isinstance(node, List) and not node.items)
            or (isinstance(node, Scalar) and node.value is None)
        )

    def _ids(self, path: Path, kind: Kind) -> list[ComponentId]:
        if self._service is None:
            return []
        _, node, taken = find(self._service, path)
        if taken < len(path) or not isinstance(node, List):
            return []
        ids: list[ComponentId] = []
        for number, item in enumerate(node.items):
            found = self._id(item.text, kind, (*path, number)) if isinstance(item, Scalar) else None
            if found in ids:
                self._report("duplicate-component", (*path, number), f"{found} is named twice in this list")
            elif found is not None:
                ids.append(found)
        return ids

    def _id(self, text: str, kind: Kind, path: Path) -> ComponentId | None:
        sections = _LISTS[kind]
        try:
            parsed = [ComponentId.parse(section, text) for section in sections]
        except ValueError as error:
            self._report("bad-id", path, str(error), "type or type/name")
            return None
        for candidate in parsed:
            if candidate in self._configured:
                return candidate
        elsewhere = [one.kind for one in self._configured if (one.type, one.name) == (parsed[0].type, parsed[0].name)]
        known = [str(one) for one in self._configured if one.kind in sections]
        if elsewhere:
            message = f"{parsed[0]} is configured under {elsewhere[0].value}, not under {kind.value}"
            self._report("wrong-section", path, message, ", ".join(known))
        else:
            code = "unknown-extension" if kind is Kind.EXTENSION else "unknown-component"
            message = f"{kind.singular} {parsed[0]} is not configured"
            self._report(code, path, message, ", ".join(known) or "none is configured", suggest(text, known))
        return None

    def _report(self, code: str, path: Path, message: str, expected: str = "", suggestion: str = "") -> None:
        self.findings.append(Finding(code, ("service", *path), message, expected, suggestion))
