"""What pydantic found, in plain words and by the path of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from untrace_pipeline.config.diagnostics import Finding, Path
from untrace_pipeline.config.excerpt import is_sensitive
from untrace_pipeline.config.nodes import List, Map, Node, Scalar, find
from untrace_pipeline.config.options import Seen, deprecation, model_of, options_of

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
    "literal_error": lambda c: str(c["expected"]).replace("'", ""),
    "enum": lambda c: str(c["expected"]).replace("'", ""),
    "union_tag_invalid": lambda c: str(c["expected_tags"]).replace("'", ""),
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
            while path and find(node, path)[2] < len(path):
                path = path[:-1]
        by_path.setdefault(path, []).append(details)
    findings = []
    for path, found in by_path.items():
        if not _other_arm_fits(path, found, by_path):
            findings.extend(_findings(path, found, node, seen))
    return findings


def _other_arm_fits(path: Path, found: list[ErrorDetails], all_: Mapping[Path, object]) -> bool:
    """Tell whether a value has the wrong type for one alternative only: another one found problems inside of it."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in all_)
    return deeper and all(details["type"] in _TYPES for details in found)


def _findings(path: Path, found: list[ErrorDetails], node: Node, seen: Mapping[Path, Seen]) -> list[Finding]:
    kinds = {details["type"] for details in found}
    if "extra_forbidden" in kinds:
        names = _names(path[:-1], seen)
        word = str(path[-1])
        expected = ", ".join(names) or "nothing, there are no options"
        return [Finding("unknown-option", path, "unknown option", expected, suggest(word, names))]
    if "missing" in kinds:
        return [Finding("missing-option", path[:-1], f"{path[-1]} is missing", _described(path, seen))]
    wrong = [details for details in found if details["type"] in _TYPES]
    if wrong and len(wrong) == len(found):
        expected = " or ".join(dict.fromkeys(_TYPES[details["type"]] for details in wrong))
        shown = _shown(path, node, seen)
        value = find(node, path)[1]
        scalar = isinstance(value, Scalar) and not isinstance(value.value, str) and not _hidden(path, node, seen)
        suggestion = f'"{value.text}"' if scalar and "a string" in expected else ""
        return [Finding("wrong-type", path, f"{shown} is of the wrong type", expected, suggestion)]
    rest = [details for details in found if details["type"] not in _TYPES]
    return [_bad_value(path, details, node, seen) for details in rest]


def _bad_value(path: Path, details: ErrorDetails, node: Node, seen: Mapping[Path, Seen]) -> Finding:
    context = details.get("ctx", {})
    kind = details["type"]
    shown = _shown(path, node, seen)
    if kind in _BOUNDS:
        expected = _BOUNDS[kind](context)
        _, value, _ = find(node, path)
        word = value.text if isinstance(value, Scalar) and not _hidden(path, node, seen) else ""
        known = expected.replace(" or ", ", ").split(", ") if kind in {"literal_error", "enum"} else []
        message = _COUNTS.get(kind, f"{shown} is not allowed")
        return Finding("bad-value", path, message, expected, suggest(word, known))
    text = str(context["error"]) if "error" in context else details["msg"]
    if text.startswith(_ARTICLES) and kind == "value_error" and isinstance(find(node, path)[1], Scalar):
        return Finding("bad-value", path, f"{shown} is not understood", text)
    return Finding("bad-value", path, text[:1].lower() + text[1:] if not text[:2].isupper() else text)


def _names(path: Path, seen: Mapping[Path, Seen]) -> list[str]:
    model = model_of(seen[path].types) if path in seen else None
    return sorted(name for name, option in options_of(model).items() if deprecation(option) is None) if model else []


def _described(path: Path, seen: Mapping[Path, Seen]) -> str:
    model = model_of(seen[path[:-1]].types) if path[:-1] in seen else None
    option = options_of(model).get(str(path[-1])) if model else None
    text = option.description if option is not None else None
    return f"{path[-1]}: {text.strip().splitlines()[0].replace('``', '')}" if text else ""


def _hidden(path: Path, node: Node, seen: Mapping[Path, Seen]) -> bool:
    one = seen.get(path)
    return one is None or one.secret or is_sensitive(path) or find(node, path)[1].written is not None


def _shown(path: Path, node: Node, seen: Mapping[Path, Seen]) -> str:
    """Return a value as a message may name it: what was written, or nothing of a secret."""
    _, value, _ = find(node, path)
    if _hidden(path, node, seen):
        return "the value"
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, List):
        return "a list"
    shown = "nothing" if value.value is None else f'"{value.text}"' if isinstance(value.value, str) else value.text
    return shown if len(shown) <= _LONGEST else "the value"
