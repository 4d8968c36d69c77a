"""``health_check`` over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from untrace_pipeline.api import Code, Credentials, Kind, PermanentError, StartError, Status, StatusEvent
from untrace_pipeline.testing import StubHost, check_component, make_settings
from untrace_plugins.extensions.health_check import FACTORY


class Host(StubHost):
    """A host whose states a test sets."""

    def __init__(self, extensions: Mapping[str, Any] | None = None) -> None:
        super().__init__(extensions)
        self.status = Status.OK

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        return {"traces": {"receiver:otlp": StatusEvent(self.status, "here", 1.0)}, "extensions": {}}


@asynccontextmanager
async def running(host: Host, **options: Any) -> AsyncIterator[str]:
    """Yield where the extension listens."""
    config = FACTORY.config.model_validate({"endpoint": "localhost:0", **options})
    extension: Any = FACTORY.create(config, make_settings(Kind.EXTENSION, "health_check"))
    await extension.start(host)
    try:
        yield extension.endpoint
    finally:
        await extension.shutdown()


async def get(endpoint: str, target: str, *, method: str = "GET", headers: str = "") -> tuple[int, bytes]:
    host, _, port = endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_conforms() -> None:
    """The contract of extensions holds."""
    check_component(FACTORY, {"endpoint": "localhost:0"})


async def test_pages() -> None:
    """Live, ready and status follow the states of the components."""
    host = Host()
    async with running(host) as endpoint:
        code, body = await get(endpoint, "/")
        assert (code, json.loads(body)["status"]) == (200, "Server available")
        assert await get(endpoint, "/ready") == (200, b'{"status":"ready"}')
        host.status = Status.STOPPING
        assert (await get(endpoint, "/"))[0] == 503
        code, body = await get(endpoint, "/ready")
        assert (code, json.loads(body)["reasons"]) == (503, ["pipeline traces: receiver:otlp is stopping (here)"])
        assert (await get(endpoint, "/status"))[0] == 503


@pytest.mark.parametrize(
    ("query", "components"),
    [
        ("", False),
        ("?verbose", True),
        ("?verbose=true", True),
        ("?verbose=false", False),
        ("?pipeline=traces&verbose", True),
    ],
)
async def test_status_query(query: str, components: bool) -> None:
    """``verbose`` works with and without a value, alone and for one pipeline."""
    async with running(Host()) as endpoint:
        code, body = await get(endpoint, f"/status{query}")
        assert (code, "components" in json.loads(body)) == (200, components)


async def test_unknown_pipeline_path_and_method() -> None:
    """Each has the answer that HTTP has for it."""
    async with running(Host()) as endpoint:
        assert (await get(endpoint, "/status?pipeline=traces%2Fmissing"))[0] == 404
        assert (await get(endpoint, "/elsewhere"))[0] == 404
        assert (await get(endpoint, "/", method="DELETE"))[0] == 405
        assert await get(endpoint, "/", method="HEAD") == (200, b"")


async def test_own_path_and_texts() -> None:
    """``path`` and ``response_body`` work as in the Collector."""
    host = Host()
    async with running(host, path="/healthz", response_body={"healthy": "fine", "unhealthy": "no"}) as endpoint:
        assert await get(endpoint, "/healthz") == (200, b"fine")
        host.status = Status.STARTING
        assert await get(endpoint, "/healthz") == (503, b"no")
        assert (await get(endpoint, "/"))[0] == 404


async def test_a_taken_port_fails_the_start() -> None:
    """The message names the endpoint."""
    async with running(Host()) as endpoint:
        with pytest.raises(StartError, match=endpoint):
            async with running(Host(), endpoint=endpoint):
                pass


class Door:
    """Lets in who knows the word."""

    challenge = "Basic"

    async def start(self, host: object) -> None: ...
    async def shutdown(self) -> None: ...

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Credentials:
        if metadata.get("authorization") != ("word",):
            msg = "wrong word"
            raise PermanentError(msg, code=Code.UNAUTHENTICATED)
        return Credentials()


async def test_authentication() -> None:
    """Without credentials nothing is told."""
    async with running(Host({"door": Door()}), auth={"authenticator": "door"}) as endpoint:
        assert await get(endpoint, "/status?verbose") == (401, b"wrong word\n")
        assert (await get(endpoint, "/", headers="Authorization: word\r\n"))[0] == 200
