"""What is tried again, and after how long."""

from __future__ import annotations

import random
from typing import Final

from untrace_pipeline.net.rate_limits import read_delay
from untrace_plugins.receivers.llm_proxy.upstream_call import UpstreamCall
from untrace_plugins.receivers.llm_proxy.upstream_config import RouteConfig

__all__ = ["delay_before", "is_failure", "may_retry", "wish_of"]

_BROKEN: Final = frozenset({500, 502, 503, 504, 529})
"""Statuses that speak against the upstream, not against the request or its key."""
_FIRST_DELAY_SECONDS: Final = 0.25
_MILLISECONDS: Final = (b"retry-after-ms", b"x-ms-retry-after-ms")
"""OpenAI's and Azure's, besides the standard's seconds."""


def may_retry(call: UpstreamCall, route: RouteConfig) -> bool:
    """Return whether another attempt may do better."""
    return call.head is None or call.head.status in route.retry_on


def is_failure(call: UpstreamCall) -> bool:
    """Return whether an attempt counts against its upstream."""
    return call.head is None or call.head.status in _BROKEN


def delay_before(call: UpstreamCall, number: int) -> float:
    """Return the seconds before attempt ``number`` (from 1) at the same upstream: its wish, or a growing pause."""
    wish = wish_of(call)
    if wish is not None:
        return wish
    return _FIRST_DELAY_SECONDS * 2.0 ** (number - 1) * random.uniform(0.75, 1.25)  # noqa: S311  no secret


def wish_of(call: UpstreamCall) -> float | None:
    """Return the seconds for which an answer asks to be left alone, if it does."""
    if call.head is None:
        return None
    said = {name.lower(): value.decode("latin-1").strip() for name, value in call.head.headers}
    milliseconds = (read_delay(said.get(name)) for name in _MILLISECONDS)
    precise = next((delay / 1000 for delay in milliseconds if delay is not None), None)
    return read_delay(said.get(b"retry-after")) if precise is None else precise
