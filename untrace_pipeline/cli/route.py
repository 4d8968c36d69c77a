"""``route``: where traces would go, by which rule, and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from untrace_pipeline.api.component import Host, Settings
from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.explaining import Answer, Asked, Explaining, Explanation
from untrace_pipeline.api.factory import ConnectorFactory
from untrace_pipeline.api.identity import PipelineId
from untrace_pipeline.cli import counted
from untrace_pipeline.cli.core_traces import is_core_trace, span_of
from untrace_pipeline.cli.items import request_of
from untrace_pipeline.cli.trial import InputError, Trial
from untrace_pipeline.config.loader import load
from untrace_pipeline.config.model import ComponentSpec, ServiceSpec
from untrace_pipeline.config.test_blocks import InputSpec, SpanItem
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import UntraceError
from untrace_pipeline.testing import run_with_fake_clock

__all__ = ["execute"]

_SIGNS = {True: "✓", False: "✗", None: "?"}


@dataclass(frozen=True, slots=True)
class _Found:
    """What a connector would do."""

    connector: str
    explanations: list[Explanation] = field(default_factory=list)


def execute(arguments: argparse.Namespace) -> int:
    """Print explanations; 1 if nothing reached a connector with rules, 2 for input that cannot be read."""
    spec = load(arguments.config, arguments.set).spec
    found: list[_Found] = []
    try:
        trial = Trial(_listening(spec, found), _inputs(arguments), _pipeline(spec, arguments.pipeline))
        refused = run_with_fake_clock(trial.run())
    except (InputError, UntraceError) as error:
        print(f"untrace-pipeline route: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    for text in refused:
        print(text, file=sys.stderr)
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(line for one in found for line in _lines(one)))
    if not any(one.explanations for one in found):
        why = "none of it reached a connector with rules: it goes elsewhere, or was filtered or sampled on its way"
        why = why if found else "no connector of this configuration has rules"
        print(f"untrace-pipeline route: {why}", file=sys.stderr)
        return 1
    return 1 if refused else 0


# ---------------------------------------------------------------------- input


def _pipeline(spec: ServiceSpec, name: str | None) -> str | None:
    known = [str(one) for one in spec.pipelines]
    if name is not None and name not in known:
        msg = f"there is no pipeline {name}; there are: {', '.join(known)}"
        raise InputError(msg)
    return name


def _inputs(arguments: argparse.Namespace) -> list[InputSpec]:
    headers = [text.partition(":") for text in arguments.header]
    if wrong := [name for name, colon, _ in headers if not colon or not name.strip()]:
        msg = f"{wrong[0]!r} is no header; it is written 'name: value'"
        raise InputError(msg)
    metadata = {name.strip(): value.strip() for name, _, value in headers}
    inputs = [InputSpec(otlp=request, metadata=metadata) for request in _requests(arguments.explain)]
    if not inputs:
        msg = f"{arguments.explain} is empty"
        raise InputError(msg)
    return inputs


def _requests(path: str) -> Iterator[dict[str, Any]]:
    """Yield OTLP JSON requests, whatever form the file has."""
    for given in _documents(path):
        documents = given if isinstance(given, list) else given["traces"] if _is_batch(given) else [given]
        core = [one for one in documents if is_core_trace(one)]
        if core:
            yield request_of(Signal.TRACES, [_span(path, one) for one in core])
        for one in documents:
            if not isinstance(one, dict):
                msg = f"{path}: {type(one).__name__} is no trace"
                raise InputError(msg)
            if not is_core_trace(one):
                yield one


def _span(path: str, trace: Mapping[str, Any]) -> SpanItem:
    try:
        return span_of(trace)
    except ValueError as error:
        msg = f"{path} holds no trace that can be read: {error}"
        raise InputError(msg) from error


def _is_batch(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("traces"), list)


def _documents(path: str) -> list[Any]:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise InputError(msg) from error
    try:
        return [orjson.loads(data)]
    except orjson.JSONDecodeError as whole:
        try:
            return [orjson.loads(line) for line in data.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            msg = f"{path} is no JSON: {whole}"
            raise InputError(msg) from whole


# ------------------------------------------------------------------ listening


def _listening(spec: ServiceSpec, found: list[_Found]) -> ServiceSpec:
    """Return the configuration with connectors that are asked before they get something."""

    def heard(component: ComponentSpec) -> ComponentSpec:
        factory = component.factory
        if not isinstance(factory, ConnectorFactory):
            return component

        def create(config: ComponentConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> Any:
            inner = factory.create(config, settings, outputs)
            return _Heard(inner, settings, found) if isinstance(inner, Explaining) else inner

        return replace(component, factory=replace(factory, create=create))

    return replace(spec, components={one: heard(component) for one, component in spec.components.items()})


class _Heard:
    """A connector that explains what it gets."""

    def __init__(self, inner: Any, settings: Settings, found: list[_Found]) -> None:
        self._inner = inner
        self._found = _Found(str(settings.id))
        found.append(self._found)

    async def start(self, host: Host) -> None:
        """Start the connector."""
        await self._inner.start(host)

    async def shutdown(self) -> None:
        """Stop the connector."""
        await self._inner.shutdown()

    async def consume(self, batch: Batch) -> None:
        """Ask the connector, then give it the batch."""
        self._found.explanations.extend(self._inner.explain(batch.copy()))
        await self._inner.consume(batch)


# --------------------------------------------------------------------- output


def _lines(found: _Found) -> Iterator[str]:
    for one in found.explanations:
        yield f"connector {found.connector}: {one.subject} ({counted(len(one.items), 'item')}: {_short(one.items)})"
        yield f"  {one.outcome}"
        for asked in one.asked:
            yield from _asked(asked)
        yield ""


def _short(names: Sequence[str]) -> str:
    shown = ", ".join(list(dict.fromkeys(names))[:3])
    return shown + (", …" if len(set(names)) > 3 else "")  # noqa: PLR2004  as many as shown


def _asked(asked: Asked) -> Iterator[str]:
    yield f"    rule {asked.rule}: {asked.outcome}{f' ({asked.why})' if asked.why else ''}"
    for answer in asked.answers:
        yield f"      {'  ' * answer.depth}{_SIGNS[answer.holds]} {answer.text}{_data(answer)}"


def _data(answer: Answer) -> str:
    if answer.found is None:
        return " — absent" if answer.holds is False and answer.has_field else ""
    return f" — {answer.found}"
