"""Reads what ``--config`` and ``--set`` name, and merges it into one tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from untrace_pipeline.config.compose import MAX_DEPTH, parse
from untrace_pipeline.config.diagnostics import Problem
from untrace_pipeline.config.excerpt import at_place
from untrace_pipeline.config.files import Files
from untrace_pipeline.config.nodes import Map, Node, Place, Scalar, Source
from untrace_pipeline.errors import ConfigError

__all__ = ["Reading", "merge"]

_TEXT = "--config yaml"
"""What ``yaml:text`` is called in messages; the second one has a number."""
_MAX_BYTES = 32 * 2**20


class Reading:
    """One reading of all sources: collects problems, sources and the paths of files."""

    def __init__(self, environ: Mapping[str, str], files: Files | None = None) -> None:
        self._environ = environ
        self._files = files or Files()
        self.problems: list[Problem] = []
        self.sources: list[Source] = []
        self.files: list[Path] = []

    def read(self, configs: Sequence[str], overrides: Sequence[str]) -> Map | None:
        """Return the merged tree, or ``None`` where nothing can be checked further."""
        trees = [tree for config in configs if (tree := self._config(config)) is not None]
        if self.problems:
            return None
        trees += [tree for override in overrides if (tree := self._override(override, trees)) is not None]
        root = trees[0] if trees else None
        for tree in trees[1:]:
            root = merge(root, tree) if root is not None else tree
        if (root is None or not root.entries) and not self.problems:
            source = self.sources[0] if self.sources else Source("the command line", in_file=False)
            self._report(source, "empty-config", "nothing is configured", "receivers, exporters and service.pipelines")
        return root if root is not None and root.entries else None

    def _config(self, config: str) -> Map | None:
        source = self._open(config)
        if source is None:
            return None
        self.sources.append(source)
        try:
            node = parse(source)
        except ConfigError as error:
            self.problems += error.problems
            return None
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return None
        if not isinstance(node, Map):
            expected = "a mapping: receivers, exporters, service …"
            self.problems.append(
                at_place(node.place, code="wrong-type", message="the file does not hold a mapping", expected=expected)
            )
            return None
        return _unflattened(node) if config.startswith("yaml:") else node

    def _open(self, config: str) -> Source | None:
        scheme, colon, rest = config.partition(":")
        if colon and scheme == "yaml":
            texts = sum(source.name.startswith(_TEXT) for source in self.sources)
            return Source(f"{_TEXT} #{texts + 1}" if texts else _TEXT, rest)
        if colon and scheme == "env":
            return self._variable(rest)
        if colon and scheme != "file" and len(scheme) > 1 and scheme.isalnum() and not Path(config).exists():
            expected = "a path, file:path, env:NAME or yaml:text"
            self._report(Source(config, in_file=False), "unreadable-source", f"{scheme}: is not supported", expected)
            return None
        return self._file(rest if scheme == "file" and colon else config)

    def _variable(self, name: str) -> Source | None:
        text = self._environ.get(name)
        source = Source(f"env:{name}", text or "", in_file=text is not None)
        if text is None:
            self._report(source, "unreadable-source", f"the environment variable {name} is not set")
            return None
        return source

    def _file(self, name: str) -> Source | None:
        path = Path(name)
        self.files.append(path)
        try:
            data = self._files.read(path, _MAX_BYTES)
            return Source(name, data.decode("utf-8-sig"))
        except OSError as error:
            message = f"cannot read the file: {error.strerror}"
            self._report(Source(name, in_file=False), "unreadable-source", message)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            message = f"the file is no UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}, line {line}"
            self._report(Source(name, in_file=False), "not-utf8", message, "a file saved as UTF-8")
        except ValueError:
            self._report(Source("--config", in_file=False), "unreadable-source", "the path holds a null character")
        return None

    def _override(self, override: str, trees: Iterable[Map]) -> Map | None:
        name, equals, text = override.partition("=")
        steps = name.split("::") if "::" in name else name.split(".")
        source = Source(f"--set {name}" if equals else "--set", text, in_file=False)
        self.sources.append(source)
        if not equals or not all(steps) or len(steps) > MAX_DEPTH:
            self._report(source, "bad-override", "this is no override", "--set path.to.option=value")
            return None
        try:
            value = parse(source)
        except ConfigError as error:
            self.problems += error.problems
            return None
        place = Place(source, 1, 1, 1, 1)
        tree = _nested(steps, value if value is not None else Scalar(place, None, ""), place)
        blocked = [self._blocked(source, other, steps) for other in trees]
        return None if any(blocked) else tree

    def _blocked(self, source: Source, tree: Map, steps: Sequence[str]) -> bool:
        """Report a path that leads through a value that is no mapping."""
        node: Node = tree
        for number, step in enumerate(steps[:-1]):
            if not isinstance(node, Map) or step not in node.entries:
                return False
            node = node.entries[step][1]
            if not isinstance(node, Map) and not (isinstance(node, Scalar) and node.value is None):
                through = ".".join(steps[: number + 1])
                self._report(source, "bad-override", f"{through} is no mapping", "a path through mappings")
                return True
        return False

    def _report(self, source: Source, code: str, message: str, expected: str = "") -> None:
        place = Place(source if not source.in_file else replace(source, text="", in_file=False), 1, 1, 1, 1)
        self.problems.append(at_place(place, code=code, message=message, expected=expected))


def merge(base: Map, over: Map) -> Map:
    """Return both as one: mappings merge, everything else is taken from ``over``. Places stay."""
    entries = dict(base.entries)
    for name, (key, value) in over.entries.items():
        old = entries.get(name)
        if old is not None and isinstance(old[1], Map) and isinstance(value, Map):
            entries[name] = (key, merge(old[1], value))
        else:
            entries[name] = (key, value)
    return replace(base, entries=entries)


def _nested(steps: Sequence[str], value: Node, place: Place) -> Map:
    node = value
    for step in reversed(steps):
        node = Map(place, {step: (place, node)})
    assert isinstance(node, Map)
    return node


def _unflattened(node: Map) -> Map:
    """Return a tree with keys such as ``processors::batch::timeout`` unfolded, as ``--config yaml:…`` has them."""
    result = replace(node, entries={})
    for name, (key, value) in node.entries.items():
        inner = _unflattened(value) if isinstance(value, Map) else value
        steps = [step for step in name.split("::") if step][:MAX_DEPTH] or [name]
        result = merge(result, _nested(steps, inner, key))
    return result
