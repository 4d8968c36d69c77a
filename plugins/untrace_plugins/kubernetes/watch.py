"""Lists objects of the API server once, then follows their changes, and goes on after whatever happens.

See "Efficient detection of changes" in Kubernetes API Concepts. The service account needs the verbs ``list`` and
``watch``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import aiohttp
import orjson

from untrace_plugins.kubernetes.cluster import Cluster

__all__ = ["Follower", "RefusedError", "Resource", "Watch", "read_object"]

PAGE = 500
"""Objects per page of a list."""
LONGEST_EVENT_BYTES = 16 * 1024 * 1024
"""etcd holds 1.5 MB at most; whoever sends more is no API server."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
"""Bounds of the wait after a failure; it doubles, with jitter."""
GRACE_SECONDS = 10.0
"""How much longer than it was asked to the API server may keep a watch open before it counts as dead."""

Found = Mapping[str, Any]
"""An object of the API server."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Which objects."""

    path: str
    """``/api/v1/pods``."""
    what: str
    """For messages: ``pods of namespace shop``."""
    kind: str
    """What a role names: ``pods``."""
    selectors: Mapping[str, str] = field(default_factory=dict)
    """``labelSelector``, ``fieldSelector``."""


class Follower(Protocol):
    """Takes what a watch finds."""

    async def listed(self, objects: list[Found]) -> None:
        """These are the objects now, all of them. Raises ``LookupError`` or ``TypeError`` for what cannot be one."""

    async def changed(self, found: Found, *, deleted: bool) -> None:
        """One has come, changed or gone."""

    def failed(self, why: str) -> None:
        """Nobody knows whether they are still the same; it goes on."""


class _GoneError(Exception):
    """The version of the list is too old to go on from: list again."""


class RefusedError(Exception):
    """The API server refuses, and says why."""


_FAILURES = (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError, AttributeError, RefusedError)
"""No connection, no answer, or one of a shape that no API server gives: someone else answers at its address."""


class Watch:
    """Follows the objects of one resource. Raises :class:`StartError` if the cluster's authorities cannot be read."""

    def __init__(self, cluster: Cluster, resource: Resource, timeout: float = 60.0) -> None:
        """``timeout``: seconds that one watch stays open, and a list may take."""
        self._cluster = cluster
        self._tls = cluster.tls()
        self._resource = resource
        self._timeout = timeout
        self._wait = FIRST_WAIT_SECONDS

    async def run(self, follower: Follower) -> None:
        """Tell what is there, and whatever changes. Runs until it is cancelled."""
        connector = aiohttp.TCPConnector(ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=GRACE_SECONDS)
        self._wait = FIRST_WAIT_SECONDS
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                try:
                    version = await self._list(session, follower)
                    while True:
                        version = await self._watch(session, follower, version)
                        self._wait = FIRST_WAIT_SECONDS
                except _GoneError:
                    pass
                except _FAILURES as error:
                    follower.failed(self._explained(error))
                await asyncio.sleep(self._wait * random.uniform(0.5, 1.0))  # noqa: S311  jitter
                self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    async def _list(self, session: aiohttp.ClientSession, follower: Follower) -> str:
        """Take the objects of now, and return their version."""
        objects: list[Found] = []
        more = ""
        while True:
            async with asyncio.timeout(self._timeout):
                async with self._get(session, {"limit": str(PAGE), **({"continue": more} if more else {})}) as answer:
                    page = orjson.loads(await answer.read())
            objects += page.get("items") or ()
            version, more = page["metadata"]["resourceVersion"], page["metadata"].get("continue") or ""
            if not more:
                break
        await follower.listed(objects)
        return str(version)

    async def _watch(self, session: aiohttp.ClientSession, follower: Follower, version: str) -> str:
        """Follow changes until the API server ends the watch, and return the version reached."""
        seconds = int(self._timeout)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(seconds + GRACE_SECONDS), self._get(session, query) as answer:
            with suppress(aiohttp.ClientPayloadError, ConnectionResetError):  # cut off: go on from here
                async for event in _events(answer):
                    version = await _apply(event, follower, version)
        if asyncio.get_running_loop().time() - begun < FIRST_WAIT_SECONDS:
            await asyncio.sleep(FIRST_WAIT_SECONDS)  # whatever is wrong there: do not make it worse
        return version

    def _get(self, session: aiohttp.ClientSession, query: Mapping[str, str]) -> _Answer:
        headers = {"Authorization": f"Bearer {self._cluster.token()}", "Accept": "application/json"}
        url = f"{self._cluster.url}{self._resource.path}"
        return _Answer(session, url, {**self._resource.selectors, **query}, headers, self._resource.kind)

    def _explained(self, error: Exception) -> str:
        what = self._resource.what
        if isinstance(error, TimeoutError):
            return f"the API server does not answer for the {what}"
        return f"the API server does not give the {what}: {str(error) or type(error).__name__}"


async def read_object(cluster: Cluster, path: str, kind: str) -> Found:
    """Return one object. Raises :class:`RefusedError` for every way of not getting it, with the reason."""
    headers = {"Authorization": f"Bearer {cluster.token()}", "Accept": "application/json"}
    connector = aiohttp.TCPConnector(ssl=cluster.tls())
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            _Answer(session, f"{cluster.url}{path}", {}, headers, kind) as answer,
        ):
            found = orjson.loads(await answer.read())
    except _GoneError as error:
        raise RefusedError("410 Gone") from error
    except _FAILURES as error:
        raise RefusedError(f"the API server does not give {path}: {str(error) or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise RefusedError(f"the API server does not give {path}: this is no object")
    return found


async def _apply(event: Mapping[str, Any], follower: Follower, version: str) -> str:
    kind, found = event["type"], event["object"]
    if kind == "ERROR":
        if found.get("code") == HTTPStatus.GONE:
            raise _GoneError
        raise RefusedError(found.get("message") or found.get("reason") or "the watch failed")
    if kind in {"ADDED", "MODIFIED", "DELETED"}:
        await follower.changed(found, deleted=kind == "DELETED")
    return str(found["metadata"].get("resourceVersion") or version)


class _Answer:
    """A request as a context manager; a refusal is raised on entry."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        kind: str,
    ) -> None:
        self._request = session.get(url, params=query, headers=headers)
        self._kind = kind

    async def __aenter__(self) -> aiohttp.ClientResponse:
        answer = await self._request.__aenter__()
        if answer.status != HTTPStatus.OK:
            await self._refuse(answer)
        return answer

    async def __aexit__(self, *exception: Any) -> None:
        await self._request.__aexit__(*exception)

    async def _refuse(self, answer: aiohttp.ClientResponse) -> None:
        body = await answer.read()
        await self._request.__aexit__(None, None, None)
        if answer.status == HTTPStatus.GONE:
            raise _GoneError
        advice = ""
        if answer.status == HTTPStatus.FORBIDDEN:
            advice = f"; give the service account a role with the verbs get, list and watch for {self._kind}"
        raise RefusedError(f"{answer.status} {answer.reason}: {_message(body)}{advice}")


def _message(body: bytes) -> str:
    """Return what a Kubernetes ``Status`` says."""
    try:
        return str(orjson.loads(body)["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "without a reason"


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the events of a watch: one JSON object per line."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield orjson.loads(line)
        if len(rest) > LONGEST_EVENT_BYTES:
            msg = f"an event of more than {LONGEST_EVENT_BYTES} bytes"
            raise ValueError(msg)
