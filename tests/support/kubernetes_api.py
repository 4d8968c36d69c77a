"""A part of a Kubernetes API server on loopback: lists and watches of whatever it holds, over TLS, with tokens."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from aiohttp import web

from untrace_plugins.kubernetes.cluster import Cluster

__all__ = ["FakeApi", "endpoints"]

CLOSING_TURNS = 10
"""Of the event loop: connections with TLS close a little after they were told to, at both ends."""
_PATH = re.compile(
    r"/(?:api|apis/[^/]+)/v1(?:/namespaces/(?P<namespace>[^/]+))?/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?\Z"
)


def endpoints(*addresses: str, ready: bool | None = None, **more: Any) -> list[dict[str, Any]]:
    """Return endpoints of one address each."""
    conditions = {} if ready is None else {"ready": ready}
    return [{"addresses": [address], "conditions": conditions, **more} for address in addresses]


class FakeApi:
    """Holds objects by kind and name; every change is an event for the watches. ``async with`` starts and stops it.

    ``directory`` becomes what Kubernetes mounts into a pod: token, authorities and namespace.
    """

    def __init__(self, directory: Path, *, namespace: str = "tracing", page: int = 100) -> None:
        self.account = directory
        self.namespace = namespace
        self.refusal: tuple[int, str] | None = None
        """Status and message for every request, while set."""
        self.answer: Any = None
        """What every request gets, while set."""
        self.lists = 0
        self.watches = 0
        self.queries: list[Mapping[str, str]] = []
        self._page = page
        self._version = 1
        self._oldest = 0
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._changed = asyncio.Condition()
        self._open: list[asyncio.Transport] = []
        self._connections: set[asyncio.Transport] = set()

    @property
    def cluster(self) -> Cluster:
        """The way to it, as a pod has it."""
        return Cluster(f"https://127.0.0.1:{self.port}", self.account)

    async def put(self, name: str, found: Sequence[Mapping[str, Any]], service: str = "backends") -> None:
        """Make or change a slice of endpoints."""
        labels = {"kubernetes.io/service-name": service}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        await self.put_object("endpointslices", {"metadata": metadata, "endpoints": list(found)})

    async def put_object(self, kind: str, found: Mapping[str, Any]) -> None:
        """Make or change an object of a kind: ``pods``."""
        event = "MODIFIED" if (kind, found["metadata"]["name"]) in self._objects else "ADDED"
        await self._record(event, kind, dict(found))

    async def delete(self, name: str, kind: str = "endpointslices") -> None:
        """Remove an object."""
        await self._record("DELETED", kind, self._objects[kind, name])

    async def bookmark(self) -> None:
        """Tell the watches that time has passed."""
        await self._record("BOOKMARK", "", {"metadata": {}})

    async def forget(self) -> None:
        """Answer 410 Gone to whoever wants to go on from an earlier version, as after a compaction of etcd."""
        self._oldest = self._version
        await self._record("ERROR", "", {"code": 410, "message": "too old resource version"})

    async def fail(self, message: str) -> None:
        """Let the watches fail otherwise."""
        await self._record("ERROR", "", {"code": 500, "message": message})

    async def cut(self) -> None:
        """Cut all connections of watches."""
        for transport in self._open:
            transport.abort()
        self._open.clear()
        await asyncio.sleep(0)

    async def wait_for(self, *, watches: int = 0, lists: int = 0) -> None:
        """Wait until there were so many watches and lists."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.watches >= watches and self.lists >= lists)

    async def _record(self, event: str, kind: str, found: dict[str, Any]) -> None:
        """Record an event; one of no kind is for all watches."""
        self._version += 1
        found = {**found, "metadata": {**found.get("metadata", {}), "resourceVersion": str(self._version)}}
        if event in {"ADDED", "MODIFIED"}:
            self._objects[kind, found["metadata"]["name"]] = found
        elif event == "DELETED":
            del self._objects[kind, found["metadata"]["name"]]
        self._events.append((self._version, kind, {"type": event, "object": found}))
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # ----------------------------------------------------------------- serving

    async def __aenter__(self) -> Self:
        authority = trustme.CA()
        (self.account / "token").write_text("secret-token\n")
        (self.account / "namespace").write_text(self.namespace)
        authority.cert_pem.write_to_path(self.account / "ca.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()
        for transport in self._connections:
            transport.abort()
        await self._runner.cleanup()
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            self._connections.add(request.transport)
        self.queries.append(dict(request.query))
        if request.headers.get("Authorization") != f"Bearer {(self.account / 'token').read_text().strip()}":
            return self._status(401, "Unauthorized")
        if self.refusal is not None:
            return self._status(*self.refusal)
        if self.answer is not None:
            return web.json_response(self.answer)
        found = _PATH.match(request.path)
        if found is None:
            return self._status(404, "the server could not find the requested resource")
        if found["name"]:
            return web.json_response(self._objects.get((found["kind"], found["name"]), {}))
        if "watch" in request.query:
            return await self._watch(request, found["kind"], found["namespace"])
        return await self._list(request, found["kind"], found["namespace"])

    @staticmethod
    def _status(code: int, message: str) -> web.Response:
        return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)

    @staticmethod
    def _selected(request: web.Request, namespace: str | None, found: Mapping[str, Any]) -> bool:
        metadata = found.get("metadata", {})
        if namespace is not None and metadata.get("namespace", namespace) != namespace:
            return False
        labels = metadata.get("labels", {})
        wanted = [one.partition("=") for one in request.query.get("labelSelector", "").split(",") if one]
        fields = [one.partition("=") for one in request.query.get("fieldSelector", "").split(",") if one]
        node = found.get("spec", {}).get("nodeName")
        # What has no labels at all is an event for everybody.
        by_label = "labels" not in metadata or all(labels.get(name) == value for name, _, value in wanted)
        return by_label and all(name == "spec.nodeName" and node in {value, None} for name, _, value in fields)

    async def _list(self, request: web.Request, kind: str, namespace: str | None) -> web.Response:
        self.lists += 1
        await self._notify()
        objects = [one for (own, _), one in self._objects.items() if own == kind]
        found = [one for one in objects if self._selected(request, namespace, one)]
        begin = int(request.query.get("continue", "0"))
        end = begin + self._page
        metadata = {"resourceVersion": str(self._version), "continue": str(end) if end < len(found) else ""}
        return web.json_response({"kind": "List", "metadata": metadata, "items": found[begin:end]})

    async def _watch(self, request: web.Request, kind: str, namespace: str | None) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        if seen < self._oldest:
            return self._status(410, "too old resource version")
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        self.watches += 1
        assert request.transport is not None
        self._open.append(request.transport)
        await self._notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                while True:
                    seen = await self._send(request, response, (kind, namespace), seen)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, wanted: tuple[str, str | None], seen: int
    ) -> int:
        """Send the events after a version, waiting for some; return the last version."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._version > seen)
        kind, namespace = wanted
        news = [event for version, own, event in self._events if version > seen and own in {kind, ""}]
        latest = self._version
        for event in news:
            if self._selected(request, namespace, event["object"]):
                line = json.dumps(event).encode() + b"\n"
                await response.write(line[:7])  # events come in pieces
                await response.write(line[7:])
        return latest
