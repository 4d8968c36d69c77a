"""The example `configs/databases.yaml` as a process: accepted while all are away, killed, and then stored once."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.peers import ClickHouse, Daemon, OpenSearch
from tests.support.wait import wait_until
from untrace_pipeline.data import Field, Level, Signal
from untrace_pipeline.testing import make_batch

pytestmark = [pytest.mark.once, pytest.mark.peer, pytest.mark.timeout(240), pytest.mark.xdist_group("opensearch")]

EXAMPLE = Path(__file__).resolve().parents[3] / "configs" / "databases.yaml"
AWAY = "http://127.0.0.1:9"
QUICK = {"initial_interval": "200ms", "max_interval": "500ms", "max_elapsed_time": "0s"}


def example(directory: Path) -> dict[str, Any]:
    """Return the example; only where it listens and stores, and how long it waits, is different."""
    config: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    config["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}
    config["extensions"]["file_storage"]["directory"] = str(directory / "storage")
    for options in config["exporters"].values():
        options |= {"retry_on_failure": QUICK, "circuit_breaker": {"enabled": False}}
    config["exporters"]["clickhouse"] |= {"database": "example", "ttl": "262800h"}
    return config


def send(daemon: Daemon, signal: Signal, seed: int) -> None:
    """Send a request, and be told that it was accepted."""
    data = make_batch(signal, 25, seed=seed, resource={"data_stream.namespace": "example"}).to_otlp()
    url = f"http://{daemon.endpoint('HTTP_PORT')}/v1/{signal}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/x-protobuf"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_accepted_is_stored_once(clickhouse: ClickHouse, opensearch: OpenSearch, tmp_path: Path) -> None:
    """Twice killed without warning, once while nobody is there and once in the middle: each span is there, once."""
    config, away = example(tmp_path), {"LOKI_URL": AWAY, "PROMETHEUS_URL": f"{AWAY}/api/v1/write"}
    with Daemon(
        config, directory=tmp_path / "first", env=away | {"CLICKHOUSE_URL": AWAY, "OPENSEARCH_URL": AWAY}
    ) as one:
        for seed in range(4):
            send(one, Signal.TRACES, seed)
            send(one, Signal.LOGS, seed)
        one.kill()
    there = away | {"CLICKHOUSE_URL": clickhouse.url, "OPENSEARCH_URL": opensearch.url}
    with Daemon(config, directory=tmp_path / "second", env=there) as two:
        wait_until(lambda: stored(clickhouse) > 0, two, seconds=60)
        two.kill()
    with Daemon(config, directory=tmp_path / "third", env=there) as three:
        send(three, Signal.TRACES, 4)
        wait_until(lambda: stored(clickhouse) >= 125, three, seconds=60)
        wait_until(lambda: len(documents(opensearch)) >= 125, three, seconds=60)
    wanted = {
        bytes(span).hex()
        for seed in range(5)
        for span in make_batch(items=25, seed=seed).column(Field(Level.ITEM, "span_id"))
        if isinstance(span, bytes)
    }
    rows = clickhouse.query("SELECT SpanId FROM example.otel_traces")
    assert sorted(row["SpanId"] for row in rows) == sorted(wanted)
    assert sorted(one["_source"]["span_id"] for one in documents(opensearch)) == sorted(wanted)
    assert len(clickhouse.query("SELECT 1 FROM example.otel_logs")) == 100


def stored(clickhouse: ClickHouse) -> int:
    """Return how many spans are in the table."""
    if not clickhouse.query("SELECT 1 FROM system.tables WHERE database = 'example' AND name = 'otel_traces'"):
        return 0
    return len(clickhouse.query("SELECT 1 FROM example.otel_traces"))


def documents(opensearch: OpenSearch) -> list[dict[str, Any]]:
    """Return the spans in the data stream."""
    return opensearch.documents("traces-*-example") if opensearch.ask("GET", "/_data_stream")["data_streams"] else []
