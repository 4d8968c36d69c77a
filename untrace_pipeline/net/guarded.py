"""Addresses that a URL of somebody else must not lead to: of this machine, of private networks, of clouds' metadata.

Checked when a connection is made, after names were resolved, so that no name can change its mind in between (SSRF, DNS
rebinding). Redirects are not followed by our clients anyway.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from untrace_pipeline.errors import Code, PermanentError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["ForbiddenAddressError", "check_host", "guarded_connector", "is_public"]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_OF_CLOUDS = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))
"""Metadata of Oracle's cloud, and what Azure's machines are told by: private, though Python has them as public."""


class ForbiddenAddressError(PermanentError):
    """The host of a URL has no address that is public."""

    code = Code.PERMISSION_DENIED


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet; what an IPv6 address wraps counts, too."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:  # of old, and public to Python
            return False
    if any(ip in network for network in _OF_CLOUDS):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def check_host(host: str) -> None:
    """Raise :class:`ForbiddenAddressError` for a host that cannot be public, whatever a resolver says.

    That is an address that is not, and ``localhost`` (RFC 6761). Connectors do not resolve what looks like an address
    to them, so other ways to write one (``127.1``, ``2130706433``) are refused here, too: no name ends in digits alone.
    """
    last = host.rstrip(".").rpartition(".")[2].lower()
    looks_like_one = ":" in host or last.isdigit()
    if last == "localhost" or (looks_like_one and not is_public(host)):
        raise _forbidden(host)


def guarded_connector(**options: Any) -> aiohttp.TCPConnector:
    """Return a connector that connects to public addresses only.

    Its connections raise :class:`ForbiddenAddressError` for hosts that have no other; names that have both are
    connected to by the public ones.
    """
    import aiohttp  # noqa: PLC0415  validating a configuration must not load it
    from aiohttp.abc import AbstractResolver, ResolveResult  # noqa: PLC0415

    class Guarded(AbstractResolver):
        def __init__(self) -> None:
            self._resolver = aiohttp.ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            found = await self._resolver.resolve(host, port, family)
            public = [one for one in found if is_public(one["host"])]
            if not public:
                raise _forbidden(host)
            return public

        async def close(self) -> None:
            await self._resolver.close()

    return aiohttp.TCPConnector(resolver=Guarded(), **options)


def _forbidden(host: str) -> ForbiddenAddressError:
    return ForbiddenAddressError(f"{host} has no public address, and allow_private is false")
