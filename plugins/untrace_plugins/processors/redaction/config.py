"""Options of ``redaction``: the Collector's."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Secret

__all__ = ["HashFunction", "RedactionConfig", "Summary"]


class HashFunction(StrEnum):
    """What a masked value is replaced with, instead of ``****``."""

    NONE = ""
    MD5 = "md5"
    SHA1 = "sha1"
    SHA3 = "sha3"
    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA512 = "hmac-sha512"


class Summary(StrEnum):
    """How much the added attributes tell about what was changed."""

    SILENT = "silent"
    INFO = "info"
    DEBUG = "debug"


_HMAC_KEY_BYTES = {HashFunction.HMAC_SHA256: 32, HashFunction.HMAC_SHA512: 64}


def _compiles(text: str) -> str:
    from untrace_plugins.processors.redaction.confirm import Pattern  # noqa: PLC0415  loads RE2 when it is needed

    try:
        Pattern(text)
    except ValueError as error:
        msg = f"no pattern in RE2's syntax: {error}"
        raise ValueError(msg) from error
    return text


PatternText = Annotated[str, AfterValidator(_compiles)]
"""A regular expression."""


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class UrlSanitizerConfig(ConfigModel):
    """The Collector's clustering of URLs; only its absence can be configured."""

    enabled: bool = False
    """Must stay false: the word model that the Collector decides with is not available."""
    attributes: list[str] = []
    """Attributes that hold URLs."""
    sanitize_span_name: bool | None = None
    """Whether span names are treated like URLs."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.enabled:
            msg = (
                "url_sanitizer is not available: its results depend on the Collector's trained word model; "
                "use blocked_values with patterns for the parts of URLs that must go"
            )
            raise ValueError(msg)
        return self


class DatabaseConfig(ConfigModel):
    """One database system of ``db_sanitizer``."""

    enabled: bool = False
    """Must stay false: see ``db_sanitizer``."""
    attributes: list[str] = []
    """Attributes that hold queries."""


class DbSanitizerConfig(ConfigModel):
    """The Collector's obfuscation of database queries; only its absence can be configured."""

    sql: DatabaseConfig = DatabaseConfig()
    """SQL databases."""
    redis: DatabaseConfig = DatabaseConfig()
    """Redis."""
    valkey: DatabaseConfig = DatabaseConfig()
    """Valkey."""
    memcached: DatabaseConfig = DatabaseConfig()
    """Memcached."""
    mongo: DatabaseConfig = DatabaseConfig()
    """MongoDB."""
    opensearch: DatabaseConfig = DatabaseConfig()
    """OpenSearch."""
    es: DatabaseConfig = DatabaseConfig()
    """Elasticsearch."""
    sanitize_span_name: bool | None = None
    """Whether span names are treated like queries."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [name for name, value in self if isinstance(value, DatabaseConfig) and value.enabled]
        if names:
            msg = (
                f"db_sanitizer.{names[0]} is not available: the query parsers of the Collector have no equal here; "
                "use blocked_values, or blocked_key_patterns for the attributes that hold queries"
            )
            raise ValueError(msg)
        return self


class RedactionConfig(ComponentConfig):
    """Which attributes may stay, and what may stand in their values. Patterns are in RE2's syntax, as in Go."""

    allow_all_keys: bool = False
    """Keep every attribute; otherwise only ``allowed_keys`` and ignored ones stay."""
    allowed_keys: list[str] = []
    """Keys of attributes that stay. Empty = none, unless ``allow_all_keys``."""
    ignored_keys: list[str] = []
    """Keys of attributes that pass unchanged and unchecked."""
    ignored_key_patterns: list[PatternText] = []
    """Patterns of such keys, for example ``^safe_``."""
    blocked_key_patterns: list[PatternText] = []
    """Patterns of keys whose values are masked whole, for example ``.*token.*``."""
    blocked_values: list[PatternText] = []
    """Patterns of values; what they match is masked, one pattern after the other."""
    allowed_values: list[PatternText] = []
    """Patterns of values that stay although they are blocked, if the pattern matches anywhere in the value."""
    redact_all_types: bool = False
    """Check values that are not strings too, as the Collector writes them as text; masked, they become strings."""
    hash_function: Annotated[HashFunction, BeforeValidator(_lowered)] = HashFunction.NONE
    """Hash of what is masked, in hexadecimal, instead of ``****``. Short secrets can be guessed from a hash without a
    key: prefer ``hmac-sha256`` or ``hmac-sha512``."""
    hmac_key: Secret = Field(default=Secret(""))
    """Key of the keyed hashes: at least 32 bytes for ``hmac-sha256``, 64 for ``hmac-sha512``."""
    summary: Summary = Summary.SILENT
    """Attributes that say what was done: ``debug`` with keys and counts, ``info`` with counts, ``silent`` without."""
    url_sanitizer: UrlSanitizerConfig = UrlSanitizerConfig()
    """Accepted while it is off."""
    db_sanitizer: DbSanitizerConfig = DbSanitizerConfig()
    """Accepted while it is off."""

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        least = _HMAC_KEY_BYTES.get(self.hash_function, 0)
        size = len(self.hmac_key.reveal().encode())
        if least and not size:
            msg = f'hmac_key must not be empty when hash_function is "{self.hash_function}"'
            raise ValueError(msg)
        if size < least:
            msg = f'hmac_key must be at least {least} bytes long for "{self.hash_function}", got {size} bytes'
            raise ValueError(msg)
        return self
