"""Requests of Loki's push API, as JSON and as protobuf (``logproto.PushRequest``). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any

import orjson

from untrace_plugins.exporters.loki_push.entries import Entry, Labels
from untrace_plugins.prometheus.messages import Messages, message_classes

__all__ = ["encode_json", "encode_protobuf", "push_class"]

_MESSAGES: Messages = {
    "PushRequest": {"streams": (1, "*StreamAdapter")},
    "StreamAdapter": {"labels": (1, "string"), "entries": (2, "*EntryAdapter")},
    "EntryAdapter": {
        "timestamp": (1, "Timestamp"),
        "line": (2, "string"),
        "structuredMetadata": (3, "*LabelPairAdapter"),
    },
    "LabelPairAdapter": {"name": (1, "string"), "value": (2, "string")},
}


@cache
def push_class() -> Any:
    """Return the class of ``PushRequest`` messages."""
    return message_classes("untrace/loki_push.proto", "logproto", _MESSAGES, syntax="proto3")["PushRequest"]


def encode_json(entries: Iterable[Entry]) -> bytes:
    """Return the request as JSON."""
    streams = [
        {"stream": dict(labels), "values": [_value(entry) for entry in held]}
        for labels, held in _streams(entries).items()
    ]
    return orjson.dumps({"streams": streams})


def encode_protobuf(entries: Iterable[Entry]) -> bytes:
    """Return the request as protobuf, not compressed."""
    request = push_class()()
    for labels, held in _streams(entries).items():
        stream = request.streams.add(labels=_selector(labels))
        for entry in held:
            added = stream.entries.add(line=entry.line)
            added.timestamp.seconds, added.timestamp.nanos = divmod(entry.nanos, 10**9)
            for name, value in entry.metadata.items():
                added.structuredMetadata.add(name=name, value=value)
    data: bytes = request.SerializeToString()
    return data


def _streams(entries: Iterable[Entry]) -> Mapping[Labels, list[Entry]]:
    """Return entries by stream, each in order of time."""
    streams: dict[Labels, list[Entry]] = {}
    for entry in entries:
        streams.setdefault(entry.labels, []).append(entry)
    for held in streams.values():
        held.sort(key=attrgetter("nanos"))
    return streams


def _value(entry: Entry) -> list[Any]:
    value: list[Any] = [str(entry.nanos), entry.line]
    if entry.metadata:
        value.append(entry.metadata)
    return value


def _selector(labels: Labels) -> str:
    pairs = ", ".join([f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels])
    return f"{{{pairs}}}"
