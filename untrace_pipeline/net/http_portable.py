"""HTTP requests through aiohttp: works wherever Python does, and through proxies."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from untrace_pipeline.errors import ConsumeError
from untrace_pipeline.net.compression import compressor
from untrace_pipeline.net.guarded import check_host, guarded_connector
from untrace_pipeline.net.http_answer import Answer, translate
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

    from untrace_pipeline.net.http_client import HttpClientConfig

__all__ = ["RECEIVE_LIMIT_BYTES", "PortablePool"]

RECEIVE_LIMIT_BYTES = 4 * 1024 * 1024
"""OTLP: a client should not take answers larger than 4 MiB."""

WHOLE_BODY_BYTES = 1024 * 1024
"""Larger bodies go to the socket in pieces, so that the loop has its turns."""


class PortablePool:
    """A session of aiohttp. Raises :class:`StartError` for unusable TLS files."""

    def __init__(
        self, config: HttpClientConfig, tls: ClientTls, headers: Mapping[str, str], *, guarded: bool = False
    ) -> None:
        """``guarded``: connect to public addresses only."""
        import aiohttp  # noqa: PLC0415  validating a configuration must not load it

        self._server_name = config.tls.server_name_override
        self._headers = headers
        self._compressor = compressor(config.compression, config.compression_params.level)
        secure = config.endpoint.startswith("https:") or config.tls != ClientTlsConfig()
        self._guarded = guarded
        make_connector = guarded_connector if guarded else aiohttp.TCPConnector
        connector = make_connector(
            limit=0,
            limit_per_host=config.max_conns_per_host,
            force_close=config.disable_keep_alives,
            ssl=tls.ssl_context() if secure else True,
            keepalive_timeout=None if config.disable_keep_alives else config.idle_conn_timeout,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
        )

    async def post(self, url: str, data: bytes, headers: Mapping[str, str], proxy: str | None) -> Answer:
        """Send a body, and return whatever is answered. Raises as :meth:`HttpClient.post` does where nothing is."""
        return await self._exchange("POST", url, data, headers, proxy)

    async def request(
        self, method: str, url: str, data: bytes, headers: Mapping[str, str], proxy: str | None
    ) -> Answer:
        """Send any request to a URL that is used as it is written. Raises as :meth:`HttpClient.request` does."""
        from yarl import URL  # noqa: PLC0415

        return await self._exchange(method, URL(url, encoded=True), data, headers, proxy)

    async def close(self, grace: float | None = None) -> None:
        """Close all connections, after ``grace`` seconds for the requests under way."""
        try:
            if grace:
                await asyncio.sleep(grace)
        finally:
            await self._session.close()

    async def _exchange(
        self, method: str, url: str | URL, data: bytes, headers: Mapping[str, str], proxy: str | None
    ) -> Answer:
        if self._guarded:
            check_host(urlsplit(str(url)).hostname or "")
        if self._compressor is not None:
            data = await self._compressor.compress(data)
        try:
            return await self._persist(method, url, data, {**self._headers, **headers}, proxy)
        except ConsumeError:
            raise
        except Exception as error:
            raise translate(error) from error

    async def _persist(
        self, method: str, url: str | URL, data: bytes, headers: Mapping[str, str], proxy: str | None
    ) -> Answer:
        import aiohttp  # noqa: PLC0415

        try:
            return await self._send(method, url, data, headers, proxy)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # A kept connection that the server closed while it was idle; a second loss is a real one.
            return await self._send(method, url, data, headers, proxy)

    async def _send(
        self, method: str, url: str | URL, data: bytes, headers: Mapping[str, str], proxy: str | None
    ) -> Answer:
        name = self._server_name
        body = data if len(data) <= WHOLE_BODY_BYTES else io.BytesIO(data)
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False, server_hostname=name, proxy=proxy
        ) as response:
            return Answer(response.status, response.content_type, await _read(response), response.headers)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body up to the limit; what is more is not read, and the connection is not used again."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > RECEIVE_LIMIT_BYTES:
            response.close()
            break
    return bytes(body[:RECEIVE_LIMIT_BYTES])
