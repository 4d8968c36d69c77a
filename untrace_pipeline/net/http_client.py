"""An HTTP client: POST of bytes with compression and keep-alive, errors as :mod:`untrace_pipeline.errors`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api.auth import ClientAuthenticator
from untrace_pipeline.api.component import Host
from untrace_pipeline.api.config import ConfigModel, Duration
from untrace_pipeline.errors import ConsumeError, RetryableError, StartError
from untrace_pipeline.net.client import ClientAuthConfig, Headers, find_authenticator, hide, user_agent
from untrace_pipeline.net.compression import Compression, compressor
from untrace_pipeline.net.http_answer import Answer, refusal, translate
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

if TYPE_CHECKING:
    import aiohttp

__all__ = ["HttpClient", "HttpClientConfig", "check_url", "host_of"]

RECEIVE_LIMIT_BYTES = 4 * 1024 * 1024
"""OTLP: a client should not take answers larger than 4 MiB."""
OLD_SESSION_SECONDS = 30.0
"""Requests on connections whose certificates changed may take that long to end."""

_OK = range(200, 300)
_MAX_LEVEL = {Compression.GZIP: 9, Compression.DEFLATE: 9, Compression.ZLIB: 9, Compression.ZSTD: 22}


class CompressionParams(ConfigModel):
    """``compression_params``."""

    level: int | None = Field(None, ge=1, le=22)
    """1 to 9 for gzip and deflate (1 unless set), 1 to 22 for zstd (3 unless set). Differs from the Collector, whose
    gzip takes level 6: twice the CPU for a quarter fewer bytes."""


class HttpClientConfig(ConfigModel):
    """An HTTP client; the Collector's ``confighttp`` keys. HTTP/1.1, no cookies, redirects are refused."""

    endpoint: str = ""
    """URL. Example: ``https://collector.example.com:4318``."""
    tls: ClientTlsConfig = ClientTlsConfig()
    """For ``https`` URLs."""
    compression: Compression = Compression.NONE
    """``gzip``, ``zstd``, ``deflate`` or ``none``."""
    compression_params: CompressionParams = CompressionParams()
    """How hard to compress."""
    headers: Headers = {}
    """Added to each request; they win over our own."""
    proxy_url: str = ""
    """HTTP proxy; absent = what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. Example: ``http://proxy:3128``."""
    auth: ClientAuthConfig | None = None
    """Extension that adds credentials."""
    max_idle_conns: int = Field(100, ge=0)
    """Accepted for the Collector's sake; idle connections end after ``idle_conn_timeout``."""
    max_idle_conns_per_host: int = Field(0, ge=0)
    """Accepted for the Collector's sake."""
    max_conns_per_host: int = Field(0, ge=0)
    """Most connections at once; ``0`` = as many as requests are under way."""
    idle_conn_timeout: Duration = Field(90.0, gt=0)
    """A connection that is not used for that long is closed."""
    disable_keep_alives: bool = False
    """Open a new connection for each request."""
    read_buffer_size: int = Field(0, ge=0)
    """Accepted for the Collector's sake; buffers are sized automatically."""
    write_buffer_size: int = Field(524288, ge=0)
    """Accepted for the Collector's sake."""
    force_attempt_http2: bool = True
    """Accepted for the Collector's sake; requests go over HTTP/1.1."""
    http2_read_idle_timeout: Duration = Field(0.0, ge=0)
    """Accepted for the Collector's sake."""
    http2_ping_timeout: Duration = Field(0.0, ge=0)
    """Accepted for the Collector's sake."""

    @field_validator("compression", mode="before")
    @classmethod
    def _supported(cls, value: object) -> object:
        if value in ("", None):
            return Compression.NONE
        if value in ("snappy", "x-snappy-framed", "lz4"):
            msg = f"gzip, zstd, deflate or none: {value} is not supported"
            raise ValueError(msg)
        return value

    @field_validator("endpoint", "proxy_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return check_url(url)

    @model_validator(mode="after")
    def _level_fits(self) -> Self:
        most = _MAX_LEVEL.get(self.compression)
        level = self.compression_params.level
        if level is not None and (most is None or level > most):
            msg = f"no compression_params.level above {most}" if most else "no compression_params without compression"
            raise ValueError(f"{msg} for compression {self.compression}")
        return self


def _without_user(url: str) -> str:
    """Return a URL without its credentials: a header with others is stronger, as in Go, and aiohttp takes one only."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url


def check_url(url: str) -> str:
    """Return the URL. Raises ``ValueError`` unless it is empty or an absolute ``http`` or ``https`` URL."""
    if not url:
        return url
    msg = 'a URL, such as "https://collector.example.com:4318"'
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(msg)
    return url


def host_of(url: str) -> str:
    """Return ``host:port`` of a URL: fit for labels and logs, free of credentials."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class HttpClient:
    """Requests with shared settings over a pool of connections."""

    def __init__(self, config: HttpClientConfig, logger: logging.Logger) -> None:
        self._config = config
        self._logger = logger
        self._tls = ClientTls(config.tls)
        self._compressor = compressor(config.compression, config.compression_params.level)
        own = {"User-Agent": user_agent()}
        if self._compressor is not None:
            own["Content-Encoding"] = self._compressor.encoding
        given = {name: value.reveal() for name, value in config.headers.items()}
        lower = {name.lower() for name in given}
        self._headers = {name: value for name, value in own.items() if name.lower() not in lower} | given
        self._given = tuple(given.values())
        self._authenticator: ClientAuthenticator | None = None
        self._session: aiohttp.ClientSession | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self, host: Host) -> None:
        """Make the pool; opens no connection. Raises :class:`StartError` for unusable TLS files."""
        self._authenticator = find_authenticator(host, self._config.auth)
        self._open()

    async def post(self, url: str, data: bytes, content_type: str) -> Answer:
        """Send a body and return the answer; without a limit in time, that is the caller's (``asyncio.timeout``).

        Raises :class:`RetryableError` for 429, 502, 503, 504 (with the delay of Retry-After for 429 and 503) and when
        there is no answer, :class:`OversizeError` for 413, and :class:`PermanentError` for the rest (OTLP, "Failures"
        of OTLP/HTTP).
        """
        if self._tls.changed():
            self._reopen()
        if self._session is None:
            raise RetryableError("the client is closed")
        headers = {"Content-Type": content_type, **self._headers}
        proof: Mapping[str, str] = {}
        if self._authenticator is not None:
            proof = await self._authenticator.headers()
            headers.update(proof)
        if any(name.lower() == "authorization" for name in headers):
            url = _without_user(url)
        if self._compressor is not None:
            data = await self._compressor.compress(data)
        try:
            return await self._exchange(self._session, url, data, headers)
        except ConsumeError as error:
            raise hide(error, (*self._given, *proof.values()))  # noqa: B904  the same error
        except Exception as error:
            raise translate(error) from error

    async def close(self) -> None:
        """Close all connections. Safe twice and without ``start``."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, session: aiohttp.ClientSession, url: str, data: bytes, headers: dict[str, str]) -> Answer:
        import aiohttp  # noqa: PLC0415  validating a configuration must not load it

        try:
            return await self._post(session, url, data, headers)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # A kept connection that the server closed while it was idle; a second loss is a real one.
            return await self._post(session, url, data, headers)

    async def _post(self, session: aiohttp.ClientSession, url: str, data: bytes, headers: dict[str, str]) -> Answer:
        name = self._config.tls.server_name_override
        proxy = self._config.proxy_url or _environment_proxy(url)
        async with session.post(
            url, data=data, headers=headers, allow_redirects=False, server_hostname=name, proxy=proxy
        ) as response:
            body = await _read(response)
            answer = Answer(response.status, response.content_type, body)
            if response.status in _OK:
                return answer
            raise refusal(answer, response.headers)

    def _reopen(self) -> None:
        try:
            self._open()
        except StartError as error:
            self._logger.warning("changed certificates not taken, the old ones stay: %s", error)

    def _open(self) -> None:
        """Make a pool, and let requests on the one before end."""
        import aiohttp  # noqa: PLC0415  validating a configuration must not load it

        config = self._config
        secure = config.endpoint.startswith("https:") or config.tls != ClientTlsConfig()
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=config.max_conns_per_host,
            force_close=config.disable_keep_alives,
            ssl=self._tls.ssl_context() if secure else True,
            keepalive_timeout=None if config.disable_keep_alives else config.idle_conn_timeout,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
        )
        old, self._session = self._session, session
        if old is not None:
            task = asyncio.create_task(_close_later(old))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


@lru_cache(maxsize=256)
def _environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names; asked once, and never for credentials (``~/.netrc``)."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


async def _close_later(session: aiohttp.ClientSession) -> None:
    try:
        await asyncio.sleep(OLD_SESSION_SECONDS)
    finally:
        await session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body up to the limit; what is more is not read, and the connection is not used again."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > RECEIVE_LIMIT_BYTES:
            response.close()
            break
    return bytes(body[:RECEIVE_LIMIT_BYTES])
