"""Starting and stopping under bad conditions: ports in use, TLS that does not fit, requests under way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import trustme

from tests.integration.hostile.harness import BODY, ITEMS, TIMEOUT, Running, post, receiver
from untrace_pipeline.api import Kind, StartError
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import BlockingSink, Sink, StubHost, make_settings
from untrace_plugins.receivers.otlp import FACTORY
from untrace_plugins.receivers.otlp.grpc_transport import METHODS

METHOD = METHODS[Signal.TRACES]


async def started(**protocols: Any) -> Any:
    """Return a started receiver."""
    config = FACTORY.config.model_validate({"protocols": protocols})
    made = FACTORY.create(config, make_settings(Kind.RECEIVER, "otlp/x"), Sink())
    await made.start(StubHost())
    return made


# ---------------------------------------------------------------------- ports


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_port_in_use_is_a_start_error(protocol: str) -> None:
    """The message names component, endpoint, cause and what to do; what was opened before is closed again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        other = "http" if protocol == "grpc" else "grpc"
        with pytest.raises(StartError, match=f"receiver otlp/x: cannot listen on {endpoint}: Address already in use"):
            await started(**{protocol: {"endpoint": endpoint}, other: {"endpoint": "localhost:0"}})


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_two_receivers_do_not_share_a_port(protocol: str) -> None:
    """A port that another receiver listens on is in use, for gRPC too."""
    first = await started(**{protocol: {"endpoint": "localhost:0"}})
    server = first.grpc or first.http
    with pytest.raises(StartError, match="already in use"):
        await started(**{protocol: {"endpoint": str(server.endpoint)}})
    await first.shutdown()
    again = await started(**{protocol: {"endpoint": str(server.endpoint)}})
    await again.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_unknown_host_is_a_start_error(protocol: str) -> None:
    """An address that is not ours is named."""
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:4317"):
        await started(**{protocol: {"endpoint": "192.0.2.1:4317"}})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_localhost_is_both_loopback_addresses(host: str) -> None:
    """Clients that try only IPv4 or only IPv6 both find it."""
    made = await started(grpc={"endpoint": "localhost:0"}, http={"endpoint": "localhost:0"})
    for server in (made.grpc, made.http):
        _, writer = await asyncio.open_connection(host, server.endpoint.port)
        writer.close()
    await made.shutdown()


async def test_unix_sockets(tmp_path: Path) -> None:
    """Both protocols listen on unix sockets, take over stale files, refuse live ones, and leave nothing behind."""
    paths = {"grpc": tmp_path / "grpc.sock", "http": tmp_path / "http.sock"}
    for path in paths.values():
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
    forms = {
        "grpc": {"endpoint": f"unix://{paths['grpc']}"},
        "http": {"endpoint": str(paths["http"]), "transport": "unix"},
    }
    sink = Sink()
    config = FACTORY.config.model_validate({"protocols": forms})
    made = FACTORY.create(config, make_settings(Kind.RECEIVER, "otlp"), sink)
    await made.start(StubHost())
    reader, writer = await asyncio.open_unix_connection(str(paths["http"]))
    writer.write(post(BODY))
    assert b" 200 " in await reader.readline()
    writer.close()
    async with grpc.aio.insecure_channel(f"unix:{paths['grpc']}") as channel:
        await channel.unary_unary(METHOD)(BODY, timeout=TIMEOUT)
    assert [batch.context.peer for batch in sink.batches] == ["unix", "unix"]
    for name, form in forms.items():
        with pytest.raises(StartError, match="already in use"):
            await started(**{name: form})
    await made.shutdown()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("endpoint", ["4317", "::1:4317", "host:port", "host:99999", "http://host:4318", "unix://"])
def test_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    """An endpoint is checked with the configuration, not at start."""
    for protocol in ("grpc", "http"):
        with pytest.raises(ValueError, match=r"host:port|brackets|path"):
            FACTORY.config.model_validate({"protocols": {protocol: {"endpoint": endpoint}}})


# ------------------------------------------------------------------- stopping


async def test_requests_under_way_are_finished() -> None:
    """Shutdown waits for what was taken, answers it with success, and takes nothing new."""
    sink = BlockingSink()
    async with receiver(sink=sink, http={}, grpc={}) as running, running.client() as client, running.client() as idle:
        client.send(post(BODY))
        call = asyncio.ensure_future(running.export(BODY))
        while sink.waiting < 2:
            await asyncio.sleep(0.005)
        port, target = running.http_port, running.grpc_target
        stopping = asyncio.ensure_future(running.receiver.shutdown())
        assert await idle.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        sink.release.set()
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await call == b""
        await stopping
        assert sink.item_count == 2 * ITEMS
        async with grpc.aio.insecure_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(METHOD)(BODY, timeout=1)
            assert refused.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


async def test_shutdown_that_runs_out_of_time_acknowledges_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """When the deadline passes, requests end without success, and the log says how many."""
    sink = BlockingSink()
    async with receiver(sink=sink, http={}, grpc={}) as running, running.client() as client:
        client.send(post(BODY))
        call = asyncio.ensure_future(running.export(BODY))
        while sink.waiting < 2:
            await asyncio.sleep(0.005)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await running.receiver.shutdown()
        assert await client.closed()
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        assert sink.waiting == 0
        assert not sink.batches
    assert "2 requests were not finished" in caplog.text


async def test_call_that_brings_no_message_does_not_hold_shutdown() -> None:
    """A client that opened a call and sent nothing is cut off a second after shutdown began."""
    async with receiver(grpc={}) as running, grpc.aio.insecure_channel(running.grpc_target) as channel:
        call = channel.stream_unary(METHOD)(timeout=TIMEOUT)
        await call.wait_for_connection()
        async with asyncio.timeout(5):
            await running.receiver.shutdown()
        with pytest.raises(grpc.aio.AioRpcError):
            await call


# ------------------------------------------------------------------------ TLS


class Certificates:
    """An authority with a certificate for localhost on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(directory / "ca.pem")
        self.issue()

    def issue(self) -> None:
        """Write a new certificate over the old one."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.directory / "key.pem")
        issued.cert_chain_pems[0].write_to_path(self.directory / "cert.pem")

    def server(self, **options: Any) -> dict[str, Any]:
        """Return the options of a server."""
        return {"cert_file": f"{self.directory}/cert.pem", "key_file": f"{self.directory}/key.pem", **options}

    def client(self, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """Return a client's context, with a certificate by an authority."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        if authority is not None:
            authority.issue_cert("client").configure_cert(context)
        return context

    def channel(self, authority: trustme.CA | None = None) -> grpc.ChannelCredentials:
        """Return the same for gRPC."""
        key = chain = None
        if authority is not None:
            issued = authority.issue_cert("client")
            key, chain = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
        return grpc.ssl_channel_credentials((self.directory / "ca.pem").read_bytes(), key, chain)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@asynccontextmanager
async def secured(certificates: Certificates, **options: Any) -> AsyncIterator[Running]:
    """Run a receiver with TLS on both ports."""
    tls = {"tls": certificates.server(**options)}
    async with receiver(http=tls, grpc=tls) as running:
        yield running


async def over_tls(running: Running, context: ssl.SSLContext) -> int:
    """Send a request over HTTPS and return the status. Raises ``ssl.SSLError`` or ``ConnectionError``."""
    async with running.client(context) as client:
        client.send(post(BODY))
        try:
            return (await client.reply()).status
        except asyncio.IncompleteReadError as error:
            raise ConnectionError from error


async def call_over_tls(running: Running, credentials: grpc.ChannelCredentials) -> bytes:
    """Make a call over TLS."""
    target = running.grpc_target.replace("127.0.0.1", "localhost")
    async with grpc.aio.secure_channel(target, credentials) as channel:
        answer: bytes = await channel.unary_unary(METHOD)(BODY, timeout=5)
        return answer


async def test_tls_on_both_ports(certificates: Certificates) -> None:
    """Encrypted requests are served, also many on one connection and large ones."""
    async with secured(certificates) as running:
        assert await over_tls(running, certificates.client()) == 200
        assert await call_over_tls(running, certificates.channel()) == b""
        async with running.client(certificates.client()) as client:
            for body in (BODY, bytes(2_000_000), BODY):
                client.send(post(body))
                assert (await client.reply()).status == (400 if body[0] == 0 else 200)


async def test_plain_client_on_a_tls_port_and_the_other_way_round(certificates: Certificates) -> None:
    """Neither is served, both are told or cut off, and right clients go on."""
    async with secured(certificates) as running:
        async with running.client() as client:
            client.send(post(BODY))
            async with asyncio.timeout(TIMEOUT):
                said = await client.reader.read()
            assert said.startswith(b"\x15\x03") or not said  # an alert of TLS: the native transport sends one
        with pytest.raises(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(running.grpc_target) as channel:
                await channel.unary_unary(METHOD)(BODY, timeout=2)
        assert await over_tls(running, certificates.client()) == 200
        assert await call_over_tls(running, certificates.channel()) == b""
    async with receiver(http={}, grpc={}) as running:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await over_tls(running, certificates.client())
        reply = await running.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
        assert reply.status == 400
        assert "TLS" in reply.text
        with pytest.raises(grpc.aio.AioRpcError):
            await call_over_tls(running, certificates.channel())
        await running.still_serves()


async def test_client_certificates_are_checked(certificates: Certificates) -> None:
    """With client_ca_file only clients with a certificate of that authority come in."""
    options = {"client_ca_file": f"{certificates.directory}/ca.pem"}
    stranger = trustme.CA()
    async with secured(certificates, **options) as running:
        for authority in (None, stranger):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await over_tls(running, certificates.client(authority))
            with pytest.raises(grpc.aio.AioRpcError):
                await call_over_tls(running, certificates.channel(authority))
        assert await over_tls(running, certificates.client(certificates.authority)) == 200
        assert await call_over_tls(running, certificates.channel(certificates.authority)) == b""


async def test_changed_certificates_are_served(certificates: Certificates) -> None:
    """After an exchange of the files new connections get the new certificate, on both ports."""
    async with secured(certificates, reload_interval="1ms") as running:
        assert await over_tls(running, certificates.client()) == 200
        assert await call_over_tls(running, certificates.channel()) == b""
        renewed = trustme.CA()
        certificates.authority = renewed
        renewed.cert_pem.write_to_path(certificates.directory / "ca.pem")
        certificates.issue()
        assert await over_tls(running, certificates.client()) == 200
        assert await call_over_tls(running, certificates.channel()) == b""
        (certificates.directory / "key.pem").write_text("half a file")
        assert await over_tls(running, certificates.client()) == 200
        assert await call_over_tls(running, certificates.channel()) == b""


async def test_silent_tls_handshake_does_not_block_others(certificates: Certificates) -> None:
    """A client that connects and says nothing costs the others nothing."""
    async with secured(certificates) as running, running.client():
        assert await over_tls(running, certificates.client()) == 200
