"""The daemon's own log: structured lines with the component's id, thinned out when they repeat.

Standard ``logging`` underneath. Loggers of components are called ``untrace_pipeline.component.<kind>.<id>``; a line is
either readable (``console``) or one JSON object (``json``). Payloads and secrets never get here: who logs sees to that.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.config.model import LogEncoding, LogLevel, LogSampling, LogsConfig
from untrace_pipeline.errors import StartError

__all__ = ["ConsoleFormatter", "JsonFormatter", "Sampler", "component_logger", "configure_logs"]

_COMPONENT = "untrace_pipeline.component."
_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}
_WORDS = {logging.WARNING: "warn", logging.CRITICAL: "fatal"}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "repeats"}


def component_logger(id: ComponentId) -> logging.Logger:
    """Return the logger of a component."""
    return logging.getLogger(f"{_COMPONENT}{id.kind.singular}.{id}")


def _component(record: logging.LogRecord) -> tuple[str, str] | None:
    """Return kind and id of the component that logged."""
    if not record.name.startswith(_COMPONENT):
        return None
    kind, _, name = record.name.removeprefix(_COMPONENT).partition(".")
    return kind, name


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(record: logging.LogRecord) -> str:
    repeats = getattr(record, "repeats", 0)
    return record.getMessage() + (f" ({repeats} equal lines left out)" if repeats else "")


class ConsoleFormatter(logging.Formatter):
    """``2026-01-02T03:04:05.678Z warn  exporter otlp: text  key=value``."""

    def __init__(self, fields: Mapping[str, Any], *, tracebacks: bool) -> None:
        super().__init__()
        self._fields = dict(fields)
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the traceback below it if there is one."""
        component = _component(record)
        place = f"{component[0]} {component[1]}: " if component else ""
        fields = {**self._fields, **_extras(record)}
        tail = "".join(f"  {key}={value}" for key, value in fields.items())
        line = f"{_time(record)} {_level(record):<5} {place}{_text(record)}{tail}"
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line += f"\n{self.formatException(record.exc_info)}" if self._tracebacks else f"  error={error!r}"
        return line


class JsonFormatter(logging.Formatter):
    """One object per line: ``ts, level, kind, component, msg``, and further fields."""

    def __init__(self, fields: Mapping[str, Any], *, tracebacks: bool) -> None:
        super().__init__()
        self._fields = dict(fields)
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        import orjson  # noqa: PLC0415  console users need not load it

        line: dict[str, Any] = {"ts": _time(record), "level": _level(record)}
        if component := _component(record):
            line["kind"], line["component"] = component
        else:
            line["logger"] = record.name
        line |= {"msg": _text(record), **self._fields, **_extras(record)}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = repr(record.exc_info[1])
            if self._tracebacks:
                line["stacktrace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _level(record: logging.LogRecord) -> str:
    return _WORDS.get(record.levelno) or record.levelname.lower()


class Sampler(logging.Filter):
    """Thins out equal lines: same logger, level and text before values are filled in.

    Per ``tick`` the first ``initial`` pass, then every ``thereafter``-th; the next one says how many were left out.
    """

    def __init__(self, config: LogSampling, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._config = config
        self._clock = clock
        self._started = clock()
        self._seen: dict[tuple[str, int, object], int] = {}
        self._left_out: dict[tuple[str, int, object], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        if (now := self._clock()) - self._started >= self._config.tick:
            self._started = now
            self._left_out = {key: count for key, count in self._left_out.items() if key in self._seen}
            self._seen.clear()
        key = (record.name, record.levelno, record.msg)
        count = self._seen[key] = self._seen.get(key, 0) + 1
        after = count - self._config.initial
        if after > 0 and (not self._config.thereafter or after % self._config.thereafter):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return False
        record.repeats = self._left_out.pop(key, 0)
        return True


def configure_logs(config: LogsConfig, resource: Mapping[str, str] | None = None) -> None:
    """Set up logging for the whole process, in place of what was there. Raises :class:`StartError` for a bad path.

    ``resource`` is shown in JSON lines only, where the reader is a machine that collects from many daemons.
    """
    fields = dict(config.initial_fields)
    tracebacks = not config.disable_stacktrace
    formatter: logging.Formatter
    if config.encoding is LogEncoding.JSON:
        fields = {**({"resource": dict(resource)} if resource else {}), **fields}
        formatter = JsonFormatter(fields, tracebacks=tracebacks)
    else:
        formatter = ConsoleFormatter(fields, tracebacks=tracebacks)
    relay = _Relay(config.output_paths)
    relay.setFormatter(formatter)
    if config.sampling.enabled:
        relay.addFilter(Sampler(config.sampling))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(relay)
    root.setLevel(_LEVELS[config.level])
    logging.captureWarnings(capture=True)
    for noisy in _LIBRARIES:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, _LEVELS[config.level]))


_LIBRARIES = ("aiohttp", "asyncio", "azure", "botocore", "google", "grpc", "msal", "urllib3", "watchfiles")
"""Never heard below a warning: some of them write what they sign, tokens included, when they are asked for details."""


class _Relay(logging.Handler):
    """Formats and samples a line once, for all outputs."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self._standard = [path for path in paths if path in {"stdout", "stderr"}]
        self._files = [_open(path) for path in paths if path not in self._standard]

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line everywhere; a full disk or a closed pipe must not stop the data."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001  as logging's own handlers do
            self.handleError(record)
            return
        for output in (*(getattr(sys, name) for name in self._standard), *self._files):
            with contextlib.suppress(OSError, ValueError):
                output.write(line)
                output.flush()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
        super().close()


def _open(path: str) -> TextIO:
    try:
        return Path(path).open("a", encoding="utf-8")
    except OSError as error:
        msg = f"service.telemetry.logs.output_paths: cannot write {path}: {error.strerror}"
        raise StartError(msg) from error
