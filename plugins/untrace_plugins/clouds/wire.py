"""HTTP to a service of a cloud: requests with a proof of who we are, and what answers mean."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from untrace_pipeline.api import Host, ProbeResult
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, RetryableError
from untrace_pipeline.net.client import hide, one_line
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.net.http_client import HttpClient, HttpClientConfig
from untrace_pipeline.net.rate_limits import wait_seconds
from untrace_pipeline.net.tls import ClientTlsConfig

__all__ = ["Authorizer", "Wire", "word_of"]

_OK = range(200, 300)
_TOO_LARGE = 413
_CODES = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    408: Code.DEADLINE_EXCEEDED,
    409: Code.ABORTED,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
}
_TOO_LARGE_WORDS = {"EntityTooLarge", "RequestBodyTooLarge"}
_EXPIRED_WORDS = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired", "TokenRefreshRequired"}
_SLOWER_WORDS = {"SlowDown", "ServerBusy", "ProvisionedThroughputExceededException", "LimitExceededException"}
_NO_RIGHT_WORDS = {"AccessDenied", "AccessDeniedException", "AuthorizationPermissionMismatch"}
_REFUSED_WORDS = {"InvalidSignatureException", "UnrecognizedClientException", "InvalidClientTokenId"}
_UNAUTHENTICATED, _FORBIDDEN = 401, 403

_WORD = re.compile(r"<Code>([^<]{1,100})</Code>")
_JSON_WORD = re.compile(r'"__type"\s*:\s*"(?:[^"#]*#)?([^"]{1,100})"')
_TEXT = re.compile(r"<Message>([^<]{1,1000})")
_JSON_TEXT = re.compile(r'"[mM]essage"\s*:\s*"([^"]{1,1000})"')


class Authorizer(Protocol):
    """Proves who we are."""

    async def headers(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """Return the headers of a request with the proof added. Raises :class:`RetryableError` without credentials."""

    def renew(self) -> None:
        """Forget what was not taken, and look again."""


class Wire:
    """A client of one service. Whatever it answers but "too large" is worth another attempt.

    Stores and streams do not look into what they are given, so a refusal says something about credentials, names or
    load, and never about the data, which waits until somebody has mended that.
    """

    def __init__(
        self,
        endpoint: str,
        authorizer: Authorizer,
        logger: logging.Logger,
        *,
        tls: ClientTlsConfig,
        proxy_url: str,
        secrets: Collection[str] = (),
    ) -> None:
        """``secrets`` are parts of URLs that must not be in a message."""
        self._client = HttpClient(HttpClientConfig(endpoint=endpoint, tls=tls, proxy_url=proxy_url), logger)
        self._authorizer = authorizer
        self._secrets = secrets

    async def start(self, host: Host) -> None:
        """Make the pool of connections. Raises :class:`StartError` for TLS files that cannot be used."""
        await self._client.start(host)

    async def close(self) -> None:
        """Close all connections. Safe twice."""
        await self._client.close()

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes = b"", also: Collection[int] = ()
    ) -> Answer:
        """Send a request and return a successful answer, or one with a status in ``also``; raises for any other."""
        signed = await self._authorizer.headers(method, url, headers, data)
        try:
            answer = await self._client.request(method, url, data, signed)
        except ConsumeError as error:
            raise hide(error, self._secrets)  # noqa: B904  the same error
        if answer.status in _OK or answer.status in also:
            return answer
        raise self.refusal(answer)

    async def ask(self, method: str, url: str, headers: Mapping[str, str], data: bytes = b"") -> Sequence[ProbeResult]:
        """Return what the service says to a question that changes nothing.

        Who may write need not be allowed to look: being told so is as good an answer as any.
        """
        try:
            signed = await self._authorizer.headers(method, url, headers, data)
            answer = await self._client.request(method, url, data, signed)
        except ConsumeError as error:
            what = "credentials" if error.code is Code.UNAUTHENTICATED else "health"
            return [ProbeResult(what, ok=False, message=str(hide(error, self._secrets)))]
        word, answers = word_of(answer), ProbeResult("health", ok=True, message=f"HTTP {answer.status}")
        if answer.status in _OK:
            return [answers, ProbeResult("credentials", ok=True, message="taken")]
        if word in _NO_RIGHT_WORDS or (answer.status == _FORBIDDEN and not word):
            return [
                answers,
                ProbeResult("credentials", ok=True, message="taken; no right to look is needed"),
            ]
        said = str(self.refusal(answer))
        if answer.status in {_UNAUTHENTICATED, _FORBIDDEN} or word in _REFUSED_WORDS | _EXPIRED_WORDS:
            return [answers, ProbeResult("credentials", ok=False, message=said)]
        return [ProbeResult("health", ok=False, message=said)]

    def refusal(self, answer: Answer) -> ConsumeError:
        """Return the error that an answer stands for; looks for new credentials where those were not taken."""
        word, body = word_of(answer), _readable(answer)
        if answer.status == _UNAUTHENTICATED or word in _EXPIRED_WORDS:
            self._authorizer.renew()
        said = _TEXT.search(body) or _JSON_TEXT.search(body)
        text = one_line(f"HTTP {answer.status} {word}".rstrip() + (f": {said[1]}" if said else ""))
        if region := answer.headers.get("x-amz-bucket-region", "") if answer.status in {301, 307, 400} else "":
            text += f" (the bucket is in region {one_line(region)})"
        if answer.status == _TOO_LARGE or word in _TOO_LARGE_WORDS:
            return hide(OversizeError(text), self._secrets)
        code = Code.RESOURCE_EXHAUSTED if word in _SLOWER_WORDS else _CODES.get(answer.status, Code.UNAVAILABLE)
        return hide(RetryableError(text, retry_after=wait_seconds(answer.headers), code=code), self._secrets)


def word_of(answer: Answer) -> str:
    """Return the word that AWS and Azure have for an error: ``SlowDown``; empty where there is none."""
    body = _readable(answer)
    found = _WORD.search(body) or _JSON_WORD.search(body)
    return found[1] if found else answer.headers.get("x-ms-error-code", "")


def _readable(answer: Answer) -> str:
    return answer.body[:4096].decode(errors="replace")
