"""Loads a configuration: read, merge, override, expand, check. Every problem comes at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from untrace_pipeline.api.workers import WORKER_VARIABLE
from untrace_pipeline.config.check import Checker
from untrace_pipeline.config.diagnostics import Finding, Problem, Severity
from untrace_pipeline.config.expand import expand
from untrace_pipeline.config.files import Files
from untrace_pipeline.config.locate import Locator, sort_problems
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.config.nodes import Map
from untrace_pipeline.config.sources import Reading
from untrace_pipeline.errors import ConfigError
from untrace_pipeline.registry import Registry

__all__ = ["Loaded", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that may run."""

    spec: ServiceSpec
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()
    """Every file that was read, for ``--watch``."""
    contents: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    """What was in them; with it, :func:`load` gives the same configuration whatever has happened to them since."""


def load(
    sources: Sequence[str],
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    contents: Mapping[Path, bytes] | None = None,
) -> Loaded:
    """Load and check a configuration. No network, no optional library, no tasks.

    ``sources`` are paths, ``file:path``, ``env:NAME`` or ``yaml:text``, merged in order: mappings merge, everything
    else is replaced by the later one. ``overrides`` are ``path.to.option=value``, the value being YAML.
    ``contents`` are what :attr:`Loaded.contents` held at another time, to be taken instead of what the files hold now.
    Raises :class:`ConfigError` with all problems, sorted by place.
    """
    environ = {WORKER_VARIABLE: "0", **(os.environ if environ is None else environ)}
    files = Files(contents)
    reading = Reading(environ, files)
    root = reading.read(sources, overrides)
    if root is None:
        raise ConfigError(sort_problems(reading.problems, sources))
    expanded, findings, referenced = expand(root, environ, files)
    assert isinstance(expanded, Map)
    checker = Checker(expanded, registry or Registry())
    checker.run()
    locator = Locator(expanded, checker.secrets)
    problems = [*reading.problems, *(locator.problem(one) for one in _without_followups(findings, checker.findings))]
    problems = sort_problems(problems, [source.name for source in reading.sources])
    if checker.spec is None or any(one.severity is Severity.ERROR for one in problems):
        raise ConfigError(problems)
    spec = replace(checker.spec, resolved=locator.resolved())
    return Loaded(spec, tuple(problems), (*reading.files, *referenced), files.contents)


def _without_followups(expansion: list[Finding], checks: list[Finding]) -> list[Finding]:
    """Return all findings but those about values that could not be expanded in the first place.

    Nor is told what the check of a whole says when one of its options is such a value.
    """
    broken = {one.path for one in expansion}
    wholes = {path[:-1] for path in broken}
    return [
        *expansion,
        *(one for one in checks if one.path not in broken and not (one.code == "bad-value" and one.path in wholes)),
    ]
