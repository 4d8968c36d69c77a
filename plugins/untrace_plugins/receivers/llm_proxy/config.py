"""Options of the ``llm_proxy`` receiver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ComponentConfig, Duration, Remark, Size, Surroundings
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_settings import HttpListenerConfig
from untrace_plugins.genai.providers.exchange import Capture
from untrace_plugins.receivers.llm_proxy.capture_config import CaptureQueueConfig
from untrace_plugins.receivers.llm_proxy.limits_config import LimitConfig
from untrace_plugins.receivers.llm_proxy.upstream_config import RouteConfig, UpstreamConfig

__all__ = ["ClientKeys", "LlmProxyConfig", "OnDisconnect"]

_LOCAL = {"localhost", "127.0.0.1", "::1"}


class OnDisconnect(StrEnum):
    """What happens to a call whose client went."""

    CANCEL = "cancel"
    """It is given up: the provider need not go on."""
    DRAIN = "drain"
    """It is read to its end, so that its usage is known."""


class ClientKeys(StrEnum):
    """What happens to keys that clients send for the provider."""

    AUTO = "auto"
    """``pass`` without ``auth``, ``drop`` with it: the key may be one for this proxy."""
    PASS = "pass"  # noqa: S105  the word, not a password
    DROP = "drop"


class LlmProxyConfig(HttpListenerConfig, ComponentConfig):
    """Where to listen, whom to call, and how much to keep."""

    endpoint: str = "localhost:4321"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:4321``."""
    max_request_body_size: Size = Field(64 * 1024 * 1024, ge=0)
    """Largest body of a request; 0 = the default. It is held in memory until the call ends: a retry needs it."""
    read_header_timeout: Duration = Field(10.0, ge=0)
    """Time for the headers of a request to arrive; 0 = no limit. Shorter than elsewhere:
    until then clients that send half a request hold ``max_connections``."""
    upstreams: dict[str, UpstreamConfig] = Field(min_length=1)
    """Providers by name. Only these are ever called. A name that begins with a kind (``openai``, ``azure_openai``,
    ``anthropic``, ``cohere``, ``gemini``), such as ``openai/backup``, need not say its ``kind``."""
    routes: list[RouteConfig] = []
    """Which upstreams a path is sent to. A path without a route goes to the first upstream of the provider whose API it
    belongs to."""
    timeout: Duration = Field(600.0, gt=0)
    """Longest time of a call, all attempts together, where its route says nothing else."""
    capture: Capture = Capture.FULL
    """``full``; ``metadata`` for everything but contents; ``none`` for spans that only say that there was a call."""
    max_capture_bytes: Size = Field(1024 * 1024, ge=1024)
    """How much of each body is kept for the span; of a larger one the beginning and the end, half each."""
    capture_queue: CaptureQueueConfig = CaptureQueueConfig()
    """Calls between their last byte and the pipelines."""
    on_client_disconnect: OnDisconnect = OnDisconnect.CANCEL
    """``cancel`` gives a call up whose client went, ``drain`` reads it to its end."""
    client_keys: ClientKeys = ClientKeys.AUTO
    """``pass`` hands the keys of clients on to upstreams that have no ``api_key``; ``drop`` never does; ``auto`` passes
    them unless ``auth`` is set. Use ``pass`` with ``auth`` where it checks a header of its own."""
    propagate_trace: bool = True
    """Tell the provider the id of our span (``traceparent``); otherwise the caller's headers go out as they are."""
    inject_usage: bool = False
    """Ask for the usage of chat streams (``stream_options.include_usage``) where the caller did not, and take the extra
    chunk out of what it sees. Such streams are not passed through byte by byte."""
    estimate_usage: bool = False
    """Guess the tokens that a provider did not report from the length of the texts; such spans are marked with
    ``untrace.usage.estimated``."""
    limits: list[LimitConfig] = []
    """How much each key may use; a call must be within all of them."""
    service_name: str = "llm_proxy"
    """``service.name`` of the spans."""

    @field_validator("upstreams")
    @classmethod
    def _named_well(cls, upstreams: dict[str, UpstreamConfig]) -> dict[str, UpstreamConfig]:
        bad = [name for name in upstreams if not name.strip("/") or name != name.strip("/ ")]
        if bad:
            msg = f"names without spaces and slashes at their ends, not {bad[0]!r}"
            raise ValueError(msg)
        return upstreams

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for route in self.routes:
            unknown = [name for name in route.upstreams if name not in self.upstreams]
            if unknown:
                there = ", ".join(self.upstreams)
                msg = f"route {route.path}: there is no upstream {unknown[0]}; there: {there}"
                raise ValueError(msg)
        paths = [route.path for route in self.routes]
        if twice := next((path for path in paths if paths.count(path) > 1), None):
            msg = f"one route per path: {twice} has several"
            raise ValueError(msg)
        return self

    @property
    def passes_client_keys(self) -> bool:
        """What ``client_keys`` means."""
        return self.client_keys is ClientKeys.PASS or (self.client_keys is ClientKeys.AUTO and self.auth is None)

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the authenticator."""
        return {} if self.auth is None else {"auth.authenticator": (self.auth.authenticator,)}

    def review(self, surroundings: Surroundings) -> Iterator[Remark]:
        """Warn of keys that others can use, or read."""
        with_keys = {name: urlsplit(one.base_url) for name, one in self.upstreams.items() if one.api_key is not None}
        endpoint = Endpoint.parse(self.endpoint, unix=self.unix)
        if with_keys and self.auth is None and not endpoint.path and endpoint.host not in _LOCAL:
            names = ", ".join(with_keys)
            yield Remark("endpoint", f"anybody who reaches it may call with the keys of {names}", "auth")
        for name, url in with_keys.items():
            if url.scheme == "http" and url.hostname not in _LOCAL:
                yield Remark(f"upstreams.{name}.base_url", "its api_key is sent without encryption", "https")
