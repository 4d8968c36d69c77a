"""What pydantic found, in plain words and by the path of the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from untrace_pipeline.config.diagnostics import Finding, Path
from untrace_pipeline.config.excerpt import is_sensitive
from untrace_pipeline.config.nodes import List, Map, Node, Scalar, find
from untrace_pipeline.config.options import Seen, deprecation, model_of, options_of, other_names

__all__ = ["explain", "path_of", "suggest"]

_TYPES: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
}


def _words(expected: object) -> str:
    """Return pydantic's list of alternatives without its quotes; the empty text is shown as such."""
    return str(expected).replace("''", '""').replace("'", "")


def _listed(expected: str) -> list[str]:
    return expected.replace(" or ", ", ").split(", ")


_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda c: f"more than {c['gt']:g}",
    "greater_than_equal": lambda c: f"at least {c['ge']:g}",
    "less_than": lambda c: f"less than {c['lt']:g}",
    "less_than_equal": lambda c: f"at most {c['le']:g}",
    "multiple_of": lambda c: f"a multiple of {c['multiple_of']:g}",
    "finite_number": lambda _: "a finite number",
    "string_too_short": lambda c: f"at least {c['min_length']} characters",
    "string_too_long": lambda c: f"at most {c['max_length']} characters",
    "string_pattern_mismatch": lambda c: f"text that matches {c['pattern']}",
    "too_short": lambda c: f"at least {c['min_length']}",
    "too_long": lambda c: f"at most {c['max_length']}",
    "literal_error": lambda c: _words(c["expected"]),
    "enum": lambda c: _words(c["expected"]),
    "union_tag_invalid": lambda c: _words(c["expected_tags"]),
}
_COUNTS = {"too_short": "too few entries", "too_long": "too many entries"}
_ARTICLES = ("a ", "an ", "one of ")
_LONGEST = 60


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the known word that looks most like one, or nothing."""
    return next(iter(get_close_matches(word, list(known), n=1)), "")


def path_of(location: Iterable[str | int], node: Node) -> Path:
    """Return a pydantic location as a path of the file: names of union arms and validators are left out."""
    path: Path = ()
    steps = list(location)
    for number, step in enumerate(steps):
        inside = (isinstance(node, Map) and step in node.entries) or (isinstance(node, List) and isinstance(step, int))
        holds_options = isinstance(node, Map) or (isinstance(node, Scalar) and node.value is None)
        if inside:
            path = (*path, step)
            _, node, _ = find(node, (step,))
        elif number == len(steps) - 1 and holds_options and isinstance(step, str) and step != "[key]":
            path = (*path, step)
    return path


def explain(error: ValidationError, node: Node, seen: Mapping[Path, Seen]) -> list[Finding]:
    """Return findings with paths relative to ``node``; values are shown only where they are no secrets."""
    by_path: dict[Path, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False, include_context=True, include_input=False):
        path = path_of(details["loc"], node)
        if details["type"] not in {"missing", "extra_forbidden"}:
            path = path[: find(node, path)[2]]
        by_path.setdefault(path, []).append(details)
    explainer = _Explainer(node, seen)
    return [
        finding
        for path, found in by_path.items()
        if not _other_arm_fits(path, found, by_path)
        for finding in explainer.findings(path, found)
    ]


def _other_arm_fits(path: Path, found: list[ErrorDetails], all_: Mapping[Path, object]) -> bool:
    """Tell whether a value has the wrong type for one alternative only: another one found problems inside of it."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in all_)
    return deeper and all(details["type"] in _TYPES for details in found)


class _Explainer:
    """Words for errors at paths of one tree."""

    def __init__(self, root: Node, seen: Mapping[Path, Seen]) -> None:
        self._root = root
        self._seen = seen

    def findings(self, path: Path, found: list[ErrorDetails]) -> list[Finding]:
        """Return what is wrong at one path; alternatives of a union count as one."""
        kinds = {details["type"] for details in found}
        if "extra_forbidden" in kinds:
            options, word = self._options(path[:-1]), str(path[-1])
            names = sorted(name for name, option in options.items() if deprecation(option) is None)
            expected = ", ".join(names) or "nothing, there are no options"
            meant = next((name for name in names if word in other_names(options[name])), suggest(word, names))
            return [Finding("unknown-option", path, "unknown option", expected, meant)]
        if "missing" in kinds:
            return [Finding("missing-option", path[:-1], f"{path[-1]} is missing", self._described(path))]
        if kinds <= _TYPES.keys():
            return [self._wrong_type(path, dict.fromkeys(_TYPES[details["type"]] for details in found))]
        return [self._bad_value(path, details) for details in found if details["type"] not in _TYPES]

    def _wrong_type(self, path: Path, expected: Collection[str]) -> Finding:
        value = self._at(path)
        number = isinstance(value, Scalar) and not isinstance(value.value, str) and not self._is_hidden(path)
        quoted = f'"{value.text}"' if number and "a string" in expected else ""
        return Finding("wrong-type", path, f"{self._shown(path)} is of the wrong type", " or ".join(expected), quoted)

    def _bad_value(self, path: Path, details: ErrorDetails) -> Finding:
        context, kind = details.get("ctx", {}), details["type"]
        if kind == "enum" and details["loc"][-1] == "[key]":
            expected = _BOUNDS[kind](context)
            return Finding(
                "unknown-option", path, "unknown option", expected, suggest(str(path[-1]), _listed(expected))
            )
        if kind in _BOUNDS:
            return self._out_of_bounds(path, kind, _BOUNDS[kind](context))
        if "error" not in context:
            message = details["msg"]
            return Finding("bad-value", path, message[:1].lower() + message[1:])
        text = str(context["error"])
        if text.startswith(_ARTICLES) and isinstance(self._at(path), Scalar):
            return Finding("bad-value", path, f"{self._shown(path)} is not understood", text)
        return Finding("bad-value", path, text)

    def _out_of_bounds(self, path: Path, kind: str, expected: str) -> Finding:
        value = self._at(path)
        word = value.text if isinstance(value, Scalar) and not self._is_hidden(path) else ""
        known = _listed(expected) if kind in {"literal_error", "enum"} else []
        message = _COUNTS.get(kind, f"{self._shown(path)} is not allowed")
        return Finding("bad-value", path, message, expected, suggest(word, known))

    def _at(self, path: Path) -> Node:
        return find(self._root, path)[1]

    def _options(self, path: Path) -> Mapping[str, FieldInfo]:
        model = model_of(self._seen[path].types) if path in self._seen else None
        return options_of(model) if model else {}

    def _described(self, path: Path) -> str:
        option = self._options(path[:-1]).get(str(path[-1]))
        text = (option.description or "") if option is not None else ""
        first = text.strip().partition("\n")[0].replace("``", "")
        return f"{path[-1]}: {first}" if first else ""

    def _is_hidden(self, path: Path) -> bool:
        one = self._seen.get(path)
        return one is None or one.secret or is_sensitive(path) or self._at(path).written is not None

    def _shown(self, path: Path) -> str:
        """Return a value as a message may name it: what was written, or nothing of a secret."""
        value = self._at(path)
        if self._is_hidden(path):
            return "the value"
        if not isinstance(value, Scalar):
            return "a mapping" if isinstance(value, Map) else "a list"
        shown = "nothing" if value.value is None else f'"{value.text}"' if isinstance(value.value, str) else value.text
        return shown if len(shown) <= _LONGEST else "the value"
