"""Relabelling: rules over labels, as in Prometheus' ``relabel_config``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Self, TypeAlias

import re2
from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel

__all__ = ["Labels", "RelabelConfig", "Relabelling"]

Labels: TypeAlias = dict[str, str]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_TARGET = re.compile(r"(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))(?:[a-zA-Z0-9_]|\$(?:\{\w+\}|\w+))*\Z")
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_QUIET = re2.Options()
_QUIET.log_errors = False


class Action(StrEnum):
    """What a rule does."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEP_EQUAL = "keepequal"
    DROP_EQUAL = "dropequal"
    HASH_MOD = "hashmod"
    LABEL_MAP = "labelmap"
    LABEL_DROP = "labeldrop"
    LABEL_KEEP = "labelkeep"
    LOWER_CASE = "lowercase"
    UPPER_CASE = "uppercase"


_FILTERS = {Action.KEEP, Action.DROP, Action.KEEP_EQUAL, Action.DROP_EQUAL}
_BY_NAME = {Action.LABEL_MAP, Action.LABEL_DROP, Action.LABEL_KEEP}
_WITH_TARGET = {
    Action.REPLACE,
    Action.HASH_MOD,
    Action.LOWER_CASE,
    Action.UPPER_CASE,
    Action.KEEP_EQUAL,
    Action.DROP_EQUAL,
}


class RelabelConfig(ConfigModel):
    """One rule."""

    source_labels: list[str] = []
    """Labels whose values, joined, the rule looks at."""
    separator: str = ";"
    """What stands between the values."""
    regex: str = "(.*)"
    """RE2 expression that the whole text, or name of a label, must match."""
    modulus: int = Field(0, ge=0)
    """For ``hashmod``: how many different numbers."""
    target_label: str = ""
    """Label that gets the result; may hold ``$$1`` for ``replace``."""
    replacement: str = "$1"
    """What the label gets; ``$$1``, ``$${name}`` stand for groups of the expression."""
    action: Action = Action.REPLACE
    """What the rule does."""

    @field_validator("action", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str) -> str:
        try:
            _compile(regex)
        except re2.error as error:
            msg = f"a regular expression of RE2: {error}"
            raise ValueError(msg) from error
        return regex

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.action in _WITH_TARGET:
            allowed = _TARGET if self.action is Action.REPLACE else _NAME
            if not allowed.match(self.target_label):
                msg = f"a target_label, of letters, digits and _, for {self.action}"
                raise ValueError(msg)
        if self.action is Action.HASH_MOD and not self.modulus:
            msg = "a modulus for hashmod"
            raise ValueError(msg)
        return self


def _compile(regex: str) -> Any:
    return re2.compile(f"^(?s:{regex})$", _QUIET)


class Relabelling:
    """Rules in order."""

    def __init__(self, rules: Iterable[RelabelConfig]) -> None:
        self._rules = [(rule, _compile(rule.regex)) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def apply(self, labels: Labels) -> Labels | None:
        """Return what becomes of labels; ``None`` for what is dropped. The given ones may be changed."""
        for rule, regex in self._rules:
            found = _apply(rule, regex, labels)
            if found is None:
                return None
            labels = found
        return labels


def _apply(rule: RelabelConfig, regex: Any, labels: Labels) -> Labels | None:
    """Return what a rule makes of labels; ``None`` where it drops them."""
    if rule.action in _BY_NAME:
        return _by_name(rule, regex, labels)
    text = rule.separator.join([labels.get(name, "") for name in rule.source_labels])
    if rule.action in _FILTERS:
        return labels if _keeps(rule, regex, text, labels) else None
    if rule.action is Action.REPLACE:
        _replace(rule, regex, text, labels)
    elif rule.action is Action.HASH_MOD:
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        labels[rule.target_label] = str(int.from_bytes(digest[8:]) % rule.modulus)
    else:
        _set(labels, rule.target_label, text.lower() if rule.action is Action.LOWER_CASE else text.upper())
    return labels


def _keeps(rule: RelabelConfig, regex: Any, text: str, labels: Labels) -> bool:
    match rule.action:
        case Action.KEEP:
            return regex.search(text) is not None
        case Action.DROP:
            return regex.search(text) is None
        case Action.KEEP_EQUAL:
            return labels.get(rule.target_label, "") == text
    return labels.get(rule.target_label, "") != text


def _by_name(rule: RelabelConfig, regex: Any, labels: Labels) -> Labels:
    if rule.action is Action.LABEL_MAP:
        for name, value in list(labels.items()):
            if (found := regex.search(name)) is not None:
                _set(labels, _expand(rule.replacement, found), value)
        return labels
    keeps = rule.action is Action.LABEL_KEEP
    return {name: value for name, value in labels.items() if (regex.search(name) is not None) is keeps}


def _replace(rule: RelabelConfig, regex: Any, text: str, labels: Labels) -> None:
    found = regex.search(text)
    if found is None:
        return
    target = _expand(rule.target_label, found)
    if _NAME.match(target):
        _set(labels, target, _expand(rule.replacement, found))


def _set(labels: Labels, name: str, value: str) -> None:
    """Set a label; one without a value is none."""
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _expand(template: str, found: Any) -> str:
    """Put groups into a template, as Go does: ``$1x`` is the group called ``1x``, which there is not."""
    return _REFERENCE.sub(lambda reference: _group(reference, found), template) if "$" in template else template


def _group(reference: re.Match[str], found: Any) -> str:
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    groups: Sequence[str | None] = (found.group(0), *found.groups())
    if name.isdigit():
        return (groups[int(name)] or "") if int(name) < len(groups) else ""
    value: str | None = found.groupdict().get(name)
    return value or ""
