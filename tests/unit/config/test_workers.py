"""Configurations of several worker processes: their number, and that all of them load the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plugins import SendConfig, make_registry
from untrace_pipeline.api import ComponentId, Kind
from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.config.model import AUTO_WORKERS
from untrace_pipeline.errors import ConfigError

CONFIG = """\
receivers:
  listen: {{protocols: {{grpc: }}}}
exporters:
  send:
    endpoint: localhost:4317
    labels: {{worker: "${{env:UNTRACE_PIPELINE_WORKER}}", secret: "${{file:{secret}}}"}}
service:
  workers: {workers}
  pipelines:
    traces: {{receivers: [listen], exporters: [send]}}
"""


def text(workers: object = 1, secret: Path = Path("/dev/null")) -> str:
    return CONFIG.format(workers=workers, secret=secret)


def labels(loaded: Loaded) -> dict[str, str]:
    """Return the labels of the exporter."""
    config = loaded.spec.components[ComponentId(Kind.EXPORTER, "send")].config
    assert isinstance(config, SendConfig)
    return config.labels


@pytest.mark.parametrize(
    ("written", "number"), [("1", 1), ("16", 16), ("auto", AUTO_WORKERS), ('"${env:N:-4}"', 4), ("", 1)]
)
def test_number_of_workers(written: str, number: int) -> None:
    """A number, or auto; a reference may hold either."""
    assert load([f"yaml:{text(written)}"], (), make_registry(), environ={}).spec.workers == number


@pytest.mark.parametrize("written", ["0", "-1", "257", "many", "1.5", "true", "[2]"])
def test_no_number_of_workers(written: str) -> None:
    """Anything else is one problem that says what is possible."""
    with pytest.raises(ConfigError) as caught:
        load([f"yaml:{text(written)}"], (), make_registry(), environ={})
    [problem] = caught.value.problems
    assert problem.path == "service.workers"
    assert "auto, or a whole number from 1 to 256" in str(problem)


def test_the_number_of_the_worker_is_0_in_a_single_process() -> None:
    """A configuration made for several workers loads where there is one."""
    registry = make_registry()
    assert labels(load([f"yaml:{text()}"], (), registry, environ={}))["worker"] == "0"
    environ = {"UNTRACE_PIPELINE_WORKER": "3"}
    assert labels(load([f"yaml:{text()}"], (), registry, environ=environ))["worker"] == "3"


def test_files_as_they_were(tmp_path: Path) -> None:
    """Whoever has the contents loads the same configuration, whatever became of the files."""
    config, secret = tmp_path / "c.yaml", tmp_path / "secret"
    secret.write_text("first")
    config.write_text(text(secret=secret))
    before = load([str(config)], (), make_registry(), environ={})
    assert set(before.contents) == set(before.files) == {config, secret}
    config.write_text("nonsense: [")
    secret.unlink()
    again = load([str(config)], (), make_registry(), environ={}, contents=before.contents)
    assert again.spec == before.spec
    assert labels(again)["secret"] == "first"
    assert again.contents == before.contents


def test_a_file_that_was_not_read_then_does_not_exist_now(tmp_path: Path) -> None:
    """Contents stand for all files: nothing else is taken from the disk."""
    config = tmp_path / "c.yaml"
    config.write_text(text())
    with pytest.raises(ConfigError, match=r"cannot read the file: No such file"):
        load([str(config)], (), make_registry(), environ={}, contents={})
