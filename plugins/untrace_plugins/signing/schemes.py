"""Where senders put their signatures, and what they sign: one description for all that use HMAC."""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from untrace_plugins.signing.keys import HmacKey, VerifyingKey, verifying_key

__all__ = ["SCHEMES", "Encoding", "Form", "Scheme", "SignatureError", "read_keys", "verify"]

_PLACES = re.compile(r"\{(id|timestamp|body)\}")
_MOST_SIGNATURES = 20


class SignatureError(Exception):
    """A request is not signed as it should be; says why, and quotes nothing."""


class Encoding(enum.StrEnum):
    """How a signature is written."""

    HEX = "hex"
    BASE64 = "base64"


class Form(enum.StrEnum):
    """What the header of the signature holds."""

    PLAIN = "plain"
    """One signature."""
    PAIRS = "pairs"
    """``t=<timestamp>,v1=<signature>,v1=<signature>``."""
    VERSIONS = "versions"
    """``v1,<signature> v1a,<signature>``."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a sender signs."""

    header: str
    """Of the signature, in lower case."""
    content: str = "{body}"
    """What is signed: ``{id}``, ``{timestamp}`` and ``{body}`` with text between."""
    form: Form = Form.PLAIN
    encoding: Encoding = Encoding.HEX
    prefix: str = ""
    """Before each signature: ``sha256=``; of pairs the name of those that count."""
    timestamp_header: str = ""
    id_header: str = ""
    algorithm: str = "sha256"
    standard_keys: bool = False
    """Whether keys are those of Standard Webhooks: ``whsec_…``, ``whpk_…``."""


_STANDARD = Scheme(
    header="webhook-signature",
    content="{id}.{timestamp}.{body}",
    form=Form.VERSIONS,
    encoding=Encoding.BASE64,
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    standard_keys=True,
)
SCHEMES: Final[Mapping[str, Scheme]] = {
    "standard_webhooks": _STANDARD,
    "svix": Scheme(
        header="svix-signature",
        content=_STANDARD.content,
        form=_STANDARD.form,
        encoding=_STANDARD.encoding,
        timestamp_header="svix-timestamp",
        id_header="svix-id",
        standard_keys=True,
    ),
    "github": Scheme(header="x-hub-signature-256", prefix="sha256="),
    "stripe": Scheme(header="stripe-signature", form=Form.PAIRS, prefix="v1", content="{timestamp}.{body}"),
    "slack": Scheme(
        header="x-slack-signature",
        prefix="v0=",
        content="v0:{timestamp}:{body}",
        timestamp_header="x-slack-request-timestamp",
    ),
    "langfuse": Scheme(header="x-langfuse-signature", form=Form.PAIRS, prefix="v1", content="{timestamp}.{body}"),
    "helicone": Scheme(header="helicone-signature"),
}


def read_keys(scheme: Scheme, secrets: Sequence[str]) -> list[VerifyingKey]:
    """Return the keys of secrets. Raises ``ValueError`` that does not quote them, ``ImportError`` without a library."""
    if scheme.standard_keys:
        return [verifying_key(secret) for secret in secrets]
    return [HmacKey(secret.encode(), scheme.algorithm) for secret in secrets]


def verify(
    scheme: Scheme,
    keys: Sequence[VerifyingKey],
    header: Callable[[str], str],
    body: bytes,
    now: float,
    tolerance: float,
) -> str:
    """Return an id of what was sent, the same if it is sent again. Raises :class:`SignatureError`.

    ``header`` returns a header by its name in lower case, empty if it is absent; ``tolerance`` is how far a timestamp
    may be from ``now``, in seconds.
    """
    given = header(scheme.header)
    if not given:
        raise SignatureError(f"the header {scheme.header} is missing")
    timestamp, signatures = _read(scheme, given, header)
    id = header(scheme.id_header) if scheme.id_header else ""  # noqa: A001
    if scheme.id_header and not id:
        raise SignatureError(f"the header {scheme.id_header} is missing")
    if "{timestamp}" in scheme.content or timestamp:
        _check_time(timestamp, now, tolerance)
    content = _content(scheme, id, timestamp, body)
    right = False
    for key in keys:
        right |= key.matches(content, [raw for version, raw in signatures if version in {"", key.version}])
    if not right:
        raise SignatureError("no signature matches")
    return id or hashlib.sha256(content).hexdigest()


def _read(scheme: Scheme, given: str, header: Callable[[str], str]) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the timestamp, and the signatures with their versions."""
    timestamp = header(scheme.timestamp_header) if scheme.timestamp_header else ""
    found: Iterator[tuple[str, str]]
    match scheme.form:
        case Form.PAIRS:
            pairs = [pair.strip().partition("=") for pair in given.split(",")]
            timestamp = next((value for name, _, value in pairs if name == "t"), timestamp)
            found = (("", value) for name, _, value in pairs if name == scheme.prefix)
        case Form.VERSIONS:
            parts = [part.partition(",") for part in given.split()]
            found = ((version, value) for version, _, value in parts)
        case _:
            text = given.strip()
            found = iter([("", text.removeprefix(scheme.prefix))] if text.startswith(scheme.prefix) else [])
    return timestamp, [(version, _decoded(scheme.encoding, text)) for version, text in [*found][:_MOST_SIGNATURES]]


def _decoded(encoding: Encoding, text: str) -> bytes:
    try:
        return bytes.fromhex(text) if encoding is Encoding.HEX else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _check_time(timestamp: str, now: float, tolerance: float) -> None:
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 15:  # noqa: PLR2004
        raise SignatureError("the timestamp is no number of seconds")
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureError("the timestamp is too far from now")


def _content(scheme: Scheme, id: str, timestamp: str, body: bytes) -> bytes:
    places = {"id": id.encode("latin-1", "replace"), "timestamp": timestamp.encode("latin-1", "replace"), "body": body}
    parts = _PLACES.split(scheme.content)
    return b"".join([places[part] if place % 2 else part.encode() for place, part in enumerate(parts)])
