"""What is known of well-known senders: how they sign, and what becomes of their events. Data, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CHALLENGES", "PRESETS"]

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "github": {
        "scheme": "github",
        "log": {
            "event_name": "header:x-github-event",
            "attributes": {
                "github.delivery": "header:x-github-delivery",
                "github.action": "$.action",
                "github.repository": "$.repository.full_name",
                "github.sender": "$.sender.login",
            },
            "resource": {"service.name": "github"},
        },
    },
    "stripe": {
        "scheme": "stripe",
        "event_id": "$.id",
        "log": {
            "event_name": "$.type",
            "time": "$.created",
            "attributes": {
                "stripe.event.id": "$.id",
                "stripe.account": "$.account",
                "stripe.api_version": "$.api_version",
                "stripe.livemode": "$.livemode",
                "stripe.object.id": "$.data.object.id",
            },
            "resource": {"service.name": "stripe"},
        },
    },
    "slack": {
        "scheme": "slack",
        "event_id": "$.event_id",
        "log": {
            "event_name": "$.event.type ?? $.type ?? $.command",
            "time": "$.event_time",
            "attributes": {
                "slack.event.id": "$.event_id",
                "slack.team": "$.team_id",
                "slack.channel": "$.event.channel ?? $.channel_id",
                "slack.user": "$.event.user ?? $.user_id",
            },
            "resource": {"service.name": "slack"},
        },
    },
    "svix": {"scheme": "svix", "log": {"event_name": "$.type", "time": "$.timestamp"}},
    "standard_webhooks": {"scheme": "standard_webhooks", "log": {"event_name": "$.type", "time": "$.timestamp"}},
    "langfuse": {
        "scheme": "langfuse",
        "event_id": "$.id",
        "log": {
            "event_name": "{$.type}.{$.action}",
            "time": "$.timestamp",
            "attributes": {
                "langfuse.event.id": "$.id",
                "gen_ai.prompt.name": "$.prompt.name",
                "gen_ai.prompt.version": "$.prompt.version",
            },
            "resource": {"service.name": "langfuse"},
        },
    },
    "langsmith": {
        "scheme": "token",
        "events": "$.runs[*]",
        "span": {
            "name": "$.name",
            "trace_id": "$.trace_id",
            "span_id": "$.id",
            "parent_id": "$.parent_run_id",
            "start_time": "$.start_time",
            "end_time": "$.end_time",
            "error": "$.error",
            "attributes": {
                "langsmith.span.kind": "$.run_type",
                "langsmith.trace.session_id": "$.session_id",
                "langsmith.rule.id": "@.rule_id",
                "langsmith.metadata": "$.extra.metadata",
                "gen_ai.prompt": "$.inputs",
                "gen_ai.completion": "$.outputs",
                "gen_ai.system": "$.extra.metadata.ls_provider",
                "gen_ai.request.model": "$.extra.metadata.ls_model_name",
                "gen_ai.usage.input_tokens": "$.prompt_tokens",
                "gen_ai.usage.output_tokens": "$.completion_tokens",
            },
            "resource": {"service.name": "langsmith"},
        },
    },
    "helicone": {
        "scheme": "helicone",
        "event_id": "$.request_id",
        "trace": {
            "id": "$.request_id",
            "userId": "$.user_id",
            "provider": "$.provider ?? $.metadata.provider ?? openai",
            "model": "$.model ?? $.request_body | json | $.model ?? $.response_body | json | $.model ?? unknown",
            "request": {
                "messages": "$.request_body | json | $.messages",
                "prompt": "$.request_body | json | $.prompt",
                "tools": "$.request_body | json | $.tools",
            },
            "response": {
                "id": "$.response_body | json | $.id",
                "model": "$.response_body | json | $.model",
                "choices": "$.response_body | json | $.choices",
                "content": "$.response_body | json | $.content",
                "usage": "$.response_body | json | $.usage",
            },
            "metrics": {"estimated_cost": "$.metadata.cost", "latency_ms": "$.metadata.latencyMs"},
            "metadata": "$.metadata",
        },
    },
    "untrace": {
        "scheme": "token",
        "only": {"$.event_type": ["llm_generation", "llm_error"]},
        "trace": {
            "id": "$.data.spanId",
            "traceId": "$.data.traceId",
            "parentId": "$.data.parentId",
            "endTime": "$.timestamp",
            "provider": "$.data.provider ?? unknown",
            "model": "$.data.model ?? unknown",
            "request": {"messages": "$.data.input"},
            "response": {
                "choices": "$.data.outputChoices",
                "usage": {
                    "prompt_tokens": "$.data.inputTokens",
                    "completion_tokens": "$.data.outputTokens",
                    "cache_read_input_tokens": "$.data.cacheReadInputTokens",
                    "cache_creation_input_tokens": "$.data.cacheCreationInputTokens",
                },
            },
            "metrics": {"latency_ms": "$.data.latency", "estimated_cost": "$.data.totalCostUsd"},
            "error": {"message": "$.data.error"},
            "attributes": {
                "http.response.status_code": "$.data.httpStatus",
                "untrace.cost.input": "$.data.inputCostUsd",
                "untrace.cost.output": "$.data.outputCostUsd",
            },
        },
    },
    "core_trace": {
        "scheme": "standard_webhooks",
        "events": "$.data.traces[*] ?? $.data",
        "trace": "$",
    },
}
CHALLENGES: Final[Mapping[str, tuple[str, str, str]]] = {"slack": ("$.type", "url_verification", "$.challenge")}
"""By scheme: an expression, the value that it has where a sender asks who is there, and what it wants to hear."""
