"""From findings by path to problems by place; knows which values must not be shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from untrace_pipeline.api.config import Secret
from untrace_pipeline.config.codes import ABOUT_THE_NAME
from untrace_pipeline.config.diagnostics import Finding, Path, Problem
from untrace_pipeline.config.excerpt import MASK, at_place, is_sensitive
from untrace_pipeline.config.nodes import List, Map, Node, Place, Scalar, Source, find

__all__ = ["Locator", "dotted", "sort_problems"]

_SHORTEST_SECRET = 4
"""Shorter texts are not searched for in messages: they would hide ordinary words."""


class Locator:
    """Finds places in the merged tree. ``secrets`` are paths that option types say must not be shown."""

    def __init__(self, root: Node, secrets: Iterable[Path] = ()) -> None:
        self._root = root
        self._secrets = frozenset(secrets)

    def problem(self, finding: Finding) -> Problem:
        """Return a finding with its place and source line."""
        told = {
            "path": dotted(finding.path),
            "code": finding.code,
            "message": self._scrubbed(finding, finding.message),
            "expected": finding.expected,
            "suggestion": finding.suggestion,
            "severity": finding.severity,
        }
        return at_place(self._place(finding), masks=self._masks, **told)

    def resolved(self) -> Any:
        """Return the tree as plain values, secrets as :class:`Secret`."""
        return self._plain(self._root, ())

    def _plain(self, node: Node, path: Path) -> Any:
        if isinstance(node, Map):
            return {name: self._plain(value, (*path, name)) for name, (_, value) in node.entries.items()}
        if isinstance(node, List):
            return [self._plain(item, (*path, i)) for i, item in enumerate(node.items)]
        if self._is_secret(path, node):
            return Secret(node.text)
        return node.value

    def _is_secret(self, path: Path, node: Scalar) -> bool:
        if node.value is None:
            return False
        by_type = any(path[: i + 1] in self._secrets for i in range(len(path)))
        return by_type or (isinstance(node.value, str) and is_sensitive(path))

    @cached_property
    def _masks(self) -> list[Place]:
        return [node.place for path, node in _scalars(self._root, ()) if self._is_secret(path, node)]

    def _scrubbed(self, finding: Finding, text: str) -> str:
        """Return a text without the secrets and expanded values that a component's own check may have put into it."""
        _, node, taken = find(self._root, finding.path)
        for path, one in _scalars(node, finding.path[:taken]):
            if len(one.text) >= _SHORTEST_SECRET and (one.written is not None or self._is_secret(path, one)):
                text = text.replace(one.text, MASK)
        return text

    def _place(self, finding: Finding) -> Place:
        key, node, taken = find(self._root, finding.path)
        wanted = isinstance(node, Scalar) and (node.value is not None or node.written is not None)
        if key is None:
            start = node.place
            return Place(Source(start.source.name, in_file=False), 1, 1, 1, 1)
        about_value = wanted and taken == len(finding.path) and finding.code not in ABOUT_THE_NAME
        return node.place if about_value else key


def dotted(path: Path) -> str:
    """Return a path as messages show it: ``service.pipelines.traces.exporters[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def sort_problems(problems: Iterable[Problem], order: Sequence[str]) -> list[Problem]:
    """Return problems without repetitions, by source in the order of the command line, then by place."""
    rank = {name: number for number, name in enumerate(order)}
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda one: (rank.get(one.file, len(rank)), one.line, one.column, one.path))


def _scalars(node: Node, path: Path) -> Iterator[tuple[Path, Scalar]]:
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Map):
        for name, (_, value) in node.entries.items():
            yield from _scalars(value, (*path, name))
    else:
        for number, item in enumerate(node.items):
            yield from _scalars(item, (*path, number))
