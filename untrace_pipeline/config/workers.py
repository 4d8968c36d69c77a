"""What a configuration for several worker processes must look like besides."""

from __future__ import annotations

from collections.abc import Iterator

from untrace_pipeline.api.factory import ExtensionFactory, ReceiverFactory
from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.api.workers import WORKER_VARIABLE
from untrace_pipeline.config.diagnostics import Finding, Path
from untrace_pipeline.config.model import AUTO_WORKERS, ComponentSpec, ServiceSpec
from untrace_pipeline.config.nodes import Map, Node, find

__all__ = ["find_worker_problems"]


def find_worker_problems(spec: ServiceSpec, root: Map) -> Iterator[Finding]:
    """Yield what does not work with several workers; nothing where there is to be one. ``root`` is the expanded tree.

    ``auto`` counts as several: the machine that checks is not always the one that runs.
    """
    if spec.workers == 1:
        return
    for component in _in_several_workers(spec):
        section = (component.id.kind.value, str(component.id))
        for option, reason in component.config.unshared().items():
            path = (*section, *_steps(option))
            if not _differs(root, path):
                yield _not_per_worker(path, reason, spec.workers)
        for option, names in component.config.references().items():
            for name in names:
                if any(str(one) == name for one in spec.extensions if _is_per_service(spec, one)):
                    message = f"the extension {name} runs once for all workers, and no component in them can use it"
                    yield Finding("service-extension", (*section, *_steps(option)), message, "another extension")


def _in_several_workers(spec: ServiceSpec) -> Iterator[ComponentSpec]:
    """Yield the components that run in more than one process."""
    used = dict.fromkeys(one for one in spec.extensions if not _is_per_service(spec, one))
    for pipeline in spec.pipelines.values():
        used |= dict.fromkeys((*pipeline.receivers, *pipeline.processors, *pipeline.exporters))
    for one in used:
        factory = spec.components[one].factory
        if not (isinstance(factory, ReceiverFactory) and factory.once):
            yield spec.components[one]


def _is_per_service(spec: ServiceSpec, extension: ComponentId) -> bool:
    factory = spec.components[extension].factory
    return isinstance(factory, ExtensionFactory) and factory.per_service


def _steps(option: str) -> Path:
    return tuple(int(step) if step.isdigit() else step for step in option.split("."))


def _differs(root: Map, path: Path) -> bool:
    """Return whether the value was written with the number of the worker in it."""
    node: Node = root
    _, node, taken = find(root, path)
    return taken == len(path) and node.written is not None and WORKER_VARIABLE in node.written


def _not_per_worker(path: Path, reason: str, workers: int) -> Finding:
    many = "auto" if workers == AUTO_WORKERS else str(workers)
    message = f"{reason} (service.workers: {many})"
    return Finding("not-per-worker", path, message, f"a value with ${{env:{WORKER_VARIABLE}}} in it")
