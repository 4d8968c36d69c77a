"""Index templates for what we send: so that long texts are no keywords, and attributes no fields without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from untrace_pipeline.data import Signal
from untrace_plugins.bulk.config import BulkConfig, MappingMode
from untrace_plugins.bulk.flat import LONGEST_KEYWORD

__all__ = ["templates"]

Fields = dict[str, Any]

_KEYWORD: Fields = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
_TEXT: Fields = {"type": "match_only_text"}
_NUMBER: Fields = {"type": "double"}
_TIME: Fields = {"type": "date_nanos"}
_LONG_TEXTS = [
    "*.gen_ai.*messages",
    "*.gen_ai.system_instructions",
    "*.gen_ai.tool.*",
    "*.input.value",
    "*.output.value",
    "*.llm.prompts",
    "*.llm.completions",
    "*.exception.stacktrace",
    "*.exception.message",
]
"""Attributes that hold texts which no keyword can hold."""
_FIELD_LIMIT = 2000
"""Fields of an index that attributes may add; the server's own limit is 1000."""


def templates(config: BulkConfig, whole_object: Mapping[str, Any]) -> Iterator[tuple[str, Fields]]:
    """Yield names and bodies of the templates; ``whole_object`` is the server's type for an object in one field."""
    wanted = config.index_template
    for signal in Signal:
        name = config.index_names[signal]
        stream = not name and not config.logstash_format.enabled
        suffix = "*.otel-*" if config.mapping.mode is MappingMode.OTEL else "*-*"
        yield (
            f"{wanted.name}-{signal}",
            {
                "index_patterns": [f"{name}*" if name else f"{signal}-{suffix}"],
                "priority": wanted.priority,
                **({"data_stream": {}} if stream else {}),
                "template": {
                    "settings": {
                        "number_of_shards": wanted.number_of_shards,
                        "number_of_replicas": wanted.number_of_replicas,
                        "index.mapping.total_fields.limit": _FIELD_LIMIT,
                    },
                    "mappings": _otel() if config.mapping.mode is MappingMode.OTEL else _flat(whole_object),
                },
            },
        )


def _otel() -> Fields:
    return {
        "date_detection": False,
        "dynamic_templates": [
            *[
                {f"long {path}": {"path_match": path, "match_mapping_type": "string", "mapping": _TEXT}}
                for path in _LONG_TEXTS
            ],
            {"texts": {"match_mapping_type": "string", "mapping": _KEYWORD}},
        ],
        "properties": {
            "@timestamp": _TIME,
            "observed_timestamp": _TIME,
            "duration": {"type": "long"},
            "trace_id": _KEYWORD,
            "span_id": _KEYWORD,
            "body": {"properties": {"text": _TEXT}},
            "status": {"properties": {"code": _KEYWORD, "message": _TEXT}},
        },
    }


def _flat(whole_object: Mapping[str, Any]) -> Fields:
    return {
        "dynamic": False,
        "properties": {
            **dict.fromkeys(("@timestamp", "end"), _TIME),
            **{name: {"type": "long"} for name in ("duration", "severity_number")},
            **dict.fromkeys(_FLAT_KEYWORDS, _KEYWORD),
            **dict.fromkeys(("status_message", "body", "distribution"), _TEXT),
            **dict.fromkeys(("attributes", "resource"), whole_object),
            "texts": {"properties": {"name": _KEYWORD, "text": _TEXT}},
            "value": _NUMBER,
            "llm": {
                "properties": {
                    **dict.fromkeys(_LLM_KEYWORDS, _KEYWORD),
                    **{name: {"type": "long"} for name in ("input_tokens", "output_tokens")},
                    "cost": _NUMBER,
                }
            },
            "events": {"properties": {"@timestamp": _TIME, "name": _KEYWORD, "attributes": _TEXT}},
            "links": {"properties": {"trace_id": _KEYWORD, "span_id": _KEYWORD}},
        },
    }


_FLAT_KEYWORDS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "name",
    "kind",
    "status_code",
    "service",
    "scope",
    "scope_version",
    "severity_text",
    "event_name",
    "metric",
    "unit",
    "type",
)
_LLM_KEYWORDS = ("operation", "provider", "request_model", "response_model", "conversation_id")
