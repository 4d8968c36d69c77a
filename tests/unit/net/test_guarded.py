"""Which addresses a URL of somebody else may lead to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from untrace_pipeline.net.guarded import ForbiddenAddressError, check_host, guarded_connector, is_public


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public(address: str) -> None:
    """Addresses of the internet may be connected to."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "no address",
    ],
)
def test_not_public(address: str) -> None:
    """Those of this machine, private networks, clouds' metadata, and what wraps them, may not."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "::1", "169.254.169.254", "127.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "٣.1"),
        *("localhost", "LocalHost.", "api.localhost"),
    ],
)
def test_written_addresses(host: str) -> None:
    """An address in a URL is judged as it stands, and so is ``localhost``; other names when they are resolved."""
    with pytest.raises(ForbiddenAddressError, match="no public address"):
        check_host(host)
    check_host("localhost.example.com")
    check_host("1.example.com")
    check_host("8.8.8.8")


async def test_names_lead_to_their_public_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses of a name the public ones are left; a name without any is refused."""

    async def resolve(_self: Any, host: str, port: int, *_family: object) -> list[dict[str, Any]]:
        found = {"mixed": ["10.0.0.1", "8.8.8.8"], "inside": ["10.0.0.1", "::1"]}[host]
        return [{"hostname": host, "host": one, "port": port, "family": 2, "proto": 0, "flags": 0} for one in found]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    connector = guarded_connector()
    resolver = connector._resolver
    assert [one["host"] for one in await resolver.resolve("mixed", 80, socket.AF_UNSPEC)] == ["8.8.8.8"]
    with pytest.raises(ForbiddenAddressError, match="inside has no public address"):
        await resolver.resolve("inside", 80, socket.AF_UNSPEC)
    await connector.close()
