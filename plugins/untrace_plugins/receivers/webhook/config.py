"""Options of the ``webhook`` receiver."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Remark, Secret, Size, Surroundings
from untrace_pipeline.data import Signal
from untrace_pipeline.net.http_settings import HttpServerConfig
from untrace_plugins.receivers.webhook.presets import PRESETS
from untrace_plugins.shaping.expressions import compile_expression, compile_structure
from untrace_plugins.signing.schemes import SCHEMES, Encoding, Scheme, read_keys

__all__ = ["LogMapping", "Preset", "SchemeName", "SourceConfig", "SpanMapping", "WebhookReceiverConfig"]

Preset = enum.StrEnum("Preset", {name.upper(): name for name in PRESETS})  # type: ignore[misc]
_OWN = ("hmac", "token", "none")
SchemeName = enum.StrEnum("SchemeName", {name.upper(): name for name in (*SCHEMES, *_OWN)})  # type: ignore[misc]
_MAPPINGS = frozenset({"log", "span", "trace"})


class Algorithm(enum.StrEnum):
    """Hashes of HMAC."""

    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"


class HmacConfig(ConfigModel):
    """``hmac``: a signature that no other scheme describes."""

    header: str = Field("x-signature", min_length=1)
    """Header of the signature."""
    algorithm: Algorithm = Algorithm.SHA256
    """``sha256``, ``sha512``, or ``sha1`` where the sender knows nothing else."""
    encoding: Encoding = Encoding.HEX
    """``hex`` or ``base64``."""
    prefix: str = ""
    """What stands before the signature. Example: ``sha256=``."""
    content: str = "{body}"
    """What is signed: ``{body}``, with ``{timestamp}`` and ``{id}`` where they are. Example: ``{timestamp}.{body}``."""
    timestamp_header: str = ""
    """Header of the time, in seconds since 1970; needed for ``{timestamp}``."""
    id_header: str = ""
    """Header of the id; needed for ``{id}``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "{body}" not in self.content:
            msg = "content with {body}: what is not signed proves nothing"
            raise ValueError(msg)
        for part, header in (("{timestamp}", self.timestamp_header), ("{id}", self.id_header)):
            if part in self.content and not header:
                msg = f"{part.strip('{}')}_header for {part} in content"
                raise ValueError(msg)
        return self

    def scheme(self) -> Scheme:
        """Return it as a scheme."""
        return Scheme(
            header=self.header.lower(),
            content=self.content,
            encoding=self.encoding,
            prefix=self.prefix,
            timestamp_header=self.timestamp_header.lower(),
            id_header=self.id_header.lower(),
            algorithm=self.algorithm.value,
        )


class _Mapping(ConfigModel):
    """Options that are expressions."""

    @field_validator("*", mode="after")
    @classmethod
    def _compiles(cls, value: Any, info: ValidationInfo) -> Any:
        for text in value.values() if isinstance(value, Mapping) else [value]:
            if isinstance(text, str):
                compile_expression(text)
        return value


class LogMapping(_Mapping):
    """``log``: a log record per event. Every option is an expression."""

    body: str = "$"
    """What the record says. ``$`` = the whole event."""
    event_name: str = ""
    """Name of the event. Example: ``$.type``."""
    time: str = ""
    """When it happened: ISO 8601, or seconds or milliseconds since 1970; absent = when it came."""
    severity: str = ""
    """``debug``, ``info``, ``warn``, ``error`` or ``fatal``, in any case; another text is kept as it is."""
    trace_id: str = ""
    """Trace that it belongs to; a UUID or 32 hexadecimal digits as they are, anything else is hashed."""
    span_id: str = ""
    """Span that it belongs to; 16 hexadecimal digits as they are, anything else is hashed."""
    attributes: dict[str, str] = {}
    """Attributes, by their keys."""
    resource: dict[str, str] = {}
    """Attributes of the resource; ``service.name`` is the name of the source unless it is set."""


class SpanMapping(_Mapping):
    """``span``: a span per event. Every option is an expression."""

    name: str
    """Name of the span."""
    trace_id: str = ""
    """As for ``log``; absent = that of ``parent_id``, else of ``span_id``."""
    span_id: str = ""
    """Id of the span; absent = a new one."""
    parent_id: str = ""
    """Id of the span above."""
    start_time: str = ""
    """When it began: ISO 8601, or seconds or milliseconds since 1970; absent = at the end, less ``duration_ms``."""
    end_time: str = ""
    """When it ended; absent = the start and ``duration_ms``, or when it came."""
    duration_ms: str = ""
    """How long it took, in milliseconds."""
    error: str = ""
    """Text of the error; where it finds one, the span failed."""
    attributes: dict[str, str] = {}
    """Attributes, by their keys."""
    resource: dict[str, str] = {}
    """Attributes of the resource; ``service.name`` is the name of the source unless it is set."""


class SourceConfig(ConfigModel):
    """A sender, or several of the same kind."""

    preset: Preset | None = None
    """Scheme and mapping of a well-known sender; what is set besides wins: ``github``, ``stripe``, ``slack``, ``svix``,
    ``standard_webhooks``, ``langfuse``, ``langsmith``, ``helicone``, ``untrace``, ``core_trace``."""
    path: str = Field("", pattern=r"^(/[^\s?#*]*)?$")
    """Path of the URL; absent = ``/webhooks/<name of the source>``."""
    scheme: SchemeName | None = None
    """How it signs: ``standard_webhooks``, ``svix``, ``github``, ``stripe``, ``slack``, ``langfuse``, ``helicone``,
    ``hmac`` (described by ``hmac``), ``token`` (a header holds a secret), or ``none``."""
    secrets: list[Secret] = []
    """Any of them may sign, so that a secret can be exchanged. Example: ``["${env:GITHUB_SECRET}"]``."""
    secret_files: list[str] = []
    """Files with one secret per line; a changed file is in force within a second."""
    token_header: str = Field("authorization", min_length=1)
    """Header of the scheme ``token``; ``Bearer`` before the secret is passed over."""
    hmac: HmacConfig | None = None
    """The scheme ``hmac``."""
    tolerance: Duration = Field(300.0, gt=0)
    """How far a signed time may be from now, either way."""
    replay_window: Duration = Field(600.0, ge=0)
    """How long events are remembered that were taken, so that none is taken twice; 0 = not at all."""
    tenant: str | None = Field(None, min_length=1)
    """Customer that the events belong to."""
    only: dict[str, list[str]] = {}
    """Expressions, and the values that they must have; other events are acknowledged and ignored. Example:
    ``{$.type: [invoice.paid]}``."""
    events: str = ""
    """Expression that finds the event in the body, or several of them. Example: ``$.events[*]``. Absent = the body."""
    event_id: str = ""
    """Expression over the body that tells repetitions. Example: ``$.id``. Absent = the signed id, or the content."""
    log: LogMapping | None = None
    """Makes a log record of each event."""
    span: SpanMapping | None = None
    """Makes a span of each event."""
    trace: dict[str, Any] | str | None = None
    """Makes a span of each event in the words of the core trace: a map whose texts are expressions, or an expression
    that finds a whole core trace. Example: ``{model: $.model, provider: openai, request: {prompt: $.prompt}}``."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        preset = PRESETS.get(str(given.get("preset"))) if isinstance(given, Mapping) else None
        if preset is None:
            return given
        own = {"log", "span", "trace"} & given.keys()
        return {
            **{key: value for key, value in preset.items() if not own or key not in {"log", "span", "trace"}},
            **given,
        }

    @field_validator("events", "event_id")
    @classmethod
    def _compiles(cls, text: str) -> str:
        compile_expression(text)
        return text

    @field_validator("only")
    @classmethod
    def _all_compile(cls, only: dict[str, list[str]]) -> dict[str, list[str]]:
        for text in only:
            compile_expression(text)
        return only

    @field_validator("trace")
    @classmethod
    def _structure_compiles(cls, trace: Any) -> Any:
        compile_structure(trace)
        return trace

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(mapping is not None for mapping in (self.log, self.span, self.trace)) != 1:
            msg = "one of log, span, trace, or a preset"
            raise ValueError(msg)
        if self.scheme is None:
            msg = "a scheme, or a preset that has one; none for events that nobody signs"
            raise ValueError(msg)
        if (self.scheme == "hmac") != (self.hmac is not None):
            msg = "hmac together with scheme: hmac"
            raise ValueError(msg)
        if (self.scheme == "none") == bool(self.secrets or self.secret_files):
            msg = "secrets or secret_files, except with scheme: none"
            raise ValueError(msg)
        if not all(secret.reveal().strip() for secret in self.secrets):
            msg = "secrets: one of them is empty, so that anybody could sign"
            raise ValueError(msg)
        if (signed := self.signed) is not None:
            try:
                read_keys(signed, [secret.reveal() for secret in self.secrets])
            except ImportError as error:
                msg = "the library cryptography for keys of Ed25519: pip install 'untrace-pipeline[crypto]'"
                raise ValueError(msg) from error
        return self

    @property
    def signed(self) -> Scheme | None:
        """The scheme, if requests are signed."""
        if self.hmac is not None:
            return self.hmac.scheme()
        return SCHEMES.get(str(self.scheme))

    @property
    def signal(self) -> Signal:
        """What events become."""
        return Signal.LOGS if self.log is not None else Signal.TRACES


class WebhookReceiverConfig(HttpServerConfig, ComponentConfig):
    """Where to listen, and for whom."""

    endpoint: str = "localhost:4320"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:4320``."""
    sources: dict[str, SourceConfig] = Field(min_length=1)
    """Senders, by names that you choose."""
    max_request_body_size: Size = Field(8 * 1024 * 1024, ge=0)
    """Largest body in bytes, before and after decompression; 0 = 64 MiB."""
    max_event_ids: int = Field(100_000, ge=1, le=10_000_000)
    """How many events are remembered; the oldest goes first. Some 500 bytes each."""

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        paths = list(self.paths().values())
        if twice := {path for path in paths if paths.count(path) > 1}:
            msg = f"a path for each source: {', '.join(sorted(twice))} occurs twice"
            raise ValueError(msg)
        return self

    def paths(self) -> dict[str, str]:
        """Return the path of each source."""
        return {name: source.path or f"/webhooks/{name}" for name, source in self.sources.items()}

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}

    def review(self, surroundings: Surroundings) -> Iterator[Remark]:
        """Warn of sources that believe anybody."""
        for name, source in self.sources.items():
            if source.scheme == "none" and self.auth is None:
                yield Remark(
                    f"sources.{name}.scheme", "anybody who knows the path may send events", "a scheme, or auth"
                )
