"""Messages between supervisor and worker."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.supervisor import channel
from untrace_pipeline.supervisor.channel import Channel

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


async def pair() -> tuple[Channel, Channel]:
    """Return both ends."""
    one, other = socket.socketpair()
    return await Channel.over(one), await Channel.over(other)


@given(messages=st.lists(st.dictionaries(st.from_regex("[a-z]{1,5}x", fullmatch=True), VALUES, max_size=4), max_size=5))
def test_what_is_sent_arrives(messages: list[dict[str, Any]]) -> None:
    """Any messages, in their order, whole; then the end."""

    async def main() -> None:
        one, other = await pair()
        for fields in messages:
            one.send("test", **fields)
        await one.close()
        for fields in messages:
            assert await other.receive() == {"kind": "test", **fields}
        assert await other.receive() is None
        await other.close()

    asyncio.run(main())


async def test_large_messages_and_odd_numbers() -> None:
    """Configurations of megabytes pass, and gauges that are infinite or no number at all."""
    one, other = await pair()
    one.send("reload", text="x" * 5_000_000, values=[math.inf, -math.inf, math.nan])
    message = await other.receive()
    assert message is not None
    assert len(message["text"]) == 5_000_000
    assert message["values"][:2] == [math.inf, -math.inf]
    assert math.isnan(message["values"][2])
    await one.close()
    await other.close()


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0", b"\0\0\0\5abc", b"\0\0\0\3abc", b"\0\0\0\2[]", b"\0\0\0\2{}", struct.pack(">I", 2**31)],
    ids=["nothing", "half-length", "half-body", "no-json", "no-object", "no-kind", "too-long"],
)
async def test_whatever_is_no_message_is_the_end(data: bytes) -> None:
    """A peer that dies in the middle of a message, or speaks another language, is gone."""
    one, other = socket.socketpair()
    end = await Channel.over(other)
    one.sendall(data)
    one.close()
    assert await end.receive() is None
    await end.close()


async def test_nobody_listens_any_more() -> None:
    """Sending to a dead peer, flushing and closing twice do no harm."""
    one, other = socket.socketpair()
    end = await Channel.over(other)
    one.close()
    assert await end.receive() is None
    for _ in range(3):
        end.send("test", text="x" * 100_000)
        await end.flush(1.0)
    await end.close()
    await end.close()


async def test_flushing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that does not read holds nobody up."""
    one, other = socket.socketpair()
    end = await Channel.over(other)
    end.send("test", text="x" * 10_000_000)
    await end.flush(0.01)
    one.close()
    await end.close()
    assert channel.MAX_BYTES > 10_000_000
