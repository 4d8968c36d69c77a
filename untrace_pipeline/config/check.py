"""From the merged tree to the specification that the engine takes, with everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.api.factory import Factory
from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.config.diagnostics import Finding, Path, Severity
from untrace_pipeline.config.explain import suggest
from untrace_pipeline.config.known import COLLECTOR_TYPES
from untrace_pipeline.config.model import ComponentSpec, ServiceSection, ServiceSpec
from untrace_pipeline.config.nodes import List, Map, Node, Scalar, to_python
from untrace_pipeline.config.review import review
from untrace_pipeline.config.values import check_options
from untrace_pipeline.config.wiring import Wiring
from untrace_pipeline.config.workers import find_worker_problems
from untrace_pipeline.errors import PluginError
from untrace_pipeline.registry import Registry

if TYPE_CHECKING:
    from untrace_pipeline.config.test_blocks import ConfigTest

__all__ = ["SECTIONS", "Checker"]

SECTIONS = (*(kind.value for kind in Kind), "service", "tests")


class Checker:
    """One run over a tree. Afterwards ``findings`` and ``secrets`` are complete, ``spec`` is set if nothing failed."""

    def __init__(self, root: Map, registry: Registry) -> None:
        self._root = root
        self._registry = registry
        self._factories: dict[ComponentId, Factory[Any]] = {}
        self._configs: dict[ComponentId, ComponentConfig] = {}
        self._configured: dict[ComponentId, Path] = {}
        self.findings: list[Finding] = []
        self.secrets: set[Path] = set()
        self.spec: ServiceSpec | None = None

    def run(self) -> None:
        """Check everything; never stops at the first problem."""
        for name in self._root.entries:
            if name not in SECTIONS:
                found = suggest(name, SECTIONS)
                self._report("unknown-section", (name,), "unknown section", ", ".join(SECTIONS), found)
        self._presets()
        for kind in Kind:
            self._section(kind)
        self._ambiguous()
        service = self._service()
        self._tests()
        wiring = Wiring(self._section_node("service"), self._configured)
        wiring.run()
        self.findings += wiring.findings
        self.findings += wiring.references(self._configs)
        if any(one.severity is Severity.ERROR and one.code not in _OPTION_CODES for one in self.findings):
            return  # part of the graph is unknown
        spec = self._spec(service or ServiceSection(), wiring)
        self._graph(spec)
        if all(one.severity is Severity.WARNING for one in self.findings):
            self.spec = spec

    def _presets(self) -> None:
        """Learn the types of a user's own destinations, before any section is looked at."""
        service = self._section_node("service")
        entry = service.entries.get("destination_presets_dir") if service is not None else None
        if (
            entry is None
            or not isinstance(entry[1], Scalar)
            or not isinstance(entry[1].value, str)
            or not entry[1].value
        ):
            return
        self._registry = self._registry.with_presets(FilePath(entry[1].value))
        try:
            self._registry.names(Kind.EXPORTER)
        except PluginError as error:
            self._report("bad-value", ("service", "destination_presets_dir"), str(error), "a directory of YAML files")
            self._registry = self._registry.with_presets(None)

    def _section_node(self, name: str) -> Map | None:
        """Return a section; an absent, empty or wrong one as ``None``."""
        entry = self._root.entries.get(name)
        return entry[1] if entry is not None and isinstance(entry[1], Map) else None

    def _section(self, kind: Kind) -> None:
        node = self._section_node(kind.value)
        if node is None:
            self._require_map((kind.value,), f"ids of {kind.value} with their options")
            return
        for text, (_, body) in node.entries.items():
            path = (kind.value, text)
            try:
                component = ComponentId.parse(kind, text)
            except ValueError as error:
                self._report("bad-id", path, str(error), "type or type/name")
                continue
            self._configured[component] = path
            factory = self._factory(component, path)
            if factory is not None:
                self._component(component, factory, body, path)

    def _require_map(self, path: Path, expected: str) -> None:
        entry = self._root.entries.get(str(path[0]))
        if entry is not None and not (isinstance(entry[1], Scalar) and entry[1].value is None):
            self._report("wrong-type", path, "the section is not a mapping", f"a mapping: {expected}")

    def _ambiguous(self) -> None:
        for one, path in self._configured.items():
            for kind in (Kind.RECEIVER, Kind.EXPORTER) if one.kind is Kind.CONNECTOR else ():
                if ComponentId(kind, one.type, one.name) in self._configured:
                    message = f"there is the {kind.singular} {one} too: pipelines cannot tell them apart"
                    self._report("ambiguous-id", path, message)

    def _factory(self, id: ComponentId, path: Path) -> Factory[Any] | None:
        try:
            factory = self._registry.load(id.kind, id.type)
        except PluginError as error:
            self._report("broken-plugin", path, str(error))
            return None
        except KeyError:
            known = id.type in COLLECTOR_TYPES[id.kind]
            what = "is a component of the Collector that is not installed here" if known else "is not installed"
            names = ", ".join(self._registry.names(id.kind)) or "none is installed"
            self._report("unknown-type", path, f"{id.kind.singular} type {id.type} {what}", names, self._similar(id))
            return None
        if id.type != factory.type_name:
            self._report(
                "other-spelling", path, f"{id.type} is now called {factory.type_name}; both work", warning=True
            )
        self._factories[id] = factory
        return factory

    def _similar(self, id: ComponentId) -> str:
        known = id.type in COLLECTOR_TYPES[id.kind]
        return "" if known else self._registry.suggest(id.kind, id.type) or ""

    def _component(self, id: ComponentId, factory: Factory[Any], body: Node, path: Path) -> None:
        node = _as_map(body)
        if node is None:
            self._report("wrong-type", path, f"the options of {id} are not a mapping", "a mapping, or nothing")
            return
        config, findings, seen = check_options(factory.config, node)
        self._take(path, findings)
        self.secrets |= {(*path, *one.path) for one in seen if one.secret}
        if config is not None:
            self._configs[id] = config

    def _service(self) -> ServiceSection | None:
        node = self._section_node("service")
        if node is None:
            self._require_map(("service",), "pipelines, extensions, telemetry")
            return None
        service, findings, seen = check_options(ServiceSection, node)
        self._take(("service",), findings)
        self.secrets |= {("service", *one.path) for one in seen if one.secret}
        return service

    def _tests(self) -> None:
        entry = self._root.entries.get("tests")
        if entry is None or (isinstance(entry[1], Scalar) and entry[1].value is None):
            return
        if not isinstance(entry[1], List):
            self._report("wrong-type", ("tests",), "the section is not a list", "a list of tests")
            return
        from untrace_pipeline.config.test_blocks import ConfigTest  # noqa: PLC0415  most files have no tests

        for number, item in enumerate(entry[1].items):
            path = ("tests", number)
            if isinstance(item, Map):
                test, findings, _ = check_options(ConfigTest, item)
                self._take(path, findings)
                if test is not None:
                    self._outputs(path, test)
            else:
                self._report("wrong-type", path, "a test is not a mapping", "a mapping: name, input, output")

    def _outputs(self, path: Path, test: ConfigTest) -> None:
        """Report pipelines and exporters that a test names and that do not exist."""
        pipelines = list(_keys(self._section_node("service"), "pipelines"))
        exporters = [str(one) for one in self._configured if one.kind is Kind.EXPORTER]
        if test.pipeline is not None and test.pipeline not in pipelines:
            found = suggest(test.pipeline, pipelines)
            message = f"there is no pipeline {test.pipeline}"
            self._report("unknown-pipeline", (*path, "pipeline"), message, ", ".join(pipelines), found)
        for name in test.output:
            known = exporters + pipelines
            if name not in known:
                message = f"{name} is no configured exporter and no pipeline"
                where = (*path, "output", name)
                self._report("unknown-component", where, message, ", ".join(known), suggest(name, known))

    def _take(self, path: Path, findings: list[Finding]) -> None:
        for one in findings:
            whole = (*path, *one.path)
            self.findings.append(Finding(one.code, whole, one.message, one.expected, one.suggestion, one.severity))

    def _spec(self, service: ServiceSection, wiring: Wiring) -> ServiceSpec:
        tests = self._root.entries.get("tests")
        return ServiceSpec(
            components={
                one: ComponentSpec(one, factory, self._configs.get(one) or ComponentConfig())
                for one, factory in self._factories.items()
            },
            pipelines=wiring.pipelines,
            extensions=tuple(wiring.extensions),
            telemetry=service.telemetry,
            shutdown_timeout=service.shutdown_timeout,
            runtime=service.runtime,
            workers=service.workers,
            tests=tuple(_test_blocks(tests[1])) if tests else (),
        )

    def _graph(self, spec: ServiceSpec) -> None:
        from untrace_pipeline.engine.graph import find_problems  # noqa: PLC0415  the engine imports our model
        from untrace_pipeline.engine.guarantees import find_gaps  # noqa: PLC0415

        problems = find_problems(spec)
        self.findings += problems
        if not problems:
            self.findings += review(spec, self._configured)
        self.findings += find_gaps(spec)
        self.findings += find_worker_problems(spec, self._root)

    def _report(
        self, code: str, path: Path, message: str, expected: str = "", suggestion: str = "", *, warning: bool = False
    ) -> None:
        severity = Severity.WARNING if warning else Severity.ERROR
        self.findings.append(Finding(code, path, message, expected, suggestion, severity))


_OPTION_CODES = frozenset({"unknown-option", "missing-option", "wrong-type", "bad-value", "deprecated-option"})
"""With only such problems the graph is known, and can be checked in the same run."""


def _as_map(node: Node) -> Map | None:
    if isinstance(node, Map):
        return node
    if isinstance(node, Scalar) and node.value is None:
        return Map(node.place, {})
    return None


def _keys(node: Map | None, name: str) -> Iterator[str]:
    found = node.entries.get(name) if node is not None else None
    if found is not None and isinstance(found[1], Map):
        yield from found[1].entries


def _test_blocks(node: Node) -> Iterator[dict[str, Any]]:
    if isinstance(node, List):
        yield from (to_python(item) for item in node.items if isinstance(item, Map))
