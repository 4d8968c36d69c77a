"""Files of options that a component reads itself, such as rules: read and explained like the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.config.compose import MAX_CHARACTERS, parse
from untrace_pipeline.config.diagnostics import Path as DottedPath
from untrace_pipeline.config.diagnostics import Problem
from untrace_pipeline.config.excerpt import at_place
from untrace_pipeline.config.locate import Locator, dotted, sort_problems
from untrace_pipeline.config.nodes import Map, Place, Source, find
from untrace_pipeline.config.values import check_options
from untrace_pipeline.errors import ConfigError

__all__ = ["place_of", "read_options", "steps_of"]

M = TypeVar("M", bound=ConfigModel)


def read_options(path: str, model: type[M]) -> M:
    """Return the options in a YAML or JSON file. Raises :class:`ConfigError` with all problems, sorted by place."""
    source = Source(path, _text(path))
    root = parse(source)
    if root is None:
        raise ConfigError([_problem(source, "empty-config", "the file is empty", "a mapping of options")])
    if not isinstance(root, Map):
        raise ConfigError([_problem(source, "wrong-type", "the file does not hold a mapping", "a mapping of options")])
    options, findings, seen = check_options(model, root)
    if options is None:
        locator = Locator(root, {one.path for one in seen if one.secret})
        raise ConfigError(sort_problems((locator.problem(one) for one in findings), [path]))
    return options


def place_of(path: str, option: str) -> str:
    """Return where an option, by its dotted path, stands in such a file; as far as it goes. Never fails."""
    steps = steps_of(option)
    shown = dotted(steps)
    try:
        root = parse(Source(path, _text(path)))
    except ConfigError:
        return f"{path}: {shown}"
    place, _, _ = find(root, steps) if root is not None else (None, None, 0)
    return f"{path}: {shown}" if place is None else f"{path}:{place.line}:{place.column}: {shown}"


def steps_of(option: str) -> DottedPath:
    """Return the steps of a dotted path."""
    return tuple(int(step) if step.isdigit() else step for step in option.split(".") if step)


def _text(path: str) -> str:
    nowhere = Source(path, in_file=False)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_CHARACTERS * 4 + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([_problem(nowhere, "unreadable-source", f"cannot be read: {reason}")]) from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError([_problem(nowhere, "not-utf8", f"byte {error.start} is no UTF-8")]) from error


def _begin(source: Source) -> Place:
    return Place(source, 1, 1, 1, 1)


def _problem(source: Source, code: str, message: str, expected: str = "") -> Problem:
    return at_place(_begin(source), code=code, message=message, expected=expected)
