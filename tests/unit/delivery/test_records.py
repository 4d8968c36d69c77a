"""What of a batch survives in a journal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal
from untrace_pipeline.delivery.records import from_record, to_record
from untrace_pipeline.delivery.storage import Record
from untrace_pipeline.testing import make_batch

TEXT = st.text(st.characters(), max_size=20)


@given(
    signal=st.sampled_from(Signal),
    metadata=st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3).map(tuple), max_size=3),
    tenant=st.none() | TEXT,
    transport=TEXT,
    received_at=st.floats(0, 1e11),
)
def test_batch_survives(
    signal: Signal, metadata: dict[str, tuple[str, ...]], tenant: str | None, transport: str, received_at: float
) -> None:
    """Signal, bytes, number of items, headers, tenant, transport and arrival come back as they were."""
    context = Context(metadata=metadata, tenant=tenant, transport=transport, received_at=received_at)
    batch = make_batch(signal, 3, context=context)
    record = to_record(batch, 3, 12.5)
    assert (record.items, record.time) == (3, 12.5)
    back = from_record(record)
    assert (back.signal, back.to_otlp(), back.item_count) == (signal, batch.to_otlp(), 3)
    assert back.context == context


def test_header_bytes_that_are_no_utf8() -> None:
    """A client may send any bytes in a header; they come back."""
    context = Context(metadata={"x": ("\udcff\udc80",)}, received_at=1.0)
    assert from_record(to_record(Batch(Signal.LOGS, b"", context), 0, 1.0)).context == context


def test_who_sent_it_is_not_stored() -> None:
    """What an authenticator said, and the address of the client, stay in memory."""
    context = Context(auth={"subject": "alice"}, peer="10.0.0.1:5", received_at=1.0)
    back = from_record(to_record(Batch(Signal.LOGS, b"", context), 0, 1.0)).context
    assert back == Context(received_at=1.0)
    assert from_record(to_record(Batch(Signal.LOGS, b"", EMPTY_CONTEXT), 0, 1.0)).context == EMPTY_CONTEXT


@pytest.mark.parametrize(
    "header", [b"", b"\xff", b"[]", b"{}", b'{"signal":"x","received_at":1}', b'{"signal":"logs"}']
)
def test_foreign_header(header: bytes) -> None:
    """A header that is none of ours is an error, not a guess."""
    with pytest.raises(ValueError):
        from_record(Record(header, b"", 1, 0.0))
