"""What ``validate`` says where an acknowledgement is worth less than it looks; the texts are golden files."""

from __future__ import annotations

import pytest

from untrace_pipeline.config.loader import load

CONFIG = """
receivers:
  otlp: {{protocols: {{grpc: {{}}}}}}
  kafka: {{message_marking: {{after: {after}}}}}
  otlp_json_file: {{include: ["*.jsonl"]}}
connectors:
  failover: {{priority_levels: [[traces/behind]]}}
exporters:
  otlp_grpc: {{endpoint: "a:1", sending_queue: {queue}}}
  load_balancing: {{resolver: {{static: {{hostnames: [a]}}}}, protocol: {{otlp: {{sending_queue: {below}}}}}}}
  file: {{path: out.jsonl}}
  debug:
extensions:
  file_storage: {{directory: /var/lib/untrace}}
service:
  extensions: [file_storage]
  pipelines:
    traces: {{receivers: [{receiver}], exporters: [{exporter}]}}
    traces/behind: {{receivers: [failover], exporters: [{behind}]}}
    traces/in: {{receivers: [otlp], exporters: [failover]}}
"""


def codes(*, receiver: str = "kafka", exporter: str = "otlp_grpc", queue: str = "{}", after: str = "true") -> list[str]:
    """Return what is wrong with a configuration."""
    behind, exporter = (exporter, "failover") if exporter.startswith("behind ") else ("debug", exporter)
    behind, below = behind.removeprefix("behind "), "{}" if "storage" in queue else queue
    text = CONFIG.format(receiver=receiver, exporter=exporter, behind=behind, queue=queue, below=below, after=after)
    return [one.code for one in load([f"yaml:{text}"]).warnings]


@pytest.mark.parametrize("exporter", ["otlp_grpc", "load_balancing", "behind otlp_grpc"])
@pytest.mark.parametrize(
    ("queue", "after", "expected"),
    [
        ("{}", "true", ["acknowledged-in-memory"]),
        ("{wait_for_result: true}", "true", []),
        ("{enabled: false}", "true", []),
        ("{}", "false", []),
        ("{enabled: false}", "false", ["unacknowledged-receiver"]),
        ("{wait_for_result: true}", "false", ["unacknowledged-receiver"]),
    ],
)
def test_kafka(exporter: str, queue: str, after: str, expected: list[str]) -> None:
    """Offsets that wait need an exporter that does; those that do not help nobody who counts on it."""
    assert codes(exporter=exporter, queue=queue, after=after) == expected


def test_a_queue_on_disk() -> None:
    """Is as good as delivered, unless nobody waits for it."""
    assert codes(queue="{storage: file_storage}") == []
    assert codes(queue="{storage: file_storage}", after="false") == ["unacknowledged-receiver"]


@pytest.mark.parametrize(
    ("receiver", "options", "expected"),
    [
        ("kafka", "", ["acknowledged-in-memory"]),
        ("kafka", "storage: file_storage, ", []),
        ("otlp", "", []),
    ],
)
def test_processors_that_hold(receiver: str, options: str, expected: list[str]) -> None:
    """Are as good as a queue: in memory, or on disk."""
    text = CONFIG.format(
        receiver=receiver, exporter="debug", behind="debug", queue="{storage: file_storage}", below="{}", after="true"
    )
    text = text.replace("exporters: [debug]}", "processors: [tail_sampling], exporters: [debug]}", 1)
    text += f"processors: {{tail_sampling: {{{options}policies: [{{name: all, type: always_sample}}]}}}}\n"
    assert [one.code for one in load([f"yaml:{text}"]).warnings] == expected


@pytest.mark.parametrize("receiver", ["otlp", "otlp_json_file"])
def test_senders_who_wait(receiver: str) -> None:
    """SDKs and files are told, whatever the exporter does: a queue in memory is what everybody begins with."""
    for queue in ("{}", "{enabled: false}", "{storage: file_storage}"):
        assert codes(receiver=receiver, queue=queue) == []


@pytest.mark.parametrize("exporter", ["debug", "file"])
def test_exporters_that_deliver_at_once(exporter: str) -> None:
    """Nothing waits in memory there."""
    assert codes(exporter=exporter) == []
