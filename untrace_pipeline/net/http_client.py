"""An HTTP client: POST of bytes with compression and keep-alive, errors as :mod:`untrace_pipeline.errors`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import Field, field_validator, model_validator

from untrace_pipeline import native
from untrace_pipeline.api.auth import ClientAuthenticator
from untrace_pipeline.api.component import Host
from untrace_pipeline.api.config import ConfigModel, Duration
from untrace_pipeline.errors import ConsumeError, RetryableError, StartError
from untrace_pipeline.net.client import ClientAuthConfig, Headers, find_authenticator, hide, user_agent
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_answer import OTLP_STATUSES, Answer, Judge, Statuses, refusal
from untrace_pipeline.net.http_native import NativePool, not_native
from untrace_pipeline.net.http_portable import PortablePool
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

__all__ = ["HttpClient", "HttpClientConfig", "check_url", "environment_proxy", "host_of"]

OLD_SESSION_SECONDS = 30.0
"""Requests on connections whose certificates changed may take that long to end."""

_MAX_LEVEL = {Compression.GZIP: 9, Compression.DEFLATE: 9, Compression.ZLIB: 9, Compression.ZSTD: 22}


class CompressionParams(ConfigModel):
    """``compression_params``."""

    level: int | None = Field(None, ge=1, le=22)
    """1 to 9 for gzip and deflate, 1 to 22 for zstd (3 unless set). Unset, gzip takes what costs little: 1 in Python,
    where the Collector's 6 takes twice the CPU for a quarter fewer bytes, and 6 in the native client."""


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
    msg = 'a URL, such as "https://example.com"'
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

    def __init__(
        self,
        config: HttpClientConfig,
        logger: logging.Logger,
        statuses: Statuses = OTLP_STATUSES,
        *,
        reads_headers: bool = False,
        hidden: Iterable[str] = (),
        guarded: bool = False,
    ) -> None:
        """``guarded`` connects to public addresses only, and through no proxy, which would resolve names itself.

        With ``reads_headers``, answers have all their headers, which the native client does not tell.

        ``hidden`` are secrets besides the values of headers, which never show in an error: what was encoded in one.
        """
        self._config = config
        self._logger = logger
        self._statuses = statuses
        self._reads_headers = reads_headers
        self._guarded = guarded
        self._tls = ClientTls(config.tls)
        own = {"User-Agent": user_agent()}
        if config.compression is not Compression.NONE:
            own["Content-Encoding"] = config.compression.value
        given = {name: value.reveal() for name, value in config.headers.items()}
        lower = {name.lower() for name in given}
        self._headers = {name: value for name, value in own.items() if name.lower() not in lower} | given
        self._names = lower
        self._given = (*given.values(), *hidden)
        self._authenticator: ClientAuthenticator | None = None
        self._pool: NativePool | PortablePool | None = None
        self._detour: PortablePool | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self, host: Host) -> None:
        """Make the pool; opens no connection. Raises :class:`StartError` for unusable TLS files."""
        self._authenticator = find_authenticator(host, self._config.auth)
        self._open()

    async def post(self, url: str, data: bytes, content_type: str, extra: Mapping[str, str] | None = None) -> Answer:
        """Send a body and return the answer; without a limit in time, that is the caller's (``asyncio.timeout``).

        ``extra`` are headers of this request alone.

        Unless the client has other ``statuses``, raises :class:`RetryableError` for 429, 502, 503, 504 (with the delay
        of Retry-After, or of a rate limit's reset, for 429 and 503) and when there is no answer, :class:`OversizeError`
        for 413, and :class:`PermanentError` for the rest (OTLP, "Failures" of OTLP/HTTP).
        """
        headers = dict(extra or {})
        if "content-type" not in self._names:
            headers["Content-Type"] = content_type
        proof = await self._proof()
        headers.update(proof)
        if "authorization" in self._names or any(name.lower() == "authorization" for name in proof):
            url = _without_user(url)
        proxy = self._proxy(url)
        pool = self._pool if proxy is None else self._beside("where the environment names a proxy")
        if pool is None:
            raise RetryableError("the client is closed")
        try:
            answer = await pool.post(url, data, headers, proxy)
            if not self._statuses.succeeded(answer.status):
                raise refusal(answer, self._statuses)
        except ConsumeError as error:
            raise hide(error, (*self._given, *proof.values()))  # noqa: B904  the same error
        return answer

    async def request(
        self,
        method: str,
        url: str,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        judge: Judge | None = None,
    ) -> Answer:
        """Send any request and return any answer, with its headers: for protocols that read statuses in their own way.

        The URL is used as it is written, because it may be signed. Raises :class:`RetryableError` when there is no
        answer, :class:`PermanentError` for what is no URL, and what ``judge`` says of the answer, without credentials
        that it may quote. The native client knows POST alone, so this one is sent
        through Python's.
        """
        proof = await self._proof()
        pool = self._beside("for methods other than POST")
        if pool is None:
            raise RetryableError("the client is closed")
        proxy = self._proxy(url)
        try:
            answer = await pool.request(method, url, data, {**(headers or {}), **proof}, proxy)
            if judge is not None and (refused := judge(answer)) is not None:
                raise refused
        except ConsumeError as error:
            raise hide(error, (*self._given, *proof.values()))  # noqa: B904  the same error
        return answer

    async def close(self) -> None:
        """Close all connections. Safe twice and without ``start``."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        pools, self._pool, self._detour = (self._pool, self._detour), None, None
        for pool in pools:
            if pool is not None:
                await pool.close()

    def _reopen(self) -> None:
        try:
            self._open()
        except StartError as error:
            self._logger.warning("changed certificates not taken, the old ones stay: %s", error)

    def _open(self) -> None:
        """Make a pool, and let requests on the one before end."""
        old, self._pool = (self._pool, self._detour), self._made()
        self._detour = None
        for pool in old:
            if pool is not None:
                task = asyncio.create_task(pool.close(OLD_SESSION_SECONDS))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def _proxy(self, url: str) -> str | None:
        return None if self._guarded else self._config.proxy_url or environment_proxy(url)

    def _made(self) -> NativePool | PortablePool:
        if native.egress().is_native:
            reason = self._why_not_native()
            if not reason:
                return NativePool(self._config, self._tls, self._headers)
            self._logger.info("the native HTTP client is not used: %s", reason)
        return self._portable()

    def _why_not_native(self) -> str:
        if self._guarded:
            return "it does not look at the addresses that it connects to"
        return "it does not tell all headers" if self._reads_headers else not_native(self._config)

    async def _proof(self) -> Mapping[str, str]:
        """Return the headers of the authenticator; picks up changed certificates, too."""
        if self._tls.changed():
            self._reopen()
        return {} if self._authenticator is None else await self._authenticator.headers()

    def _beside(self, when: str) -> PortablePool | None:
        """Return the pool for what the native client does not know."""
        if self._pool is None or isinstance(self._pool, PortablePool):
            return self._pool
        if self._detour is None:
            self._logger.info("the native HTTP client is not used %s", when)
            self._detour = self._portable()
        return self._detour

    def _portable(self) -> PortablePool:
        return PortablePool(self._config, self._tls, self._headers, guarded=self._guarded)


@lru_cache(maxsize=256)
def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names; asked once, and never for credentials (``~/.netrc``)."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
