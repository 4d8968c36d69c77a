"""References in values: ``${env:NAME}``, ``${env:NAME:-default}``, ``${NAME}``, ``${file:/path}``; ``$$`` is a dollar.

Expanded once: what a reference brings is never searched for references. A value that is one whole reference is typed as
YAML would type it, and keeps its text for options that want a string. Keys are not expanded.
Differs from the Collector: an unset variable without default is an error, and the last newline of a file is cut off.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from untrace_pipeline.config.compose import parse
from untrace_pipeline.config.diagnostics import Finding, Path
from untrace_pipeline.config.files import Files
from untrace_pipeline.config.nodes import List, Map, Node, Place, Scalar, Source
from untrace_pipeline.errors import ConfigError

__all__ = ["Expansion", "expand"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MAX_NESTING = 8
"""References in defaults of references; nobody writes more than two."""
_MAX_FILE_BYTES = 2**20


class _ExpansionError(Exception):
    def __init__(self, code: str, message: str, expected: str = "") -> None:
        super().__init__(message)
        self.code, self.expected = code, expected


@dataclass(frozen=True, slots=True)
class _Reference:
    body: str


class Expansion:
    """One run over a tree: collects what is wrong, and which files were read."""

    def __init__(self, environ: Mapping[str, str] | None = None, files: Files | None = None) -> None:
        self.findings: list[Finding] = []
        self.files: dict[FilePath, None] = {}
        self._environ = os.environ if environ is None else environ
        self._files = files or Files()

    def node(self, node: Node, path: Path = ()) -> Node:
        """Return the tree with every reference replaced; the input is not changed."""
        if isinstance(node, Map):
            entries = {name: (key, self.node(value, (*path, name))) for name, (key, value) in node.entries.items()}
            return replace(node, entries=entries)
        if isinstance(node, List):
            return replace(node, items=[self.node(item, (*path, i)) for i, item in enumerate(node.items)])
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        try:
            return self._scalar(node.value, node.place)
        except _ExpansionError as error:
            self.findings.append(Finding(error.code, path, str(error), expected=error.expected))
            return replace(node, written=node.value)

    def _scalar(self, written: str, place: Place) -> Node:
        parts = list(_parts(written))
        if len(parts) == 1 and isinstance(parts[0], _Reference):
            return _typed(self._value(parts[0].body, 0), written, place)
        text = self._join(parts, 0)
        return Scalar(place, text, text, None if all(isinstance(part, str) for part in parts) else written)

    def _join(self, parts: list[str | _Reference], nesting: int) -> str:
        return "".join([part if isinstance(part, str) else self._value(part.body, nesting) for part in parts])

    def _value(self, body: str, nesting: int) -> str:
        scheme, colon, rest = body.partition(":")
        if not colon or rest.startswith("-"):
            return self._variable(body, nesting)
        if scheme == "env":
            return self._variable(rest, nesting)
        if scheme == "file":
            return self._file(rest)
        msg = f"${{{scheme}:…}} is not supported"
        raise _ExpansionError("bad-reference", msg, "${env:NAME}, ${env:NAME:-default}, ${file:/path}")

    def _variable(self, body: str, nesting: int) -> str:
        name, colon, rest = body.partition(":")
        if not _NAME.match(name) or (colon and not rest.startswith("-")):
            msg = "the name of an environment variable has letters, digits and underscores; write $$ for a dollar sign"
            raise _ExpansionError("bad-reference", msg, "${env:NAME} or ${env:NAME:-default}")
        value = self._environ.get(name)
        if value is None and colon:
            if nesting >= _MAX_NESTING:
                raise _ExpansionError("bad-reference", f"defaults nested deeper than {_MAX_NESTING}")
            return self._join(list(_parts(rest[1:])), nesting + 1)
        if value is None:
            msg = f"the environment variable {name} is not set"
            raise _ExpansionError("unset-variable", msg, f"export {name}=…, or a default: ${{env:{name}:-default}}")
        return _checked(value, f"the environment variable {name}")

    def _file(self, name: str) -> str:
        path = FilePath(name)
        self.files[path] = None
        try:
            data = self._files.read(path, _MAX_FILE_BYTES + 1)
            if len(data) > _MAX_FILE_BYTES:
                raise _ExpansionError("unreadable-reference", f"{name} is larger than {_MAX_FILE_BYTES} bytes")
            return _checked(data.decode(), name).removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise _ExpansionError("unreadable-reference", f"cannot read {name}: {error.strerror}") from error
        except ValueError as error:
            raise _ExpansionError("unreadable-reference", f"cannot read {name}: it is no UTF-8 text") from error


def expand(
    node: Node, environ: Mapping[str, str] | None = None, files: Files | None = None
) -> tuple[Node, list[Finding], list[FilePath]]:
    """Return the expanded tree, what is wrong, and the files that references read."""
    expansion = Expansion(environ, files)
    return expansion.node(node), expansion.findings, list(expansion.files)


def _checked(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _ExpansionError("unreadable-reference", f"{name} does not hold UTF-8 text") from None
    return value


def _parts(text: str) -> Iterator[str | _Reference]:
    """Yield literal texts, with ``$$`` made ``$``, and references."""
    start = position = 0
    literal = ""
    while (position := text.find("$", position)) >= 0:
        following = text[position + 1 : position + 2]
        if following == "$":
            literal += text[start : position + 1]
            start = position = position + 2
        elif following == "{":
            end = _closing_brace(text, position + 1)
            literal += text[start:position]
            if literal:
                yield literal
            literal = ""
            yield _Reference(text[position + 2 : end])
            start = position = end + 1
        else:
            position += 1
    literal += text[start:]
    if literal:
        yield literal


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise _ExpansionError("bad-reference", "${ without a closing brace; write $$ for a dollar sign", "${env:NAME}")


def _typed(text: str, written: str, place: Place) -> Node:
    """Return what YAML makes of a text; text that is no YAML, or a YAML string, is taken as it is."""
    try:
        node = parse(Source(written, text, in_file=False))
    except ConfigError:
        node = None
    if node is None or (isinstance(node, Scalar) and isinstance(node.value, str)):
        value = None if not text.strip() else text
        return Scalar(place, value, text, written)
    return replace(_moved(node, written, place), text=text)


def _moved(node: Node, written: str, place: Place) -> Node:
    """Return a tree out of a reference as if it stood where the reference stands."""
    if isinstance(node, Map):
        entries = {name: (place, _moved(value, written, place)) for name, (_, value) in node.entries.items()}
        return replace(node, place=place, entries=entries, written=written)
    if isinstance(node, List):
        items = [_moved(item, written, place) for item in node.items]
        return replace(node, place=place, items=items, written=written)
    return replace(node, place=place, written=written)
