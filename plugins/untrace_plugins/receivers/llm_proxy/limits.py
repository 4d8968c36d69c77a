"""What each key may use per window of time."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from untrace_pipeline.api import Credentials
from untrace_pipeline.net.http_message import Request
from untrace_plugins.genai.pricing import Prices
from untrace_plugins.genai.providers.span import Spent
from untrace_plugins.receivers.llm_proxy.limits_config import LimitConfig
from untrace_plugins.receivers.llm_proxy.refusals import ProxyError

__all__ = ["Limits"]

MOST_KEYS: Final = 100_000
"""Keys that are remembered; the one that was not used for the longest time is forgotten."""
_NOBODY: Final = Credentials()
_KEY_HEADERS: Final = (b"x-untrace-key", b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")


@dataclass(slots=True)
class _Used:
    """What one key used in the present window of one limit."""

    until: float = 0.0
    requests: int = 0
    tokens: int = 0
    dollars: float = 0.0

    def refresh(self, now: float, window: float) -> None:
        if now >= self.until:
            self.until, self.requests, self.tokens, self.dollars = now + window, 0, 0, 0.0


class Limits:
    """Counts per key; keys are remembered as digests only."""

    def __init__(
        self, limits: Sequence[LimitConfig], *, has_auth: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``has_auth``: an authenticator says who calls, and no header counts that it may not have checked."""
        self._limits = limits
        self._has_auth = has_auth
        self._clock = clock
        self._accounts: OrderedDict[str, list[_Used]] = OrderedDict()
        self._counts_dollars = any(limit.dollars is not None for limit in limits)
        self.needs_usage = any(limit.needs_usage for limit in limits)
        """Whether :meth:`spend` must be told of calls."""
        self._prices = Prices(())

    def load(self) -> None:
        """Load prices if they are needed; blocks."""
        if self._counts_dollars:
            self._prices.load()

    def admit(self, request: Request, who: Credentials) -> str:
        """Count a call; return what its usage counts under. Raises :class:`ProxyError` 429 where a limit is reached."""
        if not self._limits:
            return ""
        key = self._key_of(request, who)
        now = self._clock()
        account = self._account(key)
        for limit, used in zip(self._limits, account, strict=True):
            used.refresh(now, limit.window)
            if (what := _reached(limit, used)) is not None:
                raise _refused(limit, what, used.until - now)
        for used in account:
            used.requests += 1
        return key if self.needs_usage else ""

    def spend(self, key: str, spent: Spent, start_unix_nano: int) -> None:
        """Count what a call used that started then."""
        if spent.usage is None:
            return
        found = self._prices.find(spent.request) if self._counts_dollars else None
        tariff = None if found is None else found.schedule.at(start_unix_nano)
        dollars = 0.0 if tariff is None else tariff.price(spent.usage).total
        now = self._clock()
        for limit, used in zip(self._limits, self._account(key), strict=True):
            used.refresh(now, limit.window)
            used.tokens += spent.usage.input + spent.usage.output
            used.dollars += dollars

    def _key_of(self, request: Request, who: Credentials) -> str:
        """Return a digest of who calls: as authenticated, else by key if nothing is authenticated, else by address."""
        given = None
        if who != _NOBODY:
            given = repr(who).encode()
        elif not self._has_auth:
            given = next((request.first[name] for name in _KEY_HEADERS if name in request.first), None)
        return hashlib.sha256(given if given is not None else request.peer.rpartition(":")[0].encode()).hexdigest()

    def _account(self, key: str) -> list[_Used]:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = [_Used() for _ in self._limits]
            if len(self._accounts) > MOST_KEYS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(key)
        return account


def _reached(limit: LimitConfig, used: _Used) -> str | None:
    if limit.requests is not None and used.requests >= limit.requests:
        return f"{limit.requests} requests"
    if limit.tokens is not None and used.tokens >= limit.tokens:
        return f"{limit.tokens} tokens"
    if limit.dollars is not None and used.dollars >= limit.dollars:
        return f"{limit.dollars:g} US dollars"
    return None


def _refused(limit: LimitConfig, what: str, seconds: float) -> ProxyError:
    wait = max(1, math.ceil(seconds))
    message = f"this key has used its {what} per {limit.window:g} s; it may call again in {wait} s"
    return ProxyError(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_exceeded", message, (("retry-after", str(wait)),))
