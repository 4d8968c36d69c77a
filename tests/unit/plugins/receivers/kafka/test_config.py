"""Options of the receiver `kafka`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.receivers.kafka import FACTORY
from untrace_plugins.receivers.kafka.config import KafkaReceiverConfig
from untrace_plugins.receivers.kafka.receiver import consumer_settings


def read(**options: Any) -> KafkaReceiverConfig:
    return FACTORY.config.model_validate(options)


def settings(**options: Any) -> dict[str, Any]:
    return consumer_settings(read(**options), [])


def test_defaults() -> None:
    """The Collector's, but that a message counts as read only when it was accepted, and refusals are waited out."""
    config = read()
    assert (config.traces.names, config.metrics.names, config.logs.names) == (
        ["otlp_spans"],
        ["otlp_metrics"],
        ["otlp_logs"],
    )
    assert (config.group_id, config.client_id, config.initial_offset) == ("otel-collector", "otel-collector", "latest")
    assert (config.session_timeout, config.heartbeat_interval, config.strategies) == (10, 3, ["cooperative-sticky"])
    assert (config.min_fetch_size, config.max_fetch_size, config.partition_fetch_size) == (1, 1 << 20, 1 << 20)
    assert config.max_fetch_wait == 0.25
    assert (config.autocommit.enable, config.autocommit.interval) == (True, 1)
    marking = config.message_marking
    assert (marking.after, marking.on_error, marking.on_permanent_error) == (True, False, True)
    assert config.error_backoff.enabled
    assert config.error_backoff.max_elapsed_time == 0


def test_older_spellings() -> None:
    """`topic`, `exclude_topic`, `group_rebalance_strategy` and `default_fetch_size` still work."""
    config = read(
        traces={"topic": "^t-.*", "exclude_topic": "^t-test$"},
        group_rebalance_strategy="range",
        default_fetch_size=5000,
    )
    assert (config.traces.names, config.traces.excluded) == (["^t-.*"], ["^t-test$"])
    assert (config.strategies, config.partition_fetch_size) == (["range"], 5000)


def test_topics_by_expression() -> None:
    """One that begins with ^ is an expression, everything else a name."""
    topics = read(traces={"topics": ["spans", "^team-.*-spans$"]}).traces
    assert [topics.holds(name) for name in ("spans", "team-a-spans", "spans2", "team-spans")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"traces": {"topics": []}}, "topics"),
        ({"traces": {"exclude_topics": ["x"]}}, "needs a regular expression in topics"),
        ({"traces": {"topics": ["^("]}}, "is no regular expression"),
        ({"traces": {"topics": ["^a"], "exclude_topics": ["a,b"]}}, "must not be empty or contain a comma"),
        ({"traces": {"topics": ["t"]}, "logs": {"topics": ["t"]}}, "a topic holds one signal"),
        ({"heartbeat_interval": "10s"}, "heartbeat_interval must be less than session_timeout"),
        ({"min_fetch_size": 2000, "max_fetch_size": 1000}, "must not be less than min_fetch_size"),
        ({"group_rebalance_strategies": ["cooperative-sticky", "range"]}, "cooperative-sticky alone"),
        ({"group_rebalance_strategies": ["sticky"]}, "group_rebalance_strategies"),
        (
            {"group_rebalance_strategies": ["range"], "group_rebalance_strategy": "range"},
            "either group_rebalance_strategy or",
        ),
        ({"initial_offset": "newest"}, "initial_offset"),
        ({"max_buffered_size": 1000}, "max_buffered_size"),
    ],
)
def test_contradictions(options: dict[str, Any], problem: str) -> None:
    """What cannot be is found before anything runs."""
    with pytest.raises(ValidationError, match=problem):
        read(**options)


def test_static_members_need_names_of_their_own() -> None:
    """Several workers with one `group_instance_id` would put each other out; validation asks for their number."""
    assert read().unshared() == {}
    assert set(read(group_instance_id="a").unshared()) == {"group_instance_id"}


def test_the_library_is_told_the_options() -> None:
    """It never commits by itself; sizes and times as configured, memory divided between it and us."""
    found = settings(
        group_id="g",
        group_instance_id="me",
        session_timeout="6s",
        heartbeat_interval="2s",
        group_rebalance_strategies=["range", "roundrobin"],
        min_fetch_size=10,
        max_fetch_size=5_000_000,
        max_partition_fetch_size=2_000_000,
        max_fetch_wait="1s",
        max_buffered_size="16MiB",
    )
    assert (found["enable.auto.commit"], found["enable.auto.offset.store"]) == (False, False)
    assert (found["group.id"], found["group.instance.id"]) == ("g", "me")
    assert (found["session.timeout.ms"], found["heartbeat.interval.ms"]) == (6000, 2000)
    assert found["partition.assignment.strategy"] == "range,roundrobin"
    assert (found["fetch.min.bytes"], found["fetch.max.bytes"], found["fetch.wait.max.ms"]) == (10, 5_000_000, 1000)
    assert (found["max.partition.fetch.bytes"], found["queued.max.messages.kbytes"]) == (2_000_000, 8 * 1024)
    assert "topic.blacklist" not in found
    assert consumer_settings(read(), ["^a$", "^b$"])["topic.blacklist"] == "^a$,^b$"


def test_offsets_that_are_gone_lead_to_the_oldest() -> None:
    """Where retention took what was committed, everything that is left is read; `latest` would skip it all."""
    assert settings(initial_offset="latest")["auto.offset.reset"] == "earliest"
