"""Which action a finding gets, and what stands in its place then."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import NamedTuple

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.names import resolve
from untrace_plugins.processors.redaction.content.config import Action, PolicyConfig

__all__ = ["Rules", "Whose", "kept_last", "keyed_hash"]

_HASH_BYTES = 12
"""Of the digest that are shown: enough that two values do not meet in 2^48."""


class Whose(NamedTuple):
    """Whose text a finding is in."""

    role: str | None
    tool: str | None


class Rule:
    """A policy, ready to be asked."""

    __slots__ = ("_detectors", "_key", "_roles", "_tool", "action", "keep", "needs_whose")

    def __init__(self, config: PolicyConfig, custom: Sequence[str]) -> None:
        own = [name for name in config.detectors if name in custom]
        self._detectors = {*own, *resolve([name for name in config.detectors if name not in custom])}
        self._key = _matcher(config.attributes)
        self._roles = frozenset(config.roles)
        self._tool = _matcher(config.tools)
        self.action = config.action
        self.keep = config.keep
        self.needs_whose = bool(config.roles or config.tools)

    def concerns(self, detector: str, key: str, whose: Callable[[], Whose]) -> bool:
        """Whether all criteria are true; whose text it is gets asked for last."""
        if self._detectors and detector not in self._detectors:
            return False
        if self._key is not None and not self._key(key):
            return False
        if not self.needs_whose:
            return True
        role, tool = whose()
        if self._roles and role not in self._roles:
            return False
        return self._tool is None or (tool is not None and bool(self._tool(tool)))


class Rules:
    """All policies; the first that concerns a finding decides, the default action if none does."""

    def __init__(self, policies: Sequence[PolicyConfig], default: Action, custom: Sequence[str]) -> None:
        self._rules = [Rule(policy, custom) for policy in policies]
        self._default = default
        self.need_whose = any(rule.needs_whose for rule in self._rules)

    def decide(self, finding: Finding, key: str, whose: Callable[[], Whose]) -> tuple[Action, int]:
        """Return the action, and how much ``keep_last`` leaves."""
        for rule in self._rules:
            if rule.concerns(finding.detector, key, whose):
                return rule.action, rule.keep
        return self._default, 4


def _matcher(globs: Sequence[str]) -> Callable[[str], object] | None:
    return re.compile("|".join(map(translate, globs))).match if globs else None


def kept_last(value: str, keep: int) -> str:
    """Return a mask with the last letters and digits behind it: never more than half of them."""
    signs = [char for char in value if char.isascii() and char.isalnum()]
    keep = min(keep, len(signs) // 2)
    return "****" + "".join(signs[len(signs) - keep :])


def keyed_hash(type_: str, value: str, key: bytes) -> str:
    """Return a name for a value that is the same wherever it occurs, and tells nothing without the key."""
    digest = hmac.digest(key, f"{type_}\0{value}".encode("utf-8", "surrogatepass"), "sha256")
    return f"<{type_}:{digest[:_HASH_BYTES].hex()}>"
