"""Any event, whatever it holds, is taken or refused; no preset fails over it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.data import Batch
from untrace_plugins.core_trace.checking import InvalidError, load
from untrace_plugins.receivers.webhook.config import SourceConfig
from untrace_plugins.receivers.webhook.mapping import compile_mapping
from untrace_plugins.receivers.webhook.presets import PRESETS
from untrace_plugins.shaping.expressions import View

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NAMES = sorted(
    {
        *(
            "type",
            "id",
            "data",
            "created",
            "timestamp",
            "event",
            "event_time",
            "action",
            "repository",
            "sender",
            "prompt",
        ),
        *("runs", "traces", "model", "provider", "request", "request_body", "response_body", "messages", "metadata"),
        *("input", "outputChoices", "error", "latency", "inputTokens", "traceId", "spanId", "start_time", "end_time"),
    }
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["2026-01-31T12:00:00Z", '{"model":"x","messages":[{"role":"user","content":"a"}]}', "0" * 32]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", sorted(PRESETS))
@given(given=values)
def test_any_event(name: str, given: Any) -> None:
    """An event becomes a valid request, or is refused as what it is: no other error."""
    config = SourceConfig.model_validate({"preset": name, "secrets": [SECRET]})
    compose = compile_mapping(name, config)
    with suppress(InvalidError):
        event = load(orjson.dumps(given))
        batch = Batch(config.signal, compose([View(event, event, lambda _name: "header")], 10**18))
        batch.validate()
        assert batch.item_count == 1
