"""Keys and tokens: those whose vendor gives them a form, and others beside a name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.gates import any_case
from untrace_plugins.detectors.regex import Match, Regex
from untrace_plugins.detectors.secrets import MIN_OPAQUE, is_opaque, is_placeholder, is_random
from untrace_plugins.detectors.tables import cells_below
from untrace_plugins.detectors.vendors import VENDORS

__all__ = ["API_KEY", "ApiKeyDetector"]

_KEY = (
    r"(?:api|access|secret|auth|private|signing|encryption|master|license|subscription|shared|account|service|client|"
    r"webhook|admin|storage|function|hmac|aws|openai|anthropic|azure|mistral|cohere)[_ -]?keys?|"
    r"tokens?|secrets?|credentials?|authorization|auth|bearer|sig|signature|\bkey|"
    r"キー|clé(?: d'api| api)?|schlüssel|密钥|密鑰|klucz(?: api)?|chave(?: de api| api)?|clave(?: de api| api)?"
)
"""Names of values that are secrets if they look random."""
_STEMS = (
    *(
        "key",
        "keys",
        "token",
        "tokens",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "auth",
        "authorization",
        "bearer",
    ),
    *(
        "sig",
        "signature",
        "キー",
        "キーは",
        "clé",
        "clé api",
        "clé d'api",
        "schlüssel",
        "密钥",
        "密鑰",
        "klucz",
        "klucz api",
    ),
    *("chave", "chave api", "chave de api", "clave", "clave api", "clave de api"),
)
"""The same for the prefilter: how they end."""
_HEADS = ("key", "token", "secret", "credential", "authorization")
_IS = r"(?:is|ist|lautet|est|es|é|è|to|är|jest|was)(?: now)?"
_TYPE = r"(?:str|string|secretstr|bytes)"
_SCHEME = r"(?:(?:bearer|token|basic|apikey|key)\s{1,2})?"
_VALUE = r"[A-Za-z0-9_+/=.~:-]"
_PUBLIC = Regex(
    r"(?i)(?:public|primary|foreign|partition|sort|cache|idempotency|dedup\w*|routing|composite|row|object|lookup|page|"
    r"next|continuation|csrf|xsrf|cursor|sync)[_ -]?$"
)
"""What stands before ``key`` or ``token`` in names that are no secrets."""
_CALLED = ("(", "[")
"""Behind a name in code."""
_REST = re.compile(rf"{_VALUE}{{0,496}}")
_COUNTED = re.compile(r"([A-Za-z0-9(?:|)]*[_-].*?)\{\d\d")
"""A form with a prefix, up to its first long repetition."""
_BEFORE = 24
_MIN_VARIETY = 8
"""Different characters of a vendor's key; ``sk-xxxxxxxx`` has fewer."""


class ApiKeyDetector:
    """Finds keys in the form of their vendor, values beside a name for keys, and what follows ``Bearer``."""

    name = "api_key"

    def __init__(self) -> None:
        self._vendor = Regex(rf"\b(?:{'|'.join(VENDORS.values())})")
        self._named = Regex(
            rf"(?i)(?:{_KEY})[\"'`\])*]{{0,3}}[ \t]{{0,4}}(?::\s?{_TYPE}\s?)?"
            rf"(?:=>|:=|={{1,2}}|:|>|は|[ \t]{_IS}:?[ \t]|[ \t])\s{{0,4}}[\"'`]{{0,3}}{_SCHEME}{_VALUE}{{16}}"
        )
        self._bearer = Regex(rf"(?i)\bbearer\s{{1,4}}{_VALUE}{{16}}")
        self._head = Regex(
            r"(?i)(?:^|[^\pL])(?:api[_ -]?keys?|secrets?|token|access[_ -]?keys?|credentials?|authorization)(?:$|"
            r"[^\pL])"
        )
        names = "|".join(any_case(_STEMS))
        self.prefilter: Sequence[str] = (
            "|".join(map(_opening, VENDORS.values())),
            rf"(?:{names})[^A-Za-z0-9]{{1,8}}(?:[A-Za-z]{{1,9}}[^A-Za-z0-9]{{1,8}}){{0,2}}{_VALUE}{{16}}",
            rf"(?:{'|'.join(any_case(_HEADS))})[Ss]?[ *\"]{{0,4}}(?:[|,;\t]|\\+t)",
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the keys in a text."""
        for match in self._vendor.distinct(text):
            start, end = match.spans[0]
            if _is_vendors(text[start:end]):
                yield self._finding(start, end)
        for match in self._named.matches(text):
            start, end = _value(match)
            before = text[max(0, match.start - _BEFORE) : match.start]
            if is_opaque(text[start:end]) and not _PUBLIC.search(before) and text[end : end + 1] not in _CALLED:
                yield self._finding(start, end)
        for match in self._bearer.matches(text):
            start, end = _value(match)
            if not is_placeholder(text[start:end]):
                yield self._finding(start, end)
        if "\n" in text and self._head.search(text):
            yield from self._in_columns(text)

    def _in_columns(self, text: str) -> Iterator[Finding]:
        for start, end in cells_below(text, self._head):
            if is_opaque(text[start:end]):
                yield self._finding(start, end)

    def _finding(self, start: int, end: int) -> Finding:
        return Finding(start, end, "API_KEY", self.name)


def _value(match: Match) -> tuple[int, int]:
    """Return where the value lies, whose first characters end a match: engines that note groups are much slower."""
    start = match.end - MIN_OPAQUE
    rest = _REST.match(match.text, match.end)
    assert rest is not None
    return start, start + len(match.text[start : rest.end()].rstrip(".:"))


def _opening(pattern: str) -> str:
    """Return the beginning of a form with a prefix: engines need not count to forty. ``sk-`` is in many words."""
    counted = _COUNTED.match(pattern)
    return f"{counted[1]}{{10}}" if counted is not None and not pattern.startswith("sk-") else pattern


def _is_vendors(value: str) -> bool:
    """Whether it is no placeholder, nor, behind the prefix that many use, a name with dashes."""
    return is_random(value) if value.startswith("sk-") else len(set(value)) >= _MIN_VARIETY


API_KEY = ApiKeyDetector()
