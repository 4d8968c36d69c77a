"""E-mail addresses (RFC 5321, RFC 6531), also as people write them for people: ``jane (at) example (dot) com``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.regex import Match, Regex

__all__ = ["EMAIL", "EmailDetector"]

_LOCAL = r"[\pL\pM\pN._%+'!#$&*/=?^{}|~-]{0,63}[\pL\pM\pN_%+'!#$&*/=?^{}|~-]"
_LABEL = r"[\pL\pM\pN](?:[\pL\pM\pN-]{0,61}[\pL\pM\pN])?"
_FILE = re.compile(
    r"(?i)(?:png|jpe?g|gif|webp|svg|ico|bmp|s?css|less|[mc]?jsx?|[mc]?tsx?|py|rb|go|rs|java|kt|php|mdx?|json|ya?ml|toml|lock|"
    r"html?|pdf|run|get|post|put|delete|route|property)\Z"
)
"""Ends of file names, as in ``logo@2x.png``, and of code."""
_MAX_LOCAL = 64
_AT = r"[\[({<] ?(?:at|@|ät|arroba) ?[\])}>]"
_DOT_WORD = r" +(?:dot|punkt|punto|point) +"
_DOT = rf"(?: ?[\[({{<] ?(?:dot|\.|punkt|punto|point) ?[\])}}>] ?|{_DOT_WORD}|\.)"


class EmailDetector:
    """Finds addresses. Package versions, decorators, remotes of git and users of URLs are none."""

    name = "email"
    prefilter: Sequence[str] = (
        r"[^\s\"(),:;<>@\[\]\\] ?@ ?[^\s\"'(),:;<>@\[\]\\/]+\.(?:[A-Za-z]|[^\x00-\x7f])",
        r"(?i)[\[({<] ?(?:at|@|ät|arroba) ?[\])}>]",
        r"(?i)[a-z0-9] (?:at|arroba) [a-z0-9-]+ +(?:dot|punkt|punto|point) ",
    )

    def __init__(self) -> None:
        dotted = rf"(?:[a-z0-9-]{{1,63}}{_DOT}){{1,4}}[a-z]{{2,10}}"
        self._regexes = (
            Regex(rf"(?i)({_LOCAL})@((?:{_LABEL}\.){{1,8}}(?:\pL{{2,24}}|xn--[a-z0-9-]{{1,59}}))"),
            Regex(rf"(?i)\b([a-z0-9._%+-]{{1,64}}) ?{_AT} ?({dotted})\b"),
            Regex(
                rf"(?i)\b([a-z0-9._%+-]{{1,64}}) (?:at|"
                rf"arroba) ((?:[a-z0-9-]{{1,63}}{_DOT_WORD}){{1,4}}[a-z]{{2,10}})\b"
            ),
            Regex(
                r"(?i)\b([a-z0-9._%+-]{2,64}) ?@ ?((?:[a-z0-9-]{1,63}\.){1,4}(?:com|org|net|edu|gov|info|io|"
                r"[a-z]{2}))\b"
            ),
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in a text."""
        for regex in self._regexes:
            last = 0
            for match in regex.matches(text):
                start, end = match.spans[0]
                if start >= last:
                    last = end
                    if self._is_address(match):
                        yield self._finding(match)

    def _is_address(self, match: Match) -> bool:
        text = match.text
        start, end = match.spans[0]
        local, domain = (text[slice(*span)] for span in match.spans[1:3])
        if _FILE.match(domain.rpartition(".")[2]):
            return False
        before = text[max(0, start - 3) : start]
        if before.endswith("//") or (text[end : end + 1] == ":" and local.rpartition("/")[2] in {"git", "hg"}):
            return False
        # A password in a URL is found whole, by url_credentials.
        return not (before.endswith(":") and "://" in text[max(0, start - _MAX_LOCAL) : start])

    def _finding(self, match: Match) -> Finding:
        start, end = match.spans[0]
        while match.text[start] in "'/=?&{|*!#$%^":  # legal, but here what stands around an address
            start += 1
        return Finding(start, end, "EMAIL", self.name)


EMAIL = EmailDetector()
