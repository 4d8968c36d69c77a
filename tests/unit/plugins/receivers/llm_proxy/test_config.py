"""Options of the `llm_proxy` receiver."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.receivers.llm_proxy import FACTORY
from untrace_plugins.receivers.llm_proxy.config import LlmProxyConfig

OPENAI = {"openai": {"base_url": "https://api.openai.com"}}


def read(**options: Any) -> LlmProxyConfig:
    return FACTORY.config.model_validate({"upstreams": OPENAI, **options})


def test_defaults() -> None:
    """An upstream is all that must be said."""
    config = read()
    assert (config.endpoint, config.capture, config.max_capture_bytes) == ("localhost:4321", "full", 1 << 20)
    assert (config.on_client_disconnect, config.inject_usage, config.propagate_trace) == ("cancel", False, True)
    assert config.read_header_timeout == 10
    assert config.passes_client_keys
    assert config.unshared() == {}


def test_shape_of_the_documentation() -> None:
    """The example that users begin with."""
    azure = {"base_url": "https://example.openai.azure.com", "kind": "azure_openai", "api_key": "secret-key"}
    route = {"path": "/v1/chat/completions", "upstreams": ["openai", "openai/backup"], "retries": 2, "timeout": "120s"}
    config = read(upstreams={**OPENAI, "openai/backup": azure}, routes=[route])
    assert config.routes[0].timeout == 120
    assert "secret-key" not in f"{config!r}{config.model_dump()}{config.model_dump_json()}"


@pytest.mark.parametrize(("keys", "passes"), [("auto", False), ("pass", True), ("drop", False)])
def test_keys_of_clients_with_auth(keys: str, passes: bool) -> None:
    """With ``auth`` a key may be one for us."""
    config = read(auth={"authenticator": "bearer_token_auth"}, client_keys=keys)
    assert config.passes_client_keys is passes
    assert config.references() == {"auth.authenticator": ("bearer_token_auth",)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upstreams": {}}, "at least 1 item"),
        ({"upstreams": {"/x": {"base_url": "https://x"}}}, "names without spaces and slashes"),
        ({"upstreams": {"x": {"base_url": "ftp://x"}}}, "a URL, such as"),
        ({"upstreams": {"x": {"base_url": "https://me:secret@x"}}}, "a URL without user"),
        ({"upstreams": {"x": {"base_url": "https://x?a=1"}}}, "a URL without user"),
        ({"upstreams": {"x": {"base_url": "https://x", "api_key": "two words"}}}, "one word, not empty"),
        ({"upstreams": {"x": {"base_url": "https://x", "proxy_url": "https://x"}}}, "the URL of an HTTP proxy"),
        ({"upstreams": {"x": {"base_url": "https://x", "api_key": " "}}}, "one word, not empty"),
        ({"routes": [{"path": "v1", "upstreams": ["openai"]}]}, "a path such as"),
        ({"routes": [{"path": "/a*b", "upstreams": ["openai"]}]}, "a path such as"),
        ({"routes": [{"path": "/a", "upstreams": ["other"]}]}, "route /a: there is no upstream other; there: openai"),
        ({"routes": [{"path": "/a", "upstreams": ["openai"]}] * 2}, "one route per path: /a has several"),
        ({"routes": [{"path": "/a", "upstreams": ["openai", "openai"]}]}, "each upstream once"),
        ({"routes": [{"path": "/a", "upstreams": ["openai"], "weights": {"x": 1}}]}, "weights of upstreams of this"),
        ({"routes": [{"path": "/a", "upstreams": ["openai"], "weights": {"openai": 0}}]}, "not all 0"),
        ({"limits": [{"window": "1m"}]}, "at least one of requests, tokens, dollars"),
        ({"endpoint": "nowhere"}, "host:port"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    """Each with what would be right."""
    with pytest.raises(ValidationError, match=message.replace("*", r"\*")):
        read(**options)


@pytest.mark.parametrize(
    ("options", "remarks"),
    [
        ({"endpoint": "0.0.0.0:4321"}, []),
        (
            {"endpoint": "0.0.0.0:4321", "upstreams": {"openai": {"base_url": "https://x", "api_key": "k"}}},
            ["endpoint"],
        ),
        ({"upstreams": {"openai": {"base_url": "https://x", "api_key": "k"}}}, []),
        ({"upstreams": {"openai": {"base_url": "http://localhost:1", "api_key": "k"}}}, []),
        ({"upstreams": {"openai": {"base_url": "http://x", "api_key": "k"}}}, ["upstreams.openai.base_url"]),
        (
            {
                "endpoint": "0.0.0.0:4321",
                "auth": {"authenticator": "basic_auth"},
                "upstreams": {"openai": {"base_url": "https://x", "api_key": "k"}},
            },
            [],
        ),
    ],
)
def test_open_doors_are_remarked_on(options: dict[str, Any], remarks: list[str]) -> None:
    """Keys that anybody may call with, or read on the way."""
    found = read(**options).review(None)  # type: ignore[arg-type]
    assert [one.option for one in found] == remarks
