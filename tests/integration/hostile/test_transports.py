"""Both transports serve what the configuration asks for, or say who does instead; and both count alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.hostile.harness import BODY, JSON, PROTOBUF, Running, post, receiver, span_json
from tests.integration.hostile.test_grpc import Guard, Limiter
from untrace_pipeline.net.grpc_server import GrpcServer
from untrace_pipeline.testing import RecordingMeter, Sink
from untrace_plugins.receivers.otlp.http_transport import OtlpHttpServer


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Any]:
    """Return the options of a server with a certificate for localhost."""
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return {"cert_file": f"{tmp_path}/cert.pem", "key_file": f"{tmp_path}/key.pem"}


def is_python(running: Running) -> list[bool]:
    """Return of both servers whether they are the Python ones."""
    return [isinstance(running.receiver.grpc, GrpcServer), isinstance(running.receiver.http, OtlpHttpServer)]


async def test_chosen_transport_serves(served_by: str) -> None:
    """What was chosen is what listens."""
    async with receiver() as running:
        assert is_python(running) == [served_by == "python"] * 2


async def test_python_serves_what_native_cannot(tls: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Cipher suites that rustls does not have are served all the same, and the log says by whom and why."""
    caplog.set_level(logging.INFO)
    options = {"tls": {**tls, "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"]}}
    async with receiver(grpc=options, http={}) as running:
        assert is_python(running)[0]
    assert ("the Python transport serves" in caplog.text) == (not is_python(running)[1])


@pytest.mark.parametrize("bad", ["key.pem", "cert.pem"])
async def test_certificate_that_is_none_is_a_start_error(tls: dict[str, Any], tmp_path: Path, bad: str) -> None:
    """The message names what cannot be loaded, whichever transport serves."""
    (tmp_path / bad).write_text("nonsense")
    with pytest.raises(Exception, match="tls: certificate and key cannot be loaded from"):
        async with receiver(grpc={"tls": tls}):
            pass


async def counted(requests: list[bytes], sink: Sink | None = None, **options: Any) -> Mapping[str, float]:
    """Return how many answers of each status were counted for the traces path."""
    meter = RecordingMeter()
    async with receiver(sink=sink, http=options, meter=meter) as running, running.client() as client:
        for request in requests:
            client.send(request)
            await client.reply()
    labels = {"method": "POST", "endpoint": "/v1/traces"}
    found = {status: meter.value("api_requests", status=status, **labels) for status in ("200", "400", "415", "503")}
    assert len(meter.recorded("api_latency_seconds")) == len(requests)
    return {status: value for status, value in found.items() if value}


async def test_answers_are_counted() -> None:
    """Every answer is counted once, with its status, whoever gave it."""
    text = post(BODY, "text/plain")
    requests = [post(BODY), post(b"\xff"), text, post(span_json(), JSON), post(b"", PROTOBUF), post(b"{", JSON)]
    assert await counted(requests) == {"200": 3, "400": 2, "415": 1}
    assert await counted([post(BODY)] * 3, Limiter()) == {"503": 3}


@pytest.mark.parametrize("path", ["/v1/traces", "/nothing"])
async def test_web_pages_get_their_headers_with_every_answer(path: str) -> None:
    """Success, refusal and unknown paths carry what browsers and operators want."""
    options = {"cors": {"allowed_origins": ["https://a.b"]}, "response_headers": {"X-Own": "1"}}
    async with receiver(http=options) as running:
        for body in (BODY, b"\xff"):
            reply = await running.ask(post(body, path=path, headers=["Origin: https://a.b"]))
            assert reply.headers["access-control-allow-origin"] == "https://a.b"
            assert reply.headers["x-own"] == "1"


@pytest.mark.parametrize("size", [0, 100, 3_000_000])
async def test_authenticated_bodies_of_any_size(size: int) -> None:
    """A body is read to its end after the authenticator said yes, in one piece or in many, plain or in chunks."""
    auth = {"auth": {"authenticator": "guard"}}
    body = BODY + b"\x7a" + _varint(size) + bytes(size)
    async with receiver(http=auth, grpc=auth, extensions={"guard": Guard()}) as running:
        assert (await running.ask(post(body, headers=["Word: please"]))).status == 200
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        head = post(headers=["Word: please"]).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        assert (await running.ask(head + chunks)).status == 200
        assert await running.export(body, metadata=[("word", "please")]) == b""
        assert [batch.to_otlp() == body for batch in running.sink.batches] == [True] * 3


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
