"""Options of every Kafka client: brokers, security, metadata. Keys and defaults are the Collector's ``configkafka``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Secret
from untrace_pipeline.net.tls import ClientTlsConfig, TlsVersion

__all__ = ["Brokers", "Encoding", "KafkaAuthConfig", "KafkaClientConfig", "SaslConfig", "SaslMechanism", "TlsOption"]


class Encoding(StrEnum):
    """How a message holds an OTLP request."""

    OTLP_PROTO = "otlp_proto"
    OTLP_JSON = "otlp_json"


def _split(value: object) -> object:
    """Brokers may be one string, so that they can come from one environment variable."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Brokers = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    BeforeValidator(_split),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "string"}]}),
]
"""``host:port`` each; a list, or one string with commas."""


def _on(value: object) -> object:
    """``tls:`` without anything below it means TLS, as in the Collector."""
    return {} if value is None else value


TlsOption = Annotated[ClientTlsConfig | None, BeforeValidator(_on)]


class SaslMechanism(StrEnum):
    """How user and password are shown to the broker."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class SaslConfig(ConfigModel):
    """``auth.sasl``. Differs from the Collector: no ``OAUTHBEARER`` and no ``AWS_MSK_IAM_OAUTHBEARER``."""

    mechanism: SaslMechanism
    """How user and password are shown; ``PLAIN`` sends them as they are, so use it with ``tls``."""
    username: str = Field(min_length=1)
    """Who we are."""
    password: Secret = Field(min_length=1)
    """Its password. Example: ``${env:KAFKA_PASSWORD}``."""
    version: int = Field(0, ge=0, le=1)
    """Accepted for the Collector's sake; the library negotiates it."""


class PlainTextConfig(ConfigModel):
    """``auth.plain_text``, the older spelling of SASL PLAIN."""

    username: str = Field(min_length=1)
    """Who we are."""
    password: Secret = Field(min_length=1)
    """Its password."""


class KafkaAuthConfig(ConfigModel):
    """``auth``: who we are for the brokers. Differs from the Collector: no ``kerberos``."""

    sasl: SaslConfig | None = None
    """User and password."""
    plain_text: PlainTextConfig | None = Field(None, json_schema_extra={"deprecated": "use sasl with mechanism PLAIN"})
    """The same with mechanism ``PLAIN``."""
    tls: TlsOption = Field(None, json_schema_extra={"deprecated": "use tls beside auth"})
    """The same as ``tls`` beside ``auth``, which wins."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.sasl and self.plain_text:
            msg = "either sasl or plain_text, not both"
            raise ValueError(msg)
        return self

    @property
    def login(self) -> tuple[SaslMechanism, str, Secret] | None:
        """Mechanism, user and password, from whichever spelling was used."""
        if self.plain_text:
            return SaslMechanism.PLAIN, self.plain_text.username, self.plain_text.password
        return (self.sasl.mechanism, self.sasl.username, self.sasl.password) if self.sasl else None


class MetadataRetryConfig(ConfigModel):
    """``metadata.retry``; accepted for the Collector's sake."""

    max: int = Field(3, ge=0)
    """Accepted for the Collector's sake: the library asks again until it has an answer."""
    backoff: Duration = Field(0.25, ge=0)
    """Accepted for the Collector's sake."""


class MetadataConfig(ConfigModel):
    """``metadata``: what the client knows about topics and their leaders."""

    full: bool = True
    """Accepted for the Collector's sake: the library asks for the topics that it uses."""
    refresh_interval: Duration = Field(600.0, ge=1)
    """How often topics and leaders are asked for anew, besides whenever one was wrong."""
    retry: MetadataRetryConfig = MetadataRetryConfig()
    """Accepted for the Collector's sake."""


class KafkaClientConfig(ConfigModel):
    """What exporter and receiver have in common."""

    brokers: Brokers = Field(["localhost:9092"], min_length=1)
    """Where to ask for the cluster first, ``host:port`` each; also one string with commas. Example:
    ``${env:KAFKA_BROKERS}``."""
    client_id: str = "otel-collector"
    """Name of this client in the brokers' logs, quotas and ACLs."""
    rack_id: str = ""
    """Rack or zone of this client: consumers then fetch from the nearest replica, where the brokers allow it."""
    protocol_version: str = ""
    """Accepted for the Collector's sake: the library negotiates versions with each broker."""
    resolve_canonical_bootstrap_servers_only: bool = False
    """Look up the canonical name of each broker first (for Kerberos and certificates by name)."""
    use_leader_epoch: bool = True
    """Accepted for the Collector's sake: the library uses leader epochs where the broker has them."""
    conn_idle_timeout: Duration = Field(540.0, gt=0)
    """Close connections that nothing went over for that long."""
    auth: KafkaAuthConfig = KafkaAuthConfig()
    """Who we are for the brokers."""
    tls: TlsOption = None
    """Present (``tls: {}`` is enough) = speak TLS."""
    metadata: MetadataConfig = MetadataConfig()
    """What the client knows about topics and their leaders."""

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        limit = _tls_limit(self.tls_in_force)
        if limit:
            msg = f"tls.{limit}"
            raise ValueError(msg)
        return self

    @property
    def tls_in_force(self) -> ClientTlsConfig | None:
        """TLS from whichever spelling was used; ``None`` where the connection is plain."""
        tls = self.tls or self.auth.tls
        return None if tls is None or tls.insecure else tls


def _tls_limit(tls: Any) -> str:
    """Say which option librdkafka cannot honour."""
    if tls is None:
        return ""
    if tls.min_version is not TlsVersion.V1_2 or tls.max_version is not None:
        return "min_version, max_version: the Kafka library takes what OpenSSL allows; leave them out"
    if tls.cipher_suites:
        return "cipher_suites: the Kafka library takes what OpenSSL allows; leave it out"
    if tls.server_name_override:
        return "server_name_override: the Kafka library always expects the name of the broker; leave it out"
    if tls.reload_interval:
        return "reload_interval: the Kafka library reads certificates once; leave it out and restart after a change"
    return ""
