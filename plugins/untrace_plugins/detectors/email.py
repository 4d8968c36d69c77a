"""E-mail addresses (RFC 5321, RFC 6531), also as people write them for people: ``jane (at) example (dot) com``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.gates import AT, any_case
from untrace_plugins.detectors.regex import Match, Regex

__all__ = ["EMAIL", "EmailDetector"]

_FILE = re.compile(
    r"(?i)(?:png|jpe?g|gif|webp|svg|ico|bmp|s?css|less|[mc]?jsx?|[mc]?tsx?|py|rb|go|rs|java|kt|php|mdx?|json|ya?ml|toml|lock|"
    r"html?|pdf|run|get|post|put|delete|route|property)\Z"
)
"""Ends of file names, as in ``logo@2x.png``, and of code."""
_MAX_LOCAL, _MAX_DOMAIN = 64, 256
_LOCAL = re.compile(r"[\w.%+'!#$*^~-]+")
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9._%+-]+")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[^\W_]|-){0,62}\.){1,8}(?:[A-Za-z]{2,24}|[^\W\d_a-zA-Z]{2,24}|xn--[A-Za-z0-9-]{1,59})"
)
_UNSPACED = re.compile(r"\A[\u0e00-\u0eff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Letters of scripts that put no space between words, before the letters of an address."""
_AROUND = "'*!#$%^"
"""Legal at the beginning of an address, but in texts they stand before one. Rare ones are left out."""

_DOT_WORD = r" +(?:dot|punkt|punto|point) +"
_DOT = rf"(?: ?[\[({{<] ?(?:dot|\.|punkt|punto|point) ?[\])}}>] ?|{_DOT_WORD}|\.)"
_LABELS = r"(?i)(?:[a-z0-9-]{{1,63}}{}){{1,4}}"
_SPELLED: tuple[tuple[Regex, re.Pattern[str]], ...] = (
    (
        Regex(r"(?i)([a-z0-9]) ?[\[({<] ?(?:at|@|ät|arroba) ?[\])}>] ?()[a-z0-9]"),
        re.compile(_LABELS.format(_DOT) + r"[a-z]{2,10}(?![a-z0-9])"),
    ),
    (
        Regex(rf"(?i)([a-z0-9]) (?:at|arroba) ()[a-z0-9-]+{_DOT_WORD}"),
        re.compile(_LABELS.format(_DOT_WORD) + r"[a-z]{2,10}(?![a-z0-9])"),
    ),
    (
        Regex(r"(?i)([a-z0-9])(?: @ ?|@ )()[a-z0-9]"),
        re.compile(_LABELS.format(r"\.") + r"(?:com|org|net|edu|gov|info|io|[a-z]{2})(?![a-z0-9])"),
    ),
)
"""What stands for an at sign, between the end of the local part and the domain; and the domain."""


class EmailDetector:
    """Finds addresses. Package versions, decorators, remotes of git and users of URLs are none."""

    name = "email"
    prefilter: Sequence[str] = (
        AT,
        r"@ [A-Za-z0-9-]+\.[A-Za-z]",
        r"[\[({<] ?(?:[Aa][Tt]|@|ät|ÄT|[Aa][Rr][Rr][Oo][Bb][Aa]) ?[\])}>]",
        *any_case((" dot ", " punkt ", " punto ", " point ")),
    )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in a text."""
        at = text.find("@")
        while at >= 0:
            found = _around(text, at)
            if found is not None:
                yield Finding(*found, "EMAIL", self.name)
            at = text.find("@", at + 1)
        for regex, domains in _SPELLED:
            for match in regex.distinct(text):
                found = _spelled(match, domains)
                if found is not None:
                    yield Finding(*found, "EMAIL", self.name)


def _spelled(match: Match, domains: re.Pattern[str]) -> tuple[int, int] | None:
    """Return where the address around a word or sign for at lies."""
    text, end, start = match.text, match.spans[1][1], match.spans[2][0]
    local = _PLAIN_LOCAL.match(text[max(0, end - _MAX_LOCAL) : end][::-1])
    domain = domains.match(text, start, start + _MAX_DOMAIN)
    if local is None or domain is None or _FILE.match(domain.group().rpartition(".")[2]):
        return None
    return end - local.end(), domain.end()


def _around(text: str, at: int) -> tuple[int, int] | None:
    """Return where the address around an at sign lies."""
    local = _LOCAL.match(text[max(0, at - _MAX_LOCAL) : at][::-1])
    domain = _DOMAIN.match(text, at + 1, at + _MAX_DOMAIN)
    if local is None or domain is None or _FILE.match(domain.group().rpartition(".")[2]):
        return None
    name = local.group()[::-1].lstrip(_AROUND)
    name = _UNSPACED.sub("", name) or name
    start, end = at - len(name), domain.end()
    before = text[max(0, start - _MAX_LOCAL) : start]
    if not name.strip(".") or before.endswith("//") or (text[end : end + 1] == ":" and name in {"git", "hg"}):
        return None
    # A password in a URL is found whole, by url_credentials.
    return None if before.endswith(":") and "://" in before else (start, end)


EMAIL = EmailDetector()
