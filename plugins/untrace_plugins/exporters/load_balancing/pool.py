"""The backends of the moment, and who of them owns what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from untrace_pipeline.api import Host, RetryableError, Settings, StartError, Status
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.exporters.load_balancing.backend import Backend
from untrace_plugins.exporters.load_balancing.health import Health, PartHost
from untrace_plugins.exporters.load_balancing.keys import Keys
from untrace_plugins.exporters.load_balancing.ring import Ring

__all__ = ["Pool"]

B = TypeVar("B", bound=Backend)

RESOLVER = "the resolver"
RETRY_AFTER_SECONDS = 1.0
"""When senders may come back while no backend is known."""


class Pool(Generic[B]):
    """Takes what a resolver finds: new backends are started, the ring is exchanged, gone ones are told to leave.

    All of a change happens in one turn of the event loop, after the new backends have started. An empty list changes
    nothing: whatever waits for the last ones known waits for those that come next.
    """

    def __init__(
        self,
        resolver: str,
        keys: Mapping[Signal, Keys],
        settings: Settings,
        make: Callable[[str], B],
        leave: Callable[[B], None],
    ) -> None:
        """``make`` returns a backend for an endpoint, ``leave`` begins to part with one. ``resolver`` is a label."""
        self._keys = keys
        self._make = make
        self._leave = leave
        self._logger = settings.logger
        self._host: Host | None = None
        self._health = Health()
        self._ring = Ring([])
        self._failing = ""
        self.backends: dict[str, B] = {}
        """By endpoint, as the ring has it."""
        self.told = asyncio.Event()
        """Set when the resolver has told something."""
        meter = settings.meter
        self._number = meter.gauge("loadbalancer_num_backends", resolver=resolver)
        self._updates = meter.counter("loadbalancer_num_backend_updates", resolver=resolver)
        self._resolutions = {
            ok: meter.counter("loadbalancer_num_resolutions", resolver=resolver, success=str(ok).lower())
            for ok in (True, False)
        }

    def start(self, host: Host) -> None:
        """Know the host from now on."""
        self._host = host
        self._health.start(host)

    def unknown(self) -> RetryableError:
        """Return what senders are told while no backend is known."""
        because = f": {self._failing}" if self._failing else ""
        return RetryableError(f"no backend is known yet{because}", retry_after=RETRY_AFTER_SECONDS)

    def parts(self, batch: Batch) -> list[tuple[B, Batch]]:
        """Return which backend gets which items. Raises :class:`RetryableError` while no backend is known."""
        if not self.backends:
            raise self.unknown()
        if len(self.backends) == 1:
            return [(next(iter(self.backends.values())), batch)]
        keys = self._keys[batch.signal](batch)
        owners = {key: self._ring.owner(key) for key in set(keys)}
        parts = batch.partition([owners[key] for key in keys])
        return [(self.backends[str(owner)], part) for owner, part in parts.items()]

    # ---------------------------------------------------------------- resolver

    async def found(self, endpoints: Sequence[str]) -> None:
        """Have exactly these backends. Raises :class:`StartError` if the first ones cannot be used."""
        self._resolutions[True].add()
        if not endpoints:
            self._trouble("there is no backend at the moment")
        elif sorted(endpoints) == sorted(self._ring.endpoints):
            self._recovered()
        else:
            await self._change(endpoints)
        self.told.set()

    def failed(self, why: str) -> None:
        """The resolver does not know; the backends stay as they are."""
        self._resolutions[False].add()
        self._trouble(why)
        self.told.set()

    async def _change(self, endpoints: Sequence[str]) -> None:
        wanted = dict.fromkeys(endpoints)
        try:
            fresh = await self._started([one for one in wanted if one not in self.backends])
        except StartError as error:
            if not self.backends:
                raise
            self._trouble(f"new backends cannot be used: {error}")
            return
        before, known = self.backends, {**self.backends, **fresh}
        self.backends = {one: known[one] for one in wanted}
        self._ring = Ring(endpoints)
        self._number.set(len(self.backends))
        self._updates.add()
        gone = [backend for one, backend in before.items() if one not in wanted]
        came, left = ", ".join(fresh) or "none", ", ".join(one.endpoint for one in gone) or "none"
        self._logger.info("%d backends now: %s came, %s left", len(self.backends), came, left)
        self._recovered()
        for backend in gone:
            backend.gone = True
            self._health.forget(backend.endpoint)
            self._leave(backend)

    async def _started(self, endpoints: Sequence[str]) -> dict[str, B]:
        """Start backends, all of them or none. Raises :class:`StartError`."""
        assert self._host is not None
        fresh: dict[str, B] = {}
        try:
            for endpoint in endpoints:
                fresh[endpoint] = self._make(endpoint)
                await fresh[endpoint].start(PartHost(self._host, self._health, endpoint))
        except BaseException:
            for backend in fresh.values():
                await backend.shutdown()
            raise
        return fresh

    def _trouble(self, why: str) -> None:
        """Say once what is wrong, until it is over."""
        if not self._failing:
            kept = f"; the {len(self.backends)} known ones stay" if self.backends else ""
            self._logger.warning("%s%s", why, kept)
        if why != self._failing:
            self._failing = why
            self._health.report(RESOLVER, Status.RECOVERABLE_ERROR, why)

    def _recovered(self) -> None:
        if self._failing:
            self._failing = ""
            self._health.report(RESOLVER, Status.OK, "backends are known again")
