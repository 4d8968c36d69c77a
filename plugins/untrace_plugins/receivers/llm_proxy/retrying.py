"""What is tried again, and after how long."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from typing import Final

from untrace_plugins.receivers.llm_proxy.upstream_call import UpstreamCall
from untrace_plugins.receivers.llm_proxy.upstream_config import RouteConfig

__all__ = ["delay_before", "is_failure", "may_retry"]

_BROKEN: Final = frozenset({500, 502, 503, 504, 529})
"""Statuses that speak against the upstream, not against the request or its key."""
_FIRST_DELAY_SECONDS: Final = 0.25
_HEADERS: Final = ((b"retry-after-ms", 0.001), (b"x-ms-retry-after-ms", 0.001), (b"retry-after", 1.0))
"""Azure and OpenAI have milliseconds besides the standard's seconds."""


def may_retry(call: UpstreamCall, route: RouteConfig) -> bool:
    """Return whether another attempt may do better."""
    return call.head is None or call.head.status in route.retry_on


def is_failure(call: UpstreamCall) -> bool:
    """Return whether an attempt counts against its upstream."""
    return call.head is None or call.head.status in _BROKEN


def delay_before(call: UpstreamCall, number: int) -> float:
    """Return the seconds before attempt ``number`` (from 1) at the same upstream: its wish, or a growing pause."""
    wish = None if call.head is None else _wish(dict(call.head.headers))
    if wish is not None:
        return wish
    return _FIRST_DELAY_SECONDS * 2.0 ** (number - 1) * random.uniform(0.75, 1.25)  # noqa: S311  no secret


def _wish(headers: dict[bytes, bytes]) -> float | None:
    """Read Retry-After: seconds, or a date (RFC 9110, 10.2.3)."""
    said = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in _HEADERS:
        text = said.get(name, b"").decode("latin-1")
        try:
            return max(0.0, float(text) * unit)
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except ValueError:
            pass
    return None
