"""What the fuzzer does with an input: load it as a configuration; only ConfigError may escape."""

from __future__ import annotations

from pathlib import Path

from tests.support.plugins import make_registry
from untrace_pipeline.config.codes import CODES
from untrace_pipeline.config.loader import load
from untrace_pipeline.engine.graph import GRAPH_CODES
from untrace_pipeline.engine.guarantees import GUARANTEE_CODES
from untrace_pipeline.errors import ConfigError

__all__ = ["SEPARATOR", "check_config", "seeds", "words"]

SEPARATOR = "\x1e"
"""Stands between the parts of an input: a configuration, a second one, an override, the value of a variable."""
_GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "config"
_REGISTRY = make_registry()
_CODES = {*CODES, *GRAPH_CODES, *GUARANTEE_CODES}


def check_config(data: bytes) -> None:
    """Load the parts of an input; every problem must have a known code, a place that exists, and a text."""
    parts = data.decode("utf-8", "surrogateescape").split(SEPARATOR)
    environ = {"CONFIG": parts[0], "MORE": "".join(parts[1:2]), "V": "".join(parts[3:4])}
    sources = ["env:CONFIG", "env:MORE"][: min(2, len(parts))]
    try:
        found = load(sources, parts[2:3], _REGISTRY, environ=environ)
    except ConfigError as error:
        problems = error.problems
        assert problems
    else:
        problems = found.warnings
        assert found.spec.pipelines
    for problem in problems:
        assert problem.code in _CODES
        assert problem.line >= 0
        assert problem.message
        assert str(problem).startswith(problem.file)
        assert 1 <= problem.caret <= len(problem.excerpt) + 1


def seeds() -> list[bytes]:
    """Return the golden files, two by two and with an override and a variable."""
    texts = [path.read_bytes() for path in sorted(_GOLDEN.glob("*.yaml"))]
    more = b"exporters: {send: {labels: {a: '${env:V}'}}}"
    return [
        *texts,
        *(SEPARATOR.encode().join([text, more, b"exporters.send.retries=1", b"[1, {a: b}]"]) for text in texts),
    ]


def words() -> list[str]:
    """Return what the fuzzer should know of YAML and of us."""
    syntax = [
        "${env:V}",
        "${V:-",
        "${file:/",
        "$$",
        "}",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "? ",
        "- ",
        "|\n",
        ">-\n",
        "---\n",
        '"',
    ]
    options = ["receivers", "listen", "exporters", "send", "headers", "service", "pipelines", "traces", "tests", "null"]
    return [*syntax, *options, SEPARATOR]
