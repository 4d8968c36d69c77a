"""Resolvers: who knows the backends. Each is one task, and reports to the pool until it is cancelled."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from untrace_plugins.exporters.load_balancing.config import DnsConfig, ResolverConfig, StaticConfig
from untrace_plugins.exporters.load_balancing.endpoint import joined

__all__ = ["DnsResolver", "Lookup", "Report", "Resolver", "StaticResolver", "make_resolver"]

Lookup: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name. Raises ``OSError``."""


class Report(Protocol):
    """Takes what a resolver finds."""

    async def found(self, endpoints: Sequence[str]) -> None:
        """These are the backends now, all of them, in any order."""

    def failed(self, why: str) -> None:
        """Nobody knows whether the backends are still the same."""


class Resolver(Protocol):
    """Finds backends."""

    kind: str
    """``static``, ``dns`` or ``k8s``: a label of metrics."""

    async def run(self, report: Report) -> None:
        """Report the backends at once, and whenever they change. Runs until it is cancelled, or nothing can change."""


class StaticResolver:
    """A fixed list."""

    kind = "static"

    def __init__(self, config: StaticConfig) -> None:
        self._endpoints = config.hostnames

    async def run(self, report: Report) -> None:
        """Report it."""
        await report.found(self._endpoints)


class DnsResolver:
    """Asks for all addresses of a name, again and again."""

    kind = "dns"

    def __init__(self, config: DnsConfig, lookup: Lookup | None = None) -> None:
        self._config = config
        self._lookup = lookup or _addresses
        self._asking: asyncio.Task[Sequence[str]] | None = None

    async def run(self, report: Report) -> None:
        """Report after each answer, and each time that there is none."""
        try:
            while True:
                await self._ask(report)
                await asyncio.sleep(self._config.interval)
        finally:
            if self._asking is not None:
                self._asking.cancel()

    async def _ask(self, report: Report) -> None:
        """Ask once; an answer that takes longer than the timeout is not asked for a second time meanwhile."""
        config = self._config
        asking = self._asking = self._asking or asyncio.create_task(_awaited(self._lookup(config.hostname)))
        await asyncio.wait({asking}, timeout=config.timeout)
        if not asking.done():
            report.failed(f"no answer for {config.hostname} within {config.timeout:g} s")
            return
        self._asking = None
        try:
            addresses = asking.result()
        except OSError as error:
            report.failed(f"{config.hostname} has no addresses: {error.strerror or error}")
        else:
            await report.found([joined(address, config.port) for address in addresses])


async def _awaited(answer: Awaitable[Sequence[str]]) -> Sequence[str]:
    return await answer


async def _addresses(hostname: str) -> Sequence[str]:
    """Ask the system's resolver for addresses of both families."""
    found = await asyncio.get_running_loop().getaddrinfo(hostname, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def make_resolver(config: ResolverConfig) -> Resolver:
    """Return the one that is configured."""
    if config.static is not None:
        return StaticResolver(config.static)
    if config.dns is not None:
        return DnsResolver(config.dns)
    from untrace_plugins.exporters.load_balancing.kubernetes import KubernetesResolver  # noqa: PLC0415  loads aiohttp

    assert config.k8s is not None
    return KubernetesResolver(config.k8s)
