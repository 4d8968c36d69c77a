"""Options of the exporter ``webhook``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConsumeError, Duration, Secret
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DeliveryConfig
from untrace_pipeline.net.guarded import check_host
from untrace_pipeline.net.http_client import HttpClientConfig
from untrace_plugins.shaping.expressions import compile_structure
from untrace_plugins.signing.keys import signing_key

__all__ = ["Form", "Method", "WebhookConfig"]

_EVENTS = {Signal.TRACES: "trace.completed", Signal.LOGS: "log.recorded", Signal.METRICS: "metrics.collected"}


class Form(StrEnum):
    """What a body is."""

    EVENT = "event"
    CLOUD_EVENTS = "cloud_events"
    OTLP_JSON = "otlp_json"
    TEMPLATE = "template"


class Method(StrEnum):
    """How it is sent."""

    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"


class WebhookConfig(HttpClientConfig, DeliveryConfig):
    """Where events go, and how."""

    endpoint: str = Field(min_length=1)
    """URL. Example: ``https://example.com/hooks/llm``."""
    method: Method = Method.POST
    """``POST``, ``PUT`` or ``PATCH``."""
    form: Form = Form.EVENT
    """``event``: ``{"type", "timestamp", "data"}`` of Standard Webhooks, with a core trace as data (or ``{"traces":
    [...]}``), or a log record (or ``{"logs": [...]}``); ``cloud_events``: CloudEvents 1.0 with the same data;
    ``otlp_json``: the OTLP request as JSON, nothing around it; ``template``: what ``template`` makes of the data."""
    template: dict[str, Any] | list[Any] | None = None
    """JSON whose texts are expressions over the data. Example: ``{text: "{$.model}: {$.error.message}"}``."""
    one_per_item: bool = True
    """One request for each span or log record; ``false`` = one for what the queue sends at once, see
    ``sending_queue.batch``. ``otlp_json`` sends what the queue does in any case."""
    event_type: str = Field("", pattern=r"^([A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)?$")
    """Type of the events; absent = ``trace.completed`` or ``log.recorded``."""
    source: str = Field("/untrace-pipeline", min_length=1)
    """``source`` of CloudEvents: a URI that says who speaks."""
    secrets: list[Secret] = []
    """Keys to sign with: ``whsec_<base64>`` of 24 bytes or more, or ``whsk_<base64>`` (Ed25519). Each of several makes
    a signature, so that the other side can exchange its key. Empty = events are not signed."""
    allow_private: bool = False
    """Let the URL lead to addresses of this machine, of private networks and of clouds' metadata. Otherwise they are
    refused when a connection is made (those that the URL itself names, and ``localhost``, at once), and proxies are not
    used."""
    gone_pause: Duration = Field(3600.0, ge=0)
    """How long nothing is sent after the destination said 410 Gone; what comes meanwhile is given up."""
    timeout: Duration = Field(15.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""

    @field_validator("template")
    @classmethod
    def _compiles(cls, template: Any) -> Any:
        compile_structure(template)
        return template

    @field_validator("secrets")
    @classmethod
    def _are_keys(cls, secrets: list[Secret]) -> list[Secret]:
        try:
            for secret in secrets:
                signing_key(secret.reveal())
        except ImportError as error:
            msg = "the library cryptography for keys of Ed25519: pip install 'untrace-pipeline[crypto]'"
            raise ValueError(msg) from error
        return secrets

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.form is Form.TEMPLATE) != (self.template is not None):
            msg = "template together with form: template"
            raise ValueError(msg)
        if not self.allow_private:
            if self.proxy_url:
                msg = "allow_private: true with proxy_url: a proxy resolves names, and nobody here sees where they lead"
                raise ValueError(msg)
            try:
                check_host(urlsplit(self.endpoint).hostname or "")
            except ConsumeError as error:
                raise ValueError(f"endpoint: {error}") from error
        return self

    def type_of(self, signal: Signal) -> str:
        """Return the type of a signal's events."""
        return self.event_type or _EVENTS[signal]

    def excludes(self) -> Mapping[Signal, str]:
        """Metrics have no form but OTLP's."""
        if self.form is Form.OTLP_JSON:
            return {}
        return {Signal.METRICS: f"form {self.form} has no words for metrics; otlp_json does"}

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
