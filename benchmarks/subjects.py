"""Who is measured: our daemon in one or two ways, and the Collector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.support.peers import Collector, ConfiguredProcess, Daemon
from untrace_pipeline.native import Part

Mode = Literal["auto", "native", "python", "both"]
_RUNTIME = re.compile(r"runtime: (.*)")
_ANY_CONFIG = """
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:${env:GRPC_PORT}"}}}}
exporters: {otlp: {endpoint: "127.0.0.1:1"}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp]}}}
"""


@dataclass(frozen=True)
class Subject:
    """A daemon that is measured, under the name that its results have."""

    name: str
    kind: type[ConfiguredProcess]
    env: Mapping[str, str] = field(default_factory=dict)

    def process(self, config: str, env: Mapping[str, str]) -> ConfiguredProcess:
        """Return a process to be started with a config."""
        return self.kind(config, env={**env, **self.env})

    def runtime(self) -> str:
        """Start it once and return what it says of its codec and transports; empty for the Collector."""
        if self.kind is not Daemon:
            return ""
        with self.process(_ANY_CONFIG, {}) as process:
            found = _RUNTIME.search(process.log)
        return found[1] if found else "unknown"


def _forced(mode: Mode) -> dict[str, str]:
    if mode == "auto":
        return {}
    return {part.variable: mode if mode == "native" else part.python for part in Part}


def subjects(ours: Mode = "auto") -> dict[str, Subject]:
    """Return who is measured by name: ``ours``, ``python`` too where both ways are asked for, and ``collector``."""
    found = [Subject("ours", Daemon, _forced("native" if ours == "both" else ours))]
    if ours == "both":
        found.append(Subject("python", Daemon, _forced("python")))
    return {subject.name: subject for subject in [*found, Subject("collector", Collector)]}
