"""From a dead letter to a row of the database, and back: compressed, sealed where there is a key, checked by CRC."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import zstandard

from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters.letter import FiledLetter
from untrace_pipeline.delivery.storage import DeadLetter
from untrace_pipeline.errors import Code, PermanentError

__all__ = ["COLUMNS", "Cipher", "LetterEncoding", "Row", "without_credentials"]

COLUMNS = (
    "exporter, destination, reason, code, attempts, failed_at, received_at, signal, items, bytes, stored, crc, "
    "encoding, tenant, key, details"
)
"""Of a row that is added, in the order of :attr:`Row.values`."""

ZSTD, SEALED = 1, 2
"""Bits of the column ``encoding``: what was done to the payload, and whether payload and details are encrypted."""
WORTHWHILE = 0.9
"""Compression is kept where it leaves less than this share."""
ROW_BYTES = 200
"""What a row takes besides its texts and its payload, about: indexes, numbers, headers of pages."""

_CREDENTIALS = re.compile(
    r"authori[sz]ation|\bauth$|token|secret|passw|credential|cookie|signature|"
    r"(?:api|access|private|secret|license|account|ingest(?:ion)?|subscription|write|function|functions)[-_]?key|"
    r"\bx-honeycomb-team\b|jwt"
)


class Cipher(Protocol):
    """Authenticated encryption; what was sealed for one purpose does not open for another."""

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        """Return the data encrypted."""

    def open(self, data: bytes, purpose: bytes) -> bytes:
        """Return what was sealed. Raises :class:`LookupError` without its key, ``ValueError`` where it is damaged."""


@dataclass(frozen=True, slots=True)
class Row:
    """A letter as it is added: values of :data:`COLUMNS`, the payload, and about what both take in the database."""

    values: Sequence[object]
    payload: bytes
    stored: int


def without_credentials(metadata: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return request headers without those whose names say that they carry credentials."""
    return {name: values for name, values in metadata.items() if not _CREDENTIALS.search(name.lower())}


class LetterEncoding:
    """Stateless but for the key; every method may run in any thread."""

    def __init__(self, cipher: Cipher | None = None) -> None:
        self._cipher = cipher

    def row(self, letter: DeadLetter) -> Row:
        """Return what is added for a letter."""
        metadata = without_credentials(letter.metadata)
        details = json.dumps({"message": letter.message, "metadata": metadata}, separators=(",", ":")).encode()
        payload, encoding = _compressed(letter.payload)
        if self._cipher is not None:
            encoding |= SEALED
            payload, details = self._cipher.seal(payload, b"payload"), self._cipher.seal(details, b"details")
        stored = len(payload) + len(details) + ROW_BYTES
        values = (
            letter.exporter,
            _text(letter.destination),
            str(letter.reason),
            letter.code,
            letter.attempts,
            letter.failed_at,
            letter.received_at,
            str(letter.signal),
            letter.items,
            len(letter.payload),
            stored,
            zlib.crc32(letter.payload),
            encoding,
            None if letter.tenant is None else _text(letter.tenant),
            letter.key,
            details,
        )
        return Row(values, payload, stored)

    def details(self, message: str, metadata: Mapping[str, tuple[str, ...]], encoding: int) -> bytes:
        """Return the details of a letter whose message changed, in the form that the rest of it has."""
        details = json.dumps({"message": message, "metadata": metadata}, separators=(",", ":")).encode()
        return self._key().seal(details, b"details") if encoding & SEALED else details

    def letter(self, row: Any) -> FiledLetter:
        """Return the letter of a row (a mapping of columns). Raises ``ValueError`` for one that makes no sense."""
        message, metadata = self._open_details(bytes(row["details"]), row["encoding"])
        return FiledLetter(
            id=row["id"],
            exporter=row["exporter"],
            destination=row["destination"],
            reason=row["reason"],
            code=row["code"],
            message=message,
            attempts=row["attempts"],
            failed_at=row["failed_at"],
            received_at=row["received_at"],
            signal=Signal(row["signal"]),
            items=row["items"],
            bytes=row["bytes"],
            tenant=row["tenant"],
            metadata=metadata,
            key=row["key"],
            replayed_at=row["tried_at"],
        )

    def payload(self, id: int, data: bytes, encoding: int, size: int, crc: int) -> bytes:
        """Return the original bytes.

        Raises :class:`PermanentError`: DATA_LOSS where they are damaged, FAILED_PRECONDITION without their key.
        """
        try:
            if encoding & SEALED:
                data = self._key().open(data, b"payload")
            if encoding & ZSTD:
                data = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
        except LookupError as error:
            code = Code.FAILED_PRECONDITION
            raise PermanentError(f"payload of dead letter {id}: {error.args[0]}", code=code) from error
        except (ValueError, zstandard.ZstdError) as error:
            raise PermanentError(f"payload of dead letter {id}: {error}", code=Code.DATA_LOSS) from error
        if len(data) != size or zlib.crc32(data) != crc:
            raise PermanentError(f"payload of dead letter {id} is damaged: its checksum is wrong", code=Code.DATA_LOSS)
        return data

    def _open_details(self, details: bytes, encoding: int) -> tuple[str, Mapping[str, tuple[str, ...]]]:
        try:
            if encoding & SEALED:
                details = self._key().open(details, b"details")
            found = json.loads(details)
            metadata = {str(name): tuple(values) for name, values in found["metadata"].items()}
            return str(found["message"]), metadata
        except LookupError as error:
            return f"({error.args[0]})", {}
        except (ValueError, TypeError, AttributeError) as error:
            return f"(unreadable: {error})", {}

    def _key(self) -> Cipher:
        if self._cipher is None:
            msg = "it is encrypted, and the storage has no key: set its encryption as it was"
            raise LookupError(msg)
        return self._cipher


def _compressed(payload: bytes) -> tuple[bytes, int]:
    smaller = zstandard.ZstdCompressor().compress(payload)
    return (smaller, ZSTD) if len(smaller) < WORTHWHILE * len(payload) else (payload, 0)


def _text(value: str) -> str:
    """Return text that the database takes: headers may bring bytes that are no characters."""
    return value.encode("utf-8", "backslashreplace").decode()
