"""Run the cases of one file through a daemon: one process, one receiver and one set of pipelines per case."""

from __future__ import annotations

import functools
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.message import Message

from tests.integration.collector.inputs import INPUTS
from tests.support.peers import ConfiguredProcess, Daemon, PeerProcessError
from tests.support.peers.canonical import SignalName, canonical_items, parse_proto, read_framed

CASES = Path(__file__).parent / "cases"
METHODS: Mapping[SignalName, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
SEND_SECONDS = 30


class OneOfMany:
    """A case with components of its own in a config that it shares with others."""

    name: str
    known_difference: str

    @property
    def slug(self) -> str:
        """The name as part of component ids."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower())

    @property
    def port(self) -> str:
        """The variable of a port that is its own."""
        return f"{self.slug.upper()}_PORT"

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """What a test of equality is marked with: a known difference that goes away is a failure too."""
        return [pytest.mark.xfail(reason=self.known_difference, strict=True)] if self.known_difference else []


@dataclass(frozen=True)
class Case(OneOfMany):
    """One config fragment and what goes in; see `cases/README.md` for the keys."""

    component: str
    name: str
    processors: Mapping[str, Any] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    routing: Mapping[str, Any] | None = None
    signals: Sequence[SignalName] = ("traces", "metrics", "logs")
    input: str = "varied"
    headers: Mapping[str, str] = field(default_factory=dict)
    unchanged: bool = False
    max_items: int | None = None
    known_difference: str = ""

    @property
    def outputs(self) -> list[str]:
        """Names of the pipelines behind the routing connector; one without a name when there is none."""
        if self.routing is None:
            return [""]
        named = [*self.routing.get("default_pipelines", [])]
        for row in self.routing["table"]:
            named += row["pipelines"]
        return sorted(set(named))


@dataclass(frozen=True)
class Outcome:
    """What a daemon made of one case."""

    answers: tuple[str, ...]
    """Status codes of all requests, in order."""
    items: Mapping[tuple[SignalName, str], Counter[Any]]
    largest: int
    """Items in the largest request that came out."""


def load_cases(path: Path) -> list[Case]:
    """Read a case file."""
    content = yaml.safe_load(path.read_text())
    return [Case(content["component"], name, **fields) for name, fields in content["cases"].items()]


def _file(case: Case, signal: SignalName, output: str) -> str:
    return f"{case.slug}.{signal}.{output or 'all'}.bin"


def _exporter(config: dict[str, Any], case: Case, signal: SignalName, output: str) -> str:
    name = f"file/{case.slug}_{signal}_{output or 'all'}"
    config["exporters"][name] = {"path": _file(case, signal, output), "format": "proto"}
    return name


def _routing_rows(case: Case, signal: SignalName) -> dict[str, Any]:
    """Answer the connector's config with the full names of this signal's pipelines."""

    def full(names: Sequence[str]) -> list[str]:
        return [f"{signal}/{case.slug}_{name}" for name in names]

    routing = dict(case.routing or {})
    routing["table"] = [row | {"pipelines": full(row["pipelines"])} for row in routing["table"]]
    if "default_pipelines" in routing:
        routing["default_pipelines"] = full(routing["default_pipelines"])
    return routing


def _add_pipelines(config: dict[str, Any], case: Case, processors: list[str]) -> None:
    pipelines = config["service"]["pipelines"]
    for signal in case.signals:
        entrance = {"receivers": [f"otlp/{case.slug}"], "processors": processors}
        if case.routing is None:
            pipelines[f"{signal}/{case.slug}"] = entrance | {"exporters": [_exporter(config, case, signal, "")]}
            continue
        connector = f"routing/{case.slug}_{signal}"
        config["connectors"][connector] = _routing_rows(case, signal)
        pipelines[f"{signal}/{case.slug}"] = entrance | {"exporters": [connector]}
        for output in case.outputs:
            exporter = _exporter(config, case, signal, output)
            pipelines[f"{signal}/{case.slug}_{output}"] = {"receivers": [connector], "exporters": [exporter]}


def build_config(cases: Sequence[Case], *, ours: bool) -> dict[str, Any]:
    """Answer one config that runs all cases beside each other, with the options that only we have."""
    config: dict[str, Any] = {"receivers": {}, "processors": {}, "connectors": {}, "exporters": {}}
    config["service"] = {"pipelines": {}}
    for case in cases:
        protocols = {
            "grpc": {
                "endpoint": f"127.0.0.1:${{env:{case.port}}}",
                "include_metadata": True,
                "max_recv_msg_size_mib": 64,
            }
        }
        config["receivers"][f"otlp/{case.slug}"] = {"protocols": protocols}
        names = {name: f"{name.replace('/', '/' + case.slug + '_')}" for name in case.processors}
        ids = {name: full if "/" in name else f"{name}/{case.slug}" for name, full in names.items()}
        own = case.ours if ours else {}
        config["processors"] |= {
            ids[name]: {**options, **own.get(name, {})} for name, options in case.processors.items()
        }
        _add_pipelines(config, case, list(ids.values()))
    return {key: value for key, value in config.items() if value}


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def send(case: Case, target: str) -> tuple[str, ...]:
    """Send the input of the case over gRPC, one request after the other; answer the status codes."""
    answers: list[str] = []
    inputs = INPUTS[case.input]()
    with grpc.insecure_channel(target) as channel:
        for signal in case.signals:
            call = channel.unary_unary(METHODS[signal], _serialize, None)
            for request in inputs[signal]:
                try:
                    call(request, timeout=SEND_SECONDS, metadata=tuple(case.headers.items()))
                    answers.append("OK")
                except grpc.RpcError as error:
                    answers.append(error.code().name)
    return tuple(answers)


def _item_count(signal: SignalName, request: Any) -> int:
    snake = {
        "traces": ("resource_spans", "scope_spans", "spans"),
        "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    }
    groups, scopes, items = snake.get(signal, ("resource_logs", "scope_logs", "log_records"))
    return sum(len(getattr(scope, items)) for group in getattr(request, groups) for scope in getattr(group, scopes))


def _collect(case: Case, directory: Path, answers: tuple[str, ...]) -> Outcome:
    items: dict[tuple[SignalName, str], Counter[Any]] = {}
    largest = 0
    for signal in case.signals:
        for output in case.outputs:
            bodies = read_framed(directory / _file(case, signal, output))
            requests = [parse_proto(signal, body) for body in bodies]
            items[signal, output] = canonical_items(signal, requests)
            largest = max([largest, *(_item_count(signal, request) for request in requests)])
    return Outcome(answers, items, largest)


def _run_together(subject: type[ConfiguredProcess], cases: Sequence[Case]) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = build_config(cases, ours=subject is Daemon)
        with subject(config, directory=directory) as process:
            answers = {case.name: send(case, process.endpoint(case.port)) for case in cases}
        return {case.name: _collect(case, directory, answers[case.name]) for case in cases}


def run_cases(subject: type[ConfiguredProcess], cases: Sequence[Case]) -> dict[str, Outcome | PeerProcessError]:
    """Run all cases in one process; if it does not start, each in its own, to find out which one it is."""
    try:
        return {**_run_together(subject, cases)}
    except PeerProcessError as together:
        results: dict[str, Outcome | PeerProcessError] = {}
        for case in cases:
            try:
                results |= _run_together(subject, [case])
            except PeerProcessError as error:
                results[case.name] = error
        return results if len(cases) > 1 else {cases[0].name: together}


@functools.cache
def _canonical_input(name: str, signal: SignalName) -> Counter[Any]:
    return canonical_items(signal, INPUTS[name]()[signal])


def input_items(case: Case) -> Counter[Any]:
    """Answer what goes in, in canonical form, of all signals together."""
    return sum((_canonical_input(case.input, signal) for signal in case.signals), Counter())


__all__ = ["CASES", "Case", "Outcome", "build_config", "input_items", "load_cases", "run_cases", "send"]
