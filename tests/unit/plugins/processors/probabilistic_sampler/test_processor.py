"""The sampler's decisions. The golden ones were made by the Collector 0.158 for the same input and options."""

from __future__ import annotations

import random
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.testing import make_batch, make_settings
from untrace_pipeline.testing.generate import to_any_value
from untrace_plugins.processors.probabilistic_sampler import FACTORY

TRACE_ID, TRACE_STATE = Field(Level.ITEM, "trace_id"), Field(Level.ITEM, "trace_state")
IDS = [
    "6d25cf734c49a1dd273e4d8fab5f5bdb", "8d1099ec05e8fdc7c1d734777648ab73", "bde201825045e4da32da5e96796b9d30",
    "78e6452f2969cccdc2710c83869ecb79", "79fe3fa1ed672c9d538800cb2514a92f", "93791818c6ed537281b4ab4d9caf4c24",
    "252f36175fd1e7893fdd44cfc0f9efe3", "272f85b1627f6ba267abb80acb866e98", "340771fb72bd6a65b85dfaf6aa78f773",
    "967767a7539729bd7e84959d380d6ba6", "67885128a658859f8416d703d065ead4", "b6fe43878b932b10d3bd3e0f658a2009",
]  # fmt: skip


def spans(*each: dict[str, Any]) -> Batch:
    """Return spans with the given id, tracestate and priority."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for one in each:
        span = scope.spans.add(trace_id=bytes.fromhex(one.get("id", IDS[0])), trace_state=one.get("state", ""))
        if "priority" in one:
            span.attributes.add(key="sampling.priority").value.CopyFrom(to_any_value(one["priority"]))
    return Batch(Signal.TRACES, request.SerializeToString())


def run(batch: Batch, **options: Any) -> Batch | None:
    """Sample, write, and read again what was written."""
    transform = FACTORY.create(FACTORY.config.model_validate(options), make_settings(Kind.PROCESSOR, "sampler"))
    result = transform.process(batch)
    return result and Batch(result.signal, result.to_otlp())


def outcome(span: dict[str, Any], **options: Any) -> str | None:
    """Return the tracestate of a span that was kept, or ``None``."""
    result = run(spans(span), **options)
    state = result.column(TRACE_STATE)[0] if result else None
    assert state is None or isinstance(state, str)
    return state


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (
            {"sampling_percentage": 50},
            {0: "ot=rv:d5683118450aa5;th:8", 1: "ot=rv:9a58328ba1d969;th:8", 2: "ot=rv:c6d812d7b4ce49;th:8",
             5: "ot=rv:a7b812e4b81611;th:8", 7: "ot=rv:c31c22b8ac0f38;th:8", 8: "ot=rv:de7010f23d8863;th:8",
             10: "ot=rv:bfac0f19c69014;th:8"},
        ),
        (
            {"sampling_percentage": 50, "hash_seed": 22},
            {1: "ot=rv:bd2014721dd0b7;th:8", 2: "ot=rv:dbe03c9426c907;th:8", 8: "ot=rv:eec811ad6a444d;th:8",
             10: "ot=rv:a1a42751d61796;th:8", 11: "ot=rv:8e50082d0bdc6b;th:8"},
        ),
        ({"mode": "equalizing", "sampling_percentage": 33.3}, dict.fromkeys([1, 2, 5, 6, 7, 11], "ot=th:aac1")),
        (
            {"mode": "proportional", "sampling_percentage": 25, "sampling_precision": 1},
            dict.fromkeys([1, 2, 6], "ot=th:c"),
        ),
        (
            {"mode": "equalizing", "sampling_percentage": 99.99, "sampling_precision": 3},
            dict.fromkeys(range(12), "ot=th:00068e"),
        ),
    ],
)  # fmt: skip
def test_golden_decisions(options: dict[str, Any], kept: dict[int, str]) -> None:
    """Same traces, same tracestate as the Collector."""
    result = run(spans(*[{"id": one} for one in IDS]), **options)
    assert result is not None
    ids, states = result.columns([TRACE_ID, TRACE_STATE])
    assert dict(zip([IDS.index(one.hex()) for one in ids], states, strict=True)) == kept  # type: ignore[union-attr]


HALF = {"sampling_percentage": 50}
EQUAL, PROPORTIONAL = {"mode": "equalizing", **HALF}, {"mode": "proportional", **HALF}


@pytest.mark.parametrize(
    ("span", "options", "state"),
    [
        # hash_seed: spans with sampling information of their own are foreign here
        ({"state": "a=b"}, HALF, "ot=rv:d5683118450aa5;th:8,a=b"),
        ({"state": "ot=th:8"}, HALF, None),
        ({"state": "ot=th:8"}, {**HALF, "fail_closed": False}, "ot=th:8"),
        ({"state": "bad"}, HALF, None),
        ({"state": "bad"}, {**HALF, "fail_closed": False}, "bad"),
        ({"id": ""}, HALF, None),
        ({"id": "00" * 16}, {**HALF, "fail_closed": False}, "ot=rv:ffffffffffffff;th:0"),
        # priority overrules
        ({"priority": 0}, HALF, None),
        ({"priority": "0"}, {"sampling_percentage": 100}, None),
        ({"id": IDS[3], "priority": 1}, HALF, "ot=rv:5bec251963e5d0"[:5] + "…"),
        ({"id": IDS[3], "priority": "0.5"}, {"sampling_percentage": 0}, "ot=th:0"),
        ({"priority": -1}, {"sampling_percentage": 0}, None),
        ({"priority": True}, {"sampling_percentage": 0}, None),
        ({"priority": "x"}, HALF, "ot=rv:d5683118450aa5;th:8"),
        # equalizing: an arriving threshold that is higher stays
        ({"id": IDS[1]}, EQUAL, "ot=th:8"),
        ({"id": IDS[0]}, EQUAL, None),
        ({"state": "ot=rv:ffffffffffffff;th:c"}, EQUAL, "ot=rv:ffffffffffffff;th:c"),
        ({"state": "ot=rv:ffffffffffffff;th:4"}, EQUAL, "ot=rv:ffffffffffffff;th:8"),
        ({"state": "ot=rv:00000000000001;x:y"}, EQUAL, None),
        ({"id": "", "state": "ot=rv:ffffffffffffff"}, EQUAL, "ot=rv:ffffffffffffff;th:8"),
        # a threshold that the span's own randomness does not reach is a lie
        ({"state": "ot=rv:00000000000001;th:8"}, EQUAL, None),
        ({"state": "ot=rv:00000000000001;th:8"}, {**EQUAL, "fail_closed": False}, "ot=rv:00000000000001;th:0"),
        # proportional: half of what arrived
        ({"state": "ot=rv:ffffffffffffff;th:8"}, PROPORTIONAL, "ot=rv:ffffffffffffff;th:c"),
        ({"state": "ot=rv:bfffffffffffff;th:8"}, PROPORTIONAL, None),
        ({"id": "", "state": "a=b"}, PROPORTIONAL, None),
    ],
)  # fmt: skip
def test_single_spans(span: dict[str, Any], options: dict[str, Any], state: str | None) -> None:
    """Tracestate, priority and errors, case by case."""
    found = outcome(span, **options)
    if state is not None and state.endswith("…"):
        assert found is not None
        assert found.endswith(";th:0")
    else:
        assert found == state


@pytest.mark.parametrize("mode", ["hash_seed", "equalizing", "proportional"])
def test_shares_are_kept(mode: str) -> None:
    """Of many traces the share is kept, nested: what 10 % keep, 50 % keep too."""
    rng = random.Random(3)
    batch = spans(*[{"id": rng.randbytes(16).hex()} for _ in range(4000)])
    few = run(batch.copy(), mode=mode, sampling_percentage=10)
    many = run(batch.copy(), mode=mode, sampling_percentage=50)
    assert few is not None
    assert many is not None
    assert 320 < few.item_count < 480
    assert 1880 < many.item_count < 2120
    assert set(few.column(TRACE_ID)) <= set(many.column(TRACE_ID))


def test_everything_and_nothing() -> None:
    """100 % and more keep all, 0 % none."""
    assert run(make_batch(items=20), sampling_percentage=0) is None
    for percentage in (100, 250):
        result = run(make_batch(items=20), sampling_percentage=percentage)
        assert result is not None
        assert result.item_count == 20


# -------------------------------------------------------------------------- logs


def records(*each: dict[str, Value]) -> Batch:
    """Return log records with attributes; ``id`` is the trace id."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for one in each:
        record = scope.log_records.add(trace_id=bytes.fromhex(str(one.get("id", IDS[0]))))
        for key, value in one.items():
            if key != "id":
                record.attributes.add(key=key).value.CopyFrom(to_any_value(value))
    return Batch(Signal.LOGS, request.SerializeToString())


def marks(record: dict[str, Value], **options: Any) -> tuple[Value, Value] | None:
    """Return randomness and threshold of a record that was kept, or ``None``."""
    result = run(records(record), **options)
    if result is None:
        return None
    randomness, threshold = result.columns([attribute("sampling.randomness"), attribute("sampling.threshold")])
    return randomness[0], threshold[0]


@pytest.mark.parametrize(
    ("record", "options", "written"),
    [
        ({}, HALF, ("d5683118450aa5", "8")),
        ({"id": IDS[3]}, HALF, None),
        ({"id": ""}, HALF, None),
        ({"id": ""}, {**HALF, "fail_closed": False}, (None, "0")),
        ({"id": "", "key": "order-2"}, {"sampling_percentage": 100, "from_attribute": "key"}, ("…", "0")),
        ({"sampling.threshold": "8"}, HALF, None),
        ({"sampling.threshold": "8"}, {**HALF, "fail_closed": False}, (None, "8")),
        ({"sampling.randomness": "zz"}, {**EQUAL, "fail_closed": False}, ("zz", None)),
        ({"sampling.randomness": "ffffffffffffff", "sampling.threshold": "c"}, EQUAL, ("ffffffffffffff", "c")),
        ({"sampling.randomness": "ffffffffffffff", "sampling.threshold": "4"}, EQUAL, ("ffffffffffffff", "8")),
        ({"id": IDS[3], "share": 100}, {**HALF, "sampling_priority": "share"}, ("…", "0")),
        ({"share": 0.001}, {**HALF, "sampling_priority": "share"}, None),
        ({"share": "100"}, {"sampling_percentage": 0, "sampling_priority": "share"}, None),
        ({"share": 0}, {**HALF, "sampling_priority": "share"}, ("d5683118450aa5", "8")),
    ],
)
def test_single_records(record: dict[str, Value], options: dict[str, Any], written: tuple[Value, Value] | None) -> None:
    """Log records carry randomness and threshold as attributes, and may ask for a share of their own."""
    found = marks(record, **options)
    if written is not None and written[0] == "…":
        assert found is not None
        assert found[1] == written[1]
        assert len(str(found[0])) == 14
    else:
        assert found == written


def test_the_attribute_of_the_record_decides() -> None:
    """With ``attribute_source: record`` equal values meet the same fate, whatever the trace, and any type is hashed."""
    options = {"sampling_percentage": 50, "attribute_source": "record", "from_attribute": "key"}
    values: list[Value] = ["a", "b", 5, 1.5, True, b"raw", ["x"], {"k": 1}]
    fates = [marks({"id": IDS[0], "key": value}, **options) for value in values]
    assert fates == [marks({"id": IDS[5], "key": value}, **options) for value in values]
    assert None in fates
    assert any(fates)
    assert marks({"id": IDS[0]}, **options) is None
