"""Whatever valid requests come: exporters to databases find a form for each item, and what they make can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.otlp_strategies import any_signal_requests, requests
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.bulk.config import BulkConfig
from untrace_plugins.bulk.documents import Documents
from untrace_plugins.bulk.encoding import chunks
from untrace_plugins.exporters.clickhouse.records import Records
from untrace_plugins.exporters.loki_push.config import LokiPushConfig
from untrace_plugins.exporters.loki_push.encoding import encode_json, encode_protobuf, push_class
from untrace_plugins.exporters.loki_push.entries import Entries
from untrace_plugins.exporters.prometheus_remote_write.config import RemoteWriteConfig
from untrace_plugins.exporters.prometheus_remote_write.encoding import classes_v1, classes_v2, encode_v1, encode_v2
from untrace_plugins.exporters.prometheus_remote_write.translate import Translator

URL = "http://localhost:1"
Case = tuple[Signal, Any]


def batch_of(case: Case) -> Batch:
    signal, message = case
    return Batch(signal, message.SerializeToString())


@pytest.mark.parametrize("mode", ["otel", "flat"])
@settings(max_examples=40)
@given(case=any_signal_requests())
def test_every_item_is_in_a_document(case: Case, mode: str) -> None:
    """Pairs of lines that are JSON; equal requests have equal ids."""
    batch = batch_of(case)
    config = BulkConfig.model_validate({"endpoint": URL, "mapping": {"mode": mode}})
    made = Documents(config, time_series=False).of(batch)
    assert sorted({item for document in made for item in document.items}) == list(range(batch.item_count))
    for chunk in chunks(made, 2000):
        lines = [json.loads(line) for line in chunk.body.splitlines()]
        assert len(lines) == 2 * len(chunk.documents)
        assert all("@timestamp" in line for line in lines[1::2])
    again = Documents(config, time_series=False).of(batch_of(case))
    assert [document.id for document in again] == [document.id for document in made]


@pytest.mark.parametrize("json_columns", [False, True])
@settings(max_examples=40)
@given(case=any_signal_requests())
def test_every_item_is_a_row(case: Case, json_columns: bool) -> None:
    """One line of JSON each, with nested columns of equal length."""
    batch = batch_of(case)
    made = Records(json_columns=json_columns).of(batch)
    assert len(made) == batch.item_count
    for record in made:
        assert b"\n" not in record.line
        row = json.loads(record.line)
        nested: dict[str, set[int]] = {}
        for name, value in row.items():
            if "." in name:
                nested.setdefault(name.partition(".")[0], set()).add(len(value))
        assert all(len(lengths) == 1 for lengths in nested.values())


@settings(max_examples=40)
@given(message=requests(Signal.METRICS))
def test_every_point_is_written_or_refused(message: Any) -> None:
    """Both versions can be read, labels are sorted and have values, and samples are in order."""
    batch = batch_of((Signal.METRICS, message))
    writing = Translator(RemoteWriteConfig.model_validate({"endpoint": URL})).translate(batch)
    assert set(writing.refused) <= set(range(batch.item_count))
    one = classes_v1()["WriteRequest"].FromString(encode_v1(writing, metadata=True))
    two = classes_v2()["Request"].FromString(encode_v2(writing))
    assert len(one.timeseries) == len(two.timeseries) == len(writing.series)
    for first, second in zip(one.timeseries, two.timeseries, strict=True):
        labels = [(label.name, label.value) for label in first.labels]
        texts = [two.symbols[reference] for reference in second.labels_refs]
        assert labels == list(zip(texts[::2], texts[1::2], strict=True)) == sorted(labels)
        assert len(dict(labels)) == len(labels)
        assert all(value for _, value in labels)
        times = [sample.timestamp for sample in first.samples]
        assert times == sorted(set(times))
        for histogram in first.histograms:
            assert sum(span.length for span in histogram.positive_spans) == len(histogram.positive_deltas)


@pytest.mark.parametrize("line_format", ["json", "body"])
@settings(max_examples=40)
@given(case=any_signal_requests())
def test_every_record_is_a_line(case: Case, line_format: str) -> None:
    """In both encodings, with labels and metadata that have names."""
    if case[0] is Signal.METRICS:
        return
    batch = batch_of(case)
    entries = Entries(LokiPushConfig.model_validate({"endpoint": URL, "line_format": line_format})).of(batch)
    assert len(entries) == batch.item_count
    streams = json.loads(encode_json(entries))["streams"]
    assert sum(len(stream["values"]) for stream in streams) == batch.item_count
    request = push_class().FromString(encode_protobuf(entries))
    assert [len(stream.entries) for stream in request.streams] == [len(stream["values"]) for stream in streams]
    assert all(name and value for stream in streams for name, value in stream["stream"].items())
