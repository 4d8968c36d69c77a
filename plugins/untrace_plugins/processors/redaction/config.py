"""Options of ``redaction``: the Collector's, and those of the detectors."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Secret
from untrace_plugins.detectors.names import resolve
from untrace_plugins.processors.mistakes import Mistake, at_their_places
from untrace_plugins.processors.redaction.content.config import (
    Action,
    CustomDetectorConfig,
    Mode,
    OnError,
    PatternText,
    PolicyConfig,
)
from untrace_plugins.processors.redaction.content.names import IDENTITY
from untrace_plugins.sealing.config import KeysConfig

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


_ACTION_KEY_BYTES = 32
_HMAC_KEY_BYTES = {HashFunction.HMAC_SHA256: 32, HashFunction.HMAC_SHA512: 64}


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


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
    detectors: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = []
    """What to find in all texts, JSON within them included: names of detectors, or of groups: `all`, `secrets`,
    `national_id`, `gdpr`, `ccpa`, `hipaa`; a single name needs no list."""
    mode: Mode | None = None
    """What a law calls personal: detectors of that group, and whatever stands in attributes that name a person, such as
    `user.id`: its keyed hash with an `hmac_key`, otherwise `<USER>`."""
    custom_detectors: list[CustomDetectorConfig] = []
    """Detectors made of a pattern each; they need not be named in `detectors`."""
    default_action: Action = Action.REPLACE
    """What happens to findings: `replace` with the type (`<EMAIL>`), `mask` (`****`, or `hash_function`), `keep_last`
    signs (`****1234`), `hash` with `hmac_key` (`<EMAIL:6d1f…>`), `token` that can be undone with its key,
    `drop_attribute`, `drop_item`, or `keep`."""
    policies: list[PolicyConfig] = []
    """Other actions for some detectors, attributes, roles, tools; the first policy that concerns a finding decides."""
    on_error: OnError = OnError.MASK
    """What happens to a text on which a detector fails: `mask` it, `pass` what the others leave, `drop` the item."""
    detector_timeout: Duration = Field(default=1.0, gt=0)
    """How long a detector of another package may take for one text; those of the daemon take linear time."""
    token: KeysConfig | None = None
    """Keys of the action `token`; `untrace-pipeline decrypt` undoes it. Needs the extra `crypto`."""
    audit_log: bool = False
    """Log once per request how many findings of which detector got which action; never what was found."""
    url_sanitizer: UrlSanitizerConfig = UrlSanitizerConfig()
    """Accepted while it is off."""
    db_sanitizer: DbSanitizerConfig = DbSanitizerConfig()
    """Accepted while it is off."""

    @property
    def keeps_all_keys(self) -> bool:
        """Whether every attribute stays: also where only detectors are named, and nothing is said of keys."""
        said = not {"allow_all_keys", "allowed_keys"}.isdisjoint(self.model_fields_set)
        return self.allow_all_keys or (self.finds and not said)

    @property
    def finds(self) -> bool:
        """Whether there are detectors."""
        return bool(self.detectors or self.mode or self.custom_detectors)

    @property
    def detector_names(self) -> tuple[str, ...]:
        """Installed detectors that are asked for, in the order of precedence."""
        return resolve([*self.detectors, *([self.mode.value] if self.mode else [])])

    def actions(self) -> set[Action]:
        """Return all actions that a finding may get."""
        return {self.default_action, *(policy.action for policy in self.policies)}

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

    @model_validator(mode="after")
    def _check_detectors(self) -> Self:
        custom = [detector.name for detector in self.custom_detectors]
        if twice := next((name for name in custom if custom.count(name) > 1), None):
            raise ValueError(f"custom_detectors has {twice!r} twice")
        if mistakes := [*self._unknown(("detectors",), self.detectors), *self._unknown_of_policies(custom)]:
            raise at_their_places(mistakes)
        if self.policies and not self.finds:
            raise ValueError("policies need detectors: detectors, mode or custom_detectors")
        if Action.HASH in self.actions() and len(self.hmac_key.reveal().encode()) < _ACTION_KEY_BYTES:
            raise ValueError(f"the action hash needs an hmac_key of at least {_ACTION_KEY_BYTES} bytes")
        if Action.TOKEN in self.actions() and self.token is None:
            raise ValueError("the action token needs a key: token.key or token.key_file")
        return self

    def _unknown_of_policies(self, custom: list[str]) -> Iterator[Mistake]:
        for place, policy in enumerate(self.policies):
            yield from self._unknown(("policies", place, "detectors"), policy.detectors, {*custom, IDENTITY})

    @staticmethod
    def _unknown(path: tuple[str | int, ...], names: list[str], own: Collection[str] = ()) -> Iterator[Mistake]:
        for place, name in enumerate(names):
            try:
                resolve([] if name in own else [name])
            except ValueError as error:
                yield (*path, place), error

    def unseal(self, text: str) -> str:
        """Return a text with everything readable again that tokens with one of the keys stand for."""
        if self.token is None:
            return text
        from untrace_plugins.sealing.keys import Keys  # noqa: PLC0415  needs the extra
        from untrace_plugins.sealing.reveal import reveal  # noqa: PLC0415

        return reveal(text, Keys.load(self.token, "token"))
