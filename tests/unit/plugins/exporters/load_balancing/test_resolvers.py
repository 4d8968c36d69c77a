"""The resolvers that need no API server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from untrace_pipeline.testing import run_with_fake_clock
from untrace_plugins.exporters.load_balancing.config import DnsConfig, ResolverConfig
from untrace_plugins.exporters.load_balancing.resolvers import DnsResolver, StaticResolver, make_resolver


class Told:
    """What a resolver told, with the time."""

    def __init__(self) -> None:
        self.all: list[tuple[float, Any]] = []

    async def found(self, endpoints: Sequence[str]) -> None:
        self.all.append((asyncio.get_running_loop().time(), list(endpoints)))

    def failed(self, why: str) -> None:
        self.all.append((asyncio.get_running_loop().time(), why))


def asked(answers: Sequence[Any], seconds: float, **options: Any) -> list[tuple[float, Any]]:
    """Run a DNS resolver for some time; answers are addresses, an error, or seconds to wait before the next of them."""
    left = list(answers)

    async def lookup(hostname: str) -> Sequence[str]:
        assert hostname == "backends"
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return await lookup(hostname)
        if isinstance(answer, OSError):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def main() -> list[tuple[float, Any]]:
        told = Told()
        resolver = DnsResolver(DnsConfig.model_validate({"hostname": "backends", **options}), lookup)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.run(told), seconds)
        return told.all

    return run_with_fake_clock(main())


def test_dns_asks_again_and_again() -> None:
    """Every five seconds; without a port the default one is meant, and is not part of what is hashed."""
    told = asked([["10.0.0.1"], ["10.0.0.2", "fd00::1"]], 12)
    assert told == [(0, ["10.0.0.1"]), (5, ["10.0.0.2", "[fd00::1]"]), (10, ["10.0.0.2", "[fd00::1]"])]
    assert asked([["10.0.0.1", "fd00::1"]], 1, port=4318) == [(0, ["10.0.0.1:4318", "[fd00::1]:4318"])]


def test_dns_without_an_answer() -> None:
    """The reason is told, and it is asked again."""
    told = asked([OSError(-2, "Name or service not known"), ["10.0.0.1"]], 6)
    assert told == [(0, "backends has no addresses: Name or service not known"), (5, ["10.0.0.1"])]


def test_a_slow_answer_is_waited_for_once() -> None:
    """A resolver that hangs is not asked a second time meanwhile; its answer counts when it comes."""
    told = asked([7.5, ["10.0.0.1"]], 13)
    late = "no answer for backends within 1 s"
    assert told == [(1, late), (7, late), (12, ["10.0.0.1"])]


async def test_the_systems_resolver() -> None:
    """All addresses of localhost."""
    told = Told()
    resolver = make_resolver(
        ResolverConfig.model_validate({"dns": {"hostname": "localhost", "port": 1, "timeout": "5s"}})
    )
    work = asyncio.create_task(resolver.run(told))
    async with asyncio.timeout(10):
        while not told.all:
            await asyncio.sleep(0.002)
    work.cancel()
    await asyncio.wait({work})
    assert "127.0.0.1:1" in told.all[0][1]


async def test_a_static_list() -> None:
    """Told once."""
    told = Told()
    resolver = make_resolver(ResolverConfig.model_validate({"static": {"hostnames": ["a", "b:1"]}}))
    assert isinstance(resolver, StaticResolver)
    await resolver.run(told)
    assert [found for _, found in told.all] == [["a", "b:1"]]
