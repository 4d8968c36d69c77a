"""Options of the exporter, and where backends are dialled."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.api import Acceptance, Kind, StartError
from untrace_pipeline.config.loader import load
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import ConfigError
from untrace_pipeline.testing import make_settings
from untrace_plugins.exporters.load_balancing import FACTORY
from untrace_plugins.exporters.load_balancing.config import ROUTING_KEYS, LoadBalancingConfig
from untrace_plugins.exporters.load_balancing.endpoint import dialled, joined
from untrace_plugins.exporters.load_balancing.keys import KEYS

STATIC = {"static": {"hostnames": ["a", "b:1"]}}


def test_defaults_are_the_collectors() -> None:
    """Nothing but a resolver is needed; queue and retries are those of each backend."""
    config = FACTORY.config.model_validate({"resolver": STATIC})
    assert config.timeout == 0
    assert not config.queues_first
    assert config.protocol.otlp.timeout == 5
    assert config.protocol.otlp.sending_queue.enabled
    dns = FACTORY.config.model_validate({"resolver": {"dns": {"hostname": "x"}}}).resolver.dns
    assert (dns.port, dns.interval, dns.timeout) == (None, 5, 1)
    k8s = FACTORY.config.model_validate({"resolver": {"k8s": {"service": "x.y"}}}).resolver.k8s
    assert (k8s.ports, k8s.timeout, k8s.return_hostnames) == ([], 60, False)


@pytest.mark.parametrize(
    "options",
    [{"sending_queue": {}}, {"sending_queue": {"enabled": True}}, {"retry_on_failure": {"enabled": True}}],
)
def test_one_queue_before_the_ring(options: dict[str, Any]) -> None:
    """As soon as something of it is written."""
    assert FACTORY.config.model_validate({"resolver": STATIC, **options}).queues_first


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "resolver"),
        ({"resolver": {}}, "exactly one of static, dns and k8s"),
        ({"resolver": {**STATIC, "dns": {"hostname": "x"}}}, "exactly one"),
        ({"resolver": {"static": {"hostnames": []}}}, "hostnames"),
        ({"resolver": {"static": {"hostnames": ["http://a:1"]}}}, "host:port"),
        ({"resolver": {"static": {"hostnames": [":4317"]}}}, "a host, such as"),
        ({"resolver": {"k8s": {"service": ".tracing"}}}, "name.namespace"),
        ({"resolver": {"k8s": {"service": "a.b.c"}}}, "name.namespace"),
        ({"resolver": {"k8s": {"service": "a.b.svc"}}}, "name.namespace"),
        ({"resolver": {"k8s": {"service": "a", "ports": [0]}}}, "ports from 1"),
        ({"resolver": STATIC, "routing_key": "traceid"}, "routing_key"),
        ({"resolver": STATIC, "routing_key": "attributes"}, "routing_attributes"),
        ({"resolver": STATIC, "routing_attributes": ["a"]}, "routing_attributes"),
        ({"resolver": STATIC, "circuit_breaker": {}}, "belongs under protocol.otlp"),
        (
            {"resolver": STATIC, "sending_queue": {}, "protocol": {"otlp": {"circuit_breaker": {}}}},
            "belongs beside protocol",
        ),
    ],
)
def test_what_is_refused(options: dict[str, Any], told: str) -> None:
    """Each with what to write instead."""
    with pytest.raises(ValidationError, match=told):
        FACTORY.config.model_validate(options)


@pytest.mark.parametrize(
    ("key", "signal"), [("metric", Signal.TRACES), ("resource", Signal.TRACES), ("traceID", Signal.METRICS)]
)
def test_a_routing_key_that_a_signal_does_not_have(key: str, signal: Signal) -> None:
    """``validate`` says so at the place in the pipeline, with those that it has; so does whoever makes the exporter."""
    text = EXCLUDED.format(key=key, signal=signal)
    with pytest.raises(ConfigError, match=f"cannot carry {signal}: routing_key {key} is none of theirs") as caught:
        load([f"yaml:{text}"])
    assert [(one.code, one.path) for one in caught.value.problems] == [
        ("signal-mismatch", f"service.pipelines.{signal}.exporters[0]")
    ]
    settings = make_settings(Kind.EXPORTER, "load_balancing", signals=[signal])
    config = LoadBalancingConfig.model_validate({"resolver": STATIC, "routing_key": key})
    with pytest.raises(StartError, match=f"cannot carry {signal}: .*service"):
        FACTORY.create(config, settings)


def test_every_routing_key_is_known() -> None:
    """What the options allow is what the exporter can do."""
    assert {signal: set(keys) for signal, keys in ROUTING_KEYS.items()} == {s: set(keys) for s, keys in KEYS.items()}


@pytest.mark.parametrize("options", [{}, {"sending_queue": {}}, {"protocol": {"otlp": {"sending_queue": {}}}}])
def test_a_replay_hears_from_every_backend(options: dict[str, Any]) -> None:
    """Dead letters are sent again without a queue anywhere, wherever the queue of the daemon is."""
    config = LoadBalancingConfig.model_validate({"resolver": STATIC, **options}).for_replay("file_storage")
    assert config.queues_first
    assert not config.sending_queue.enabled


@pytest.mark.parametrize(
    ("options", "acceptance"),
    [
        ({}, Acceptance.IN_MEMORY),
        ({"protocol": {"otlp": {"sending_queue": {"wait_for_result": True}}}}, Acceptance.DELIVERED),
        ({"protocol": {"otlp": {"sending_queue": {"enabled": False}}}}, Acceptance.DELIVERED),
        ({"sending_queue": {}}, Acceptance.IN_MEMORY),
        ({"sending_queue": {"storage": "file_storage"}}, Acceptance.ON_DISK),
        ({"retry_on_failure": {}}, Acceptance.DELIVERED),
    ],
)
def test_what_accepted_means(options: dict[str, Any], acceptance: Acceptance) -> None:
    """Validation asks; it depends on where the queue is. A second instance for replays has none."""
    config = FACTORY.config.model_validate({"resolver": STATIC, **options})
    assert config.acceptance() is acceptance
    again = config.for_replay("file_storage")
    assert again.queues_first
    assert again.acceptance() is Acceptance.DELIVERED
    assert again.retry_on_failure.max_elapsed_time <= 60


def test_no_queue_on_disk_below() -> None:
    """Backends come and go, and what they had on disk would stay behind."""
    with pytest.raises(ValidationError, match="no storage here: backends come and go"):
        FACTORY.config.model_validate(
            {"resolver": STATIC, "protocol": {"otlp": {"sending_queue": {"storage": "file_storage"}}}}
        )


def test_extensions_of_backends_are_references() -> None:
    """Validation can check that they exist."""
    otlp = {"auth": {"authenticator": "bearer_token_auth"}}
    config = FACTORY.config.model_validate({"resolver": STATIC, "protocol": {"otlp": otlp}})
    assert config.references() == {"protocol.otlp.auth.authenticator": ("bearer_token_auth",)}


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [("a", "a:4317"), ("a:1", "a:1"), ("[::1]", "[::1]:4317"), ("[::1]:1", "[::1]:1"), ("10.0.0.1", "10.0.0.1:4317")],
)
def test_the_default_port(endpoint: str, address: str) -> None:
    """Is dialled where none is written."""
    assert dialled(endpoint) == address


def test_addresses_of_resolvers() -> None:
    """Get brackets where they need some."""
    assert [joined("::1", None), joined("::1", 5), joined("10.0.0.1", 5)] == ["[::1]", "[::1]:5", "10.0.0.1:5"]


def test_the_empty_routing_key_is_shown_as_such() -> None:
    """A message that lists what is allowed names the empty text."""
    text = EXCLUDED.format(key="traceid", signal="traces")
    with pytest.raises(ConfigError, match=r'expected: "", traceID, service, .* or attributes\n  did you mean: traceID'):
        load([f"yaml:{text}"])


EXCLUDED = """
receivers: {{otlp: {{protocols: {{grpc: {{}}}}}}}}
exporters: {{load_balancing: {{routing_key: {key}, resolver: {{static: {{hostnames: [a]}}}}}}}}
service: {{pipelines: {{{signal}: {{receivers: [otlp], exporters: [load_balancing]}}}}}}
"""
COLLECTOR = """
receivers: {otlp: {protocols: {grpc: {}}}}
exporters:
  loadbalancing:
    timeout: 10s
    retry_on_failure: {enabled: true, initial_interval: 5s, max_interval: 30s, max_elapsed_time: 300s}
    sending_queue: {enabled: true, num_consumers: 2, queue_size: 1000}
    routing_key: "service"
    protocol:
      otlp:
        timeout: 1s
        sending_queue: {enabled: true}
    resolver:
      static:
        hostnames: [backend-1:4317, backend-2:4317]
  load_balancing/2:
    protocol: {otlp: }
    resolver:
      dns: {hostname: service-1, port: "55690"}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [loadbalancing, load_balancing/2]}
"""


def test_a_file_of_the_collector() -> None:
    """The examples of its README load; the older name has its note."""
    assert [one.code for one in load([f"yaml:{COLLECTOR}"]).warnings] == ["other-spelling"]
