"""The ``k8s`` resolver: watches the EndpointSlices of a service at the API server.

With the service account of the own pod, which must be allowed to ``list`` and ``watch`` ``endpointslices`` of
``discovery.k8s.io`` in the namespace of the service. See "Efficient detection of changes" in Kubernetes API Concepts.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from untrace_pipeline.api import StartError
from untrace_plugins.exporters.load_balancing.config import KubernetesConfig
from untrace_plugins.exporters.load_balancing.endpoint import joined
from untrace_plugins.exporters.load_balancing.resolvers import Report

__all__ = ["Cluster", "KubernetesResolver"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts token, authorities and namespace of a pod."""
PAGE = 500
"""Slices per page of a list."""
LONGEST_EVENT_BYTES = 16 * 1024 * 1024
"""etcd holds 1.5 MB at most; whoever sends more is no API server."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
"""Bounds of the wait after a failure; it doubles, with jitter."""
GRACE_SECONDS = 10.0
"""How much longer than it was asked to the API server may keep a watch open before it counts as dead."""


class _GoneError(Exception):
    """The version of the list is too old to go on from: list again."""


class _RefusedError(Exception):
    """The API server refuses, and says why."""


_FAILURES = (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError, AttributeError, _RefusedError)
"""No connection, no answer, or one of a shape that no API server gives: someone else answers at its address."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The way to the API server."""

    url: str
    account: Path

    @classmethod
    def own(cls, environ: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> Cluster:
        """Return that of the pod that this process runs in. Raises :class:`StartError` outside of a cluster."""
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (account / "token").exists():
            missing = "KUBERNETES_SERVICE_HOST is not set" if not host else f"there is no {account / 'token'}"
            msg = f"resolver k8s works inside of a cluster only: {missing}; elsewhere use static or dns"
            raise StartError(msg)
        return cls(f"https://{joined(host, int(port))}", account)

    def token(self) -> str:
        """Return the token of the moment: Kubernetes exchanges it."""
        return (self.account / "token").read_text(encoding="utf-8").strip()

    def namespace(self) -> str:
        """Return the namespace of the own pod."""
        file = self.account / "namespace"
        return file.read_text(encoding="utf-8").strip() if file.exists() else "default"

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts the authorities of the cluster. Raises :class:`StartError`."""
        file = self.account / "ca.crt"
        try:
            return ssl.create_default_context(cafile=file)
        except (OSError, ssl.SSLError) as error:
            msg = f"cannot read the authorities of the cluster in {file}: {error}"
            raise StartError(msg) from error


class KubernetesResolver:
    """Lists the slices once, then follows their changes."""

    kind = "k8s"

    def __init__(self, config: KubernetesConfig, cluster: Cluster | None = None) -> None:
        self._config = config
        self._cluster = cluster or Cluster.own()
        self._tls = self._cluster.tls()
        self._service, _, rest = config.service.partition(".")
        self._namespace = rest.partition(".")[0] or self._cluster.namespace()
        self._slices: dict[str, frozenset[str]] = {}
        self._wait = FIRST_WAIT_SECONDS

    async def run(self, report: Report) -> None:
        """Report the addresses of endpoints that are ready, and whenever they change."""
        connector = aiohttp.TCPConnector(ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=GRACE_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                try:
                    version = await self._list(session, report)
                    while True:
                        version = await self._watch(session, report, version)
                        self._wait = FIRST_WAIT_SECONDS
                except _GoneError:
                    pass
                except _FAILURES as error:
                    report.failed(self._explained(error))
                await asyncio.sleep(self._wait * random.uniform(0.5, 1.0))  # noqa: S311  jitter
                self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    # ------------------------------------------------------------ list, watch

    async def _list(self, session: aiohttp.ClientSession, report: Report) -> str:
        """Take the slices of now, and return their version."""
        slices: dict[str, frozenset[str]] = {}
        version, more = "", ""
        while True:
            async with asyncio.timeout(self._config.timeout):
                async with self._get(session, {"limit": str(PAGE), **({"continue": more} if more else {})}) as answer:
                    page = orjson.loads(await answer.read())
            for one in page.get("items") or ():
                slices[one["metadata"]["name"]] = self._hosts(one)
            version, more = page["metadata"]["resourceVersion"], page["metadata"].get("continue") or ""
            if not more:
                break
        self._slices = slices
        await self._tell(report)
        return str(version)

    async def _watch(self, session: aiohttp.ClientSession, report: Report, version: str) -> str:
        """Follow changes until the API server ends the watch, and return the version reached."""
        seconds = int(self._config.timeout)
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
                    version = await self._apply(event, report, version)
        if asyncio.get_running_loop().time() - begun < FIRST_WAIT_SECONDS:
            await asyncio.sleep(FIRST_WAIT_SECONDS)  # whatever is wrong there: do not make it worse
        return version

    async def _apply(self, event: Mapping[str, Any], report: Report, version: str) -> str:
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            if found.get("code") == HTTPStatus.GONE:
                raise _GoneError
            raise _RefusedError(found.get("message") or found.get("reason") or "the watch failed")
        metadata = found["metadata"]
        if kind == "DELETED":
            self._slices.pop(metadata["name"], None)
        elif kind in {"ADDED", "MODIFIED"}:
            self._slices[metadata["name"]] = self._hosts(found)
        if kind != "BOOKMARK":
            await self._tell(report)
        return str(metadata.get("resourceVersion") or version)

    def _get(self, session: aiohttp.ClientSession, query: Mapping[str, str]) -> _Answer:
        url = f"{self._cluster.url}/apis/discovery.k8s.io/v1/namespaces/{self._namespace}/endpointslices"
        selector = {"labelSelector": f"kubernetes.io/service-name={self._service}"}
        headers = {"Authorization": f"Bearer {self._cluster.token()}", "Accept": "application/json"}
        return _Answer(session, url, {**selector, **query}, headers)

    # ----------------------------------------------------------------- slices

    def _hosts(self, found: Mapping[str, Any]) -> frozenset[str]:
        """Return addresses, or names, of the endpoints of a slice that are ready.

        Differs from the Collector, which takes those that are not ready too: a request to them fails.
        """
        hosts: set[str] = set()
        for endpoint in found.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            name = endpoint.get("hostname")
            if not self._config.return_hostnames:
                hosts.update(endpoint.get("addresses") or ())
            elif name:  # it may come a moment later, with another event
                hosts.add(f"{name}.{self._service}.{self._namespace}")
        return frozenset(hosts)

    async def _tell(self, report: Report) -> None:
        hosts = frozenset().union(*self._slices.values())
        ports: Sequence[int | None] = self._config.ports or [None]
        await report.found([joined(host, port) for host in sorted(hosts) for port in ports])

    def _explained(self, error: Exception) -> str:
        what = f"endpointslices of {self._service} in namespace {self._namespace}"
        if isinstance(error, TimeoutError):
            return f"the API server does not answer for the {what}"
        return f"the API server does not give the {what}: {str(error) or type(error).__name__}"


class _Answer:
    """A request as a context manager; a refusal is raised on entry."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        self._request = session.get(url, params=query, headers=headers)

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
            advice = "; give the service account a role with the verbs list and watch for endpointslices"
        raise _RefusedError(f"{answer.status} {answer.reason}: {_message(body)}{advice}")


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
