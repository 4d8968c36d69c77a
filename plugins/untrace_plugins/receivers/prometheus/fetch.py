"""Asking a target for its metrics."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
from yarl import URL

from untrace_pipeline.net.client import one_line, user_agent
from untrace_pipeline.net.secret_file import SecretFile
from untrace_pipeline.net.tls import ClientTls
from untrace_plugins.receivers.prometheus.config import Protocol, ScrapeConfig

__all__ = ["Fetched", "Fetcher", "ScrapeError"]

_ACCEPT = {
    Protocol.OPENMETRICS_1: "application/openmetrics-text;version=1.0.0",
    Protocol.OPENMETRICS_0: "application/openmetrics-text;version=0.0.1",
    Protocol.TEXT: "text/plain;version=0.0.4",
}
_OK = 200


class ScrapeError(Exception):
    """A target did not answer, or not with metrics; says why."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a target answered."""

    text: str
    openmetrics: bool


class Fetcher:
    """One client for all targets of a job."""

    def __init__(self, job: ScrapeConfig, logger: logging.Logger) -> None:
        self._job = job
        self._tls = ClientTls(job.tls_config.client())
        self._headers = {
            "Accept": _accept(job.scrape_protocols),
            "User-Agent": user_agent(),
            "Accept-Encoding": "gzip" if job.enable_compression else "identity",
        }
        self._files: list[SecretFile] = []
        self._authorization = self._authorized(logger)
        self._session: aiohttp.ClientSession | None = None

    def _authorized(self, logger: logging.Logger) -> Callable[[], str] | None:
        """Return what makes the header ``Authorization``, if there is one."""

        def reader(path: str | None, given: str) -> Callable[[], str]:
            if path is None:
                return lambda: given
            file = SecretFile(path, logger)
            self._files.append(file)
            return lambda: file.read().strip()

        if (basic := self._job.basic_auth) is not None:
            name = reader(basic.username_file, basic.username)
            password = reader(basic.password_file, basic.password.reveal() if basic.password is not None else "")
            return lambda: "Basic " + base64.b64encode(f"{name()}:{password()}".encode()).decode()
        if (other := self._job.authorization) is not None:
            rest = reader(other.credentials_file, other.credentials.reveal() if other.credentials is not None else "")
            return lambda: f"{other.type.strip()} {rest()}"
        return None

    def start(self) -> None:
        """Read files. Raises :class:`StartError`."""
        for file in self._files:
            file.open()
        self._session = self._opened()

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls.ssl_context() if self._job.scheme == "https" else True)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout()
        )

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def fetch(self, url: str, timeout: float) -> Fetched:
        """Return what a target answers within a time. Raises :class:`ScrapeError`."""
        if self._session is None:
            raise ScrapeError("the receiver is closed")
        if self._tls.changed():
            await self.close()
            self._session = self._opened()
        headers = {**self._headers, "X-Prometheus-Scrape-Timeout-Seconds": f"{timeout:g}"}
        if self._authorization is not None:
            headers["Authorization"] = self._authorization()
        try:
            request = self._session.get(
                URL(url, encoded=True),  # relabelling made it, escapes and all
                headers=headers,
                allow_redirects=self._job.follow_redirects,
                timeout=aiohttp.ClientTimeout(total=timeout),
            )
            async with request as response:
                if response.status != _OK:
                    raise ScrapeError(f"it answered {response.status} {one_line(response.reason or '')}".rstrip())
                body = await self._read(response)
                return Fetched(body.decode("utf-8", "replace"), response.content_type == "application/openmetrics-text")
        except TimeoutError as error:
            raise ScrapeError(f"it did not answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ScrapeError(f"it did not answer: {one_line(str(error) or type(error).__name__)}") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._job.body_size_limit
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if limit and len(body) > limit:
                response.close()
                raise ScrapeError(f"its answer is larger than {limit} bytes (body_size_limit)")
        return bytes(body)


def _accept(protocols: Sequence[Protocol]) -> str:
    best = len(protocols) + 1
    asked = [f"{_ACCEPT[one]};q=0.{best - place}" for place, one in enumerate(protocols)]
    return ",".join([*asked, "*/*;q=0.1"])
