"""The caller's trace goes on through us (W3C Trace Context, level 2)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from untrace_plugins.genai.providers.exchange import TraceContext

__all__ = ["trace_of", "traceparent"]

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE_LIMIT: Final = 512
"""What W3C wants to be passed on at least."""
_SAMPLED: Final = 1


def trace_of(headers: Mapping[bytes, bytes]) -> TraceContext:
    """Return the ids of the span of a request: within the caller's trace, or of a new one."""
    text = headers.get(b"traceparent")
    found = _TRACEPARENT.fullmatch(text.strip()) if text else None
    if found is None or not _is_valid(*found.groups()):
        ids = os.urandom(24)
        return TraceContext(ids[:16], ids[16:])
    _, trace_id, parent, flags, _ = found.groups()
    state = headers.get(b"tracestate", b"").decode("latin-1").strip()
    return TraceContext(
        bytes.fromhex(trace_id.decode()),
        os.urandom(8),
        bytes.fromhex(parent.decode()),
        state if len(state) <= _STATE_LIMIT else "",
        int(flags, 16) & _SAMPLED,
    )


def _is_valid(version: bytes, trace_id: bytes, parent: bytes, _flags: bytes, more: bytes | None) -> bool:
    known = version != b"ff" and (version != b"00" or not more)
    return known and trace_id.strip(b"0") != b"" and parent.strip(b"0") != b""


def traceparent(trace: TraceContext) -> bytes:
    """Return the header that tells the provider of our span."""
    return b"traceparent: 00-%b-%b-%02x\r\n" % (
        trace.trace_id.hex().encode(),
        trace.span_id.hex().encode(),
        trace.flags & _SAMPLED,
    )
