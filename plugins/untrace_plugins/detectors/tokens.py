"""Secrets that can be told from their structure: JSON Web Tokens and private keys."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.regex import Regex

__all__ = ["JWT", "PRIVATE_KEY", "JwtDetector", "PrivateKeyDetector"]


class JwtDetector:
    """Finds JSON Web Tokens (RFC 7519), signed or encrypted, by a header that decodes."""

    name = "jwt"
    prefilter: Sequence[str] = (r"eyJ[A-Za-z0-9_-]{8}",)

    def __init__(self) -> None:
        self._regex = Regex(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the tokens in a text."""
        for match in self._regex.distinct(text):
            start, end = match.spans[0]
            if _is_header(text[start:end].partition(".")[0]):
                yield Finding(start, end, "JWT", self.name)


def _is_header(segment: str) -> bool:
    try:
        header = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (Base64Error, ValueError):
        return False
    return b'"alg"' in header or b'"typ"' in header or b'"enc"' in header or b'"kid"' in header


_FOOTER = "-----END "
_DASHES = "-----"
_MAX_BODY = 1 << 16
"""Characters of a block that is cut off."""


class PrivateKeyDetector:
    """Finds private keys: PEM (RFC 7468), OpenSSH, PGP and PuTTY blocks, whole; cut off, as far as they go."""

    name = "private_key"
    prefilter: Sequence[str] = (r"PRIVATE KEY", r"PuTTY-User-Key-File")

    def __init__(self) -> None:
        self._begin = Regex(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d:")
        self._body = Regex(
            r"^(?:\s|[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/]{1,15}={0,2}(?:\s|$)|[A-Za-z-]{2,20}: [^\n]{0,100}\n)*"
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the blocks in a text."""
        last = 0
        for match in self._begin.matches(text):
            start, body = match.spans[0]
            if start >= last:
                last = self._end(text, start, body)
                yield Finding(start, last, "PRIVATE_KEY", self.name)

    def _end(self, text: str, start: int, body: int) -> int:
        if text.startswith("PuTTY", start):
            mac = text.find("Private-MAC:", body)
            return len(text) if mac < 0 else (text.find("\n", mac) + 1 or len(text))
        following = text.find("-----BEGIN ", body)
        stop = following if following >= 0 else len(text)
        footer = text.find(_FOOTER, body, stop)
        if footer >= 0:
            closing = text.find(_DASHES, footer + len(_FOOTER))
            return len(text) if closing < 0 else closing + len(_DASHES)
        return self._body_end(text, body, min(stop, body + _MAX_BODY))

    def _body_end(self, text: str, body: int, stop: int) -> int:
        """Return where lines of Base64 end, for a block without its last line."""
        match = next(self._body.matches(text[body:stop]))
        return body + len(text[body : body + match.spans[0][1]].rstrip())


JWT = JwtDetector()
PRIVATE_KEY = PrivateKeyDetector()
