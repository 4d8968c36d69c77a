"""Options of the ``otlp`` receiver."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.data import Signal
from untrace_plugins.receivers.otlp import FACTORY
from untrace_plugins.receivers.otlp.config import OtlpReceiverConfig


def config(**protocols: Any) -> OtlpReceiverConfig:
    """Return a checked configuration."""
    return FACTORY.config.model_validate({"protocols": protocols})


def test_named_protocol_is_on_with_defaults() -> None:
    """``grpc:`` and ``http:`` without a value listen where everybody expects them."""
    protocols = config(grpc=None, http=None).protocols
    assert protocols.grpc is not None
    assert protocols.http is not None
    assert protocols.grpc.endpoint == "localhost:4317"
    assert protocols.http.endpoint == "localhost:4318"
    assert protocols.http.paths == {signal: f"/v1/{signal}" for signal in Signal}
    assert protocols.grpc.max_message_bytes == protocols.http.max_body_bytes == 64 * 1024 * 1024


def test_protocol_that_is_not_named_is_off() -> None:
    """Only what is named listens."""
    assert config(grpc={}).protocols.http is None


@pytest.mark.parametrize("options", [{}, {"protocols": {}}, {"protocols": {"thrift": {}}}, {"protocols": []}])
def test_at_least_one_protocol(options: dict[str, Any]) -> None:
    """Without a protocol there is nothing to receive."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)


def test_paths_begin_with_a_slash() -> None:
    """A path may be written without it, as in the Collector."""
    http = config(http={"traces_url_path": "traces"}).protocols.http
    assert http is not None
    assert http.paths[Signal.TRACES] == "/traces"


def test_authenticators_are_references() -> None:
    """The configuration check can tell whether the extensions exist."""
    checked = config(grpc={"auth": {"authenticator": "a"}}, http={"auth": {"authenticator": "b/c"}})
    assert checked.references() == {
        "protocols.grpc.auth.authenticator": ("a",),
        "protocols.http.auth.authenticator": ("b/c",),
    }
    assert config(grpc=None).references() == {}


@pytest.mark.parametrize(
    "http",
    [
        {"compression_algorithms": ["snappy"]},
        {"tls": {"cert_file": "only"}},
        {"endpoint": "nowhere"},
        {"max_connections": 0},
        {"max_request_body_size": "-1"},
    ],
)
def test_what_cannot_work_is_refused(http: dict[str, Any]) -> None:
    """Mistakes are found when the configuration is checked."""
    with pytest.raises(ValidationError):
        config(http=http)


def test_what_workers_cannot_share() -> None:
    """Several workers share the ports of a receiver, but no unix socket and no port that the system chooses."""
    assert config(grpc=None, http=None).unshared() == {}
    found = config(
        grpc={"endpoint": "/run/otlp.sock", "transport": "unix"}, http={"endpoint": "localhost:0"}
    ).unshared()
    assert found == {
        "protocols.grpc.endpoint": "a unix socket belongs to one process",
        "protocols.http.endpoint": "the system would choose another port for each worker",
    }
