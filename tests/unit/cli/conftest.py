"""The command line with tiny components only, so that tests need no real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.plugins import make_registry
from untrace_pipeline import registry
from untrace_pipeline.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process, with the components of tests.support.plugins."""
    monkeypatch.setattr(registry, "_discover", make_registry().installed)

    def run(*arguments: str | Path) -> Outcome:
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


GOOD = """\
receivers:
  listen: {protocols: {grpc: }}
processors:
  tag: {key: team, value: "${env:TEAM:-red}"}
exporters:
  send:
    endpoint: https://me:hunter2@localhost:4317
    headers: {authorization: Bearer hunter2, x-plain: hunter2}
    api_key: hunter2
    compression: none
service:
  pipelines:
    traces: {receivers: [listen], processors: [tag], exporters: [send]}
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a valid file that holds secrets (the word hunter2)."""
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path
