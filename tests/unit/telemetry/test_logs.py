"""The daemon's own log: forms, levels, thinning out, outputs."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.logs import own_logging
from untrace_pipeline.api import ComponentId, Kind
from untrace_pipeline.config.model import LogSampling, LogsConfig
from untrace_pipeline.errors import StartError
from untrace_pipeline.telemetry.logs import Sampler, component_logger, configure_logs

EXPORTER = ComponentId.parse(Kind.EXPORTER, "otlp/eu.west")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A file to log to; logging is as before afterwards."""
    with own_logging():
        yield tmp_path / "log"


def configure(log: Path, **options: Any) -> None:
    configure_logs(LogsConfig.model_validate({"output_paths": [str(log)], **options}), {"service.name": "me"})


def test_console_lines_name_the_component(log: Path) -> None:
    """Time, level, component, sentence, fields."""
    configure(log, initial_fields={"zone": "a"})
    component_logger(EXPORTER).warning("%d spans refused", 512, extra={"peer": "localhost:4317"})
    time, rest = log.read_text().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "warn  exporter otlp/eu.west: 512 spans refused  zone=a  peer=localhost:4317\n"


def test_libraries_are_quiet(log: Path) -> None:
    """What libraries tell at info, such as every file that changed beside the configuration, is no line of ours."""
    configure(log)
    for name in ("asyncio", "aiohttp.access", "grpc", "watchfiles.main", "botocore.auth", "urllib3.connectionpool"):
        logging.getLogger(name).info("1 change detected")
    assert log.read_text() == ""


def test_json_lines_are_objects(log: Path) -> None:
    """Machines find the same in fields, with the daemon's resource."""
    configure(log, encoding="json", initial_fields={"zone": "a"})
    component_logger(EXPORTER).error("%d spans refused", 512, extra={"peer": "x"})
    logging.getLogger("untrace_pipeline.engine.service").info("ready")
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    del first["ts"]
    assert first == {
        "level": "error",
        "kind": "exporter",
        "component": "otlp/eu.west",
        "msg": "512 spans refused",
        "resource": {"service.name": "me"},
        "zone": "a",
        "peer": "x",
    }
    assert second["logger"] == "untrace_pipeline.engine.service"


@pytest.mark.parametrize("encoding", ["console", "json"])
@pytest.mark.parametrize("disabled", [True, False])
def test_tracebacks_can_be_left_out(encoding: str, disabled: bool, log: Path) -> None:
    """The error itself stays."""
    configure(log, encoding=encoding, disable_stacktrace=disabled)
    try:
        raise ValueError("odd")
    except ValueError:
        component_logger(EXPORTER).exception("failed")
    text = log.read_text()
    assert "odd" in text
    assert ("Traceback" in text) is not disabled


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1)])
def test_level(level: str, count: int, log: Path) -> None:
    """Lines below the level are not written."""
    configure(log, level=level)
    logger = component_logger(EXPORTER)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(number, "line")
    assert len(log.read_text().splitlines()) == count


def test_equal_lines_are_thinned_out() -> None:
    """The first of a window pass, then every n-th, and the next window tells how many were left out."""
    now = [0.0]
    sampler = Sampler(LogSampling.model_validate({"tick": "10s", "initial": 2, "thereafter": 3}), lambda: now[0])

    def passes(text: str = "refused %d", name: str = "a") -> logging.LogRecord | None:
        record = logging.LogRecord(name, logging.WARNING, "", 0, text, (1,), None)
        return record if sampler.filter(record) else None

    assert [passes() is not None for _ in range(8)] == [True, True, False, False, True, False, False, True]
    assert passes("something else %d") is not None
    assert passes(name="b") is not None
    assert passes() is None
    now[0] = 10.0
    record = passes()
    assert record is not None
    assert record.repeats == 1  # type: ignore[attr-defined]


def test_left_out_lines_are_told(log: Path) -> None:
    """Nobody has to wonder whether a problem happened once or a thousand times."""
    configure(log, sampling={"tick": "1h", "initial": 1, "thereafter": 4})
    for number in range(5):
        component_logger(EXPORTER).info("retry %d", number)
    lines = log.read_text().splitlines()
    assert lines[1].endswith("retry 4 (3 equal lines left out)")


def test_sampling_can_be_off(log: Path) -> None:
    """Every line is written."""
    configure(log, sampling={"enabled": False})
    for _ in range(50):
        component_logger(EXPORTER).info("same")
    assert len(log.read_text().splitlines()) == 50


def test_several_outputs(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line goes to all of them, formatted once."""
    configure(log, output_paths=["stdout", "stderr", str(log)])
    component_logger(EXPORTER).info("hello")
    captured = capsys.readouterr()
    assert captured.out == captured.err == log.read_text()


def test_a_closed_output_does_not_stop_the_daemon(log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever closes the pipe of stderr loses lines, not data; the other outputs go on."""
    closed = (tmp_path / "closed").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    configure(log, output_paths=["stderr", str(log)])
    component_logger(EXPORTER).info("hello")
    assert "hello" in log.read_text()


def test_a_bad_path_is_a_start_error(log: Path) -> None:
    """The message names the option and the cause, and logging is still as it was."""
    configure(log)
    with pytest.raises(StartError, match=r"output_paths: cannot write .*/missing/x: No such file or directory"):
        configure(log.parent / "missing" / "x")
    component_logger(EXPORTER).info("still here")
    assert "still here" in log.read_text()


def test_warnings_are_log_lines(log: Path) -> None:
    """A library's deprecation warning does not spoil stderr's format."""
    configure(log)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "DeprecationWarning: old" in log.read_text()
