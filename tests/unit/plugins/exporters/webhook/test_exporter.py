"""The ``webhook`` exporter against a real server: what is sent, and what follows from each answer."""

from __future__ import annotations

import base64
import json
import socket
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.support.exporters import QUICK_RETRY, running
from tests.support.http_peer import HttpPeer, Reply
from untrace_pipeline.api import Status
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_plugins.core_trace.model import read_trace
from untrace_plugins.exporters.webhook import FACTORY

SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([one]) * 32).decode() for one in (1, 2))


def span(number: int) -> NewSpan:
    """Return a call of a model."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.cost": 0.25,
        "session.id": "s1",
    }
    trace_id, span_id = bytes([number]) * 16, bytes([number]) * 8
    return NewSpan(trace_id, span_id, "chat gpt-4o", 10**9, 2 * 10**9, 3, attributes=attributes)


def spans(count: int = 1) -> Batch:
    """Return a batch of calls."""
    resource = {"service.name": "app"}
    return Batch(Signal.TRACES, compose_spans(resource, Scope("test"), [span(one) for one in range(1, count + 1)]))


def logs() -> Batch:
    """Return a batch with one record."""
    record = NewLog(10**9, {"a": [1, b"\x01"]}, {"k": "v"}, severity_text="INFO", event_name="deed")
    return Batch(Signal.LOGS, compose_logs({"service.name": "app"}, Scope("test"), [record]))


def options(peer: HttpPeer, **more: Any) -> dict[str, Any]:
    """Return options for a server of this machine."""
    return {"endpoint": f"{peer.url}/hook", "allow_private": True, "retry_on_failure": QUICK_RETRY, **more}


async def sent(batch: Batch, **more: Any) -> list[Any]:
    """Return what is sent for a batch."""
    async with HttpPeer() as peer, running(FACTORY, options(peer, **more), signals=[batch.signal]) as exporter:
        await exporter.consume(batch)
        await exporter.until_idle()
        return peer.asked


async def test_event_is_signed_as_the_reference_library_wants() -> None:
    """An event passes the reference library with either of two keys, and its data is the core trace of the span."""
    (asked,) = await sent(spans(), secrets=[OTHER, SECRET])
    for secret in (SECRET, OTHER):
        event = Webhook(secret).verify(asked.body, dict(asked.headers))
    assert (asked.method, asked.path, asked.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert (event["type"], event["timestamp"]) == ("trace.completed", "1970-01-01T00:00:02.000000000Z")
    trace = read_trace(event["data"])
    assert (trace.id, trace.provider, trace.model, trace.session_id) == ("01" * 8, "openai", "gpt-4o", "s1")
    assert trace.metadata == {"applicationId": "app"}
    assert trace.metrics is not None
    assert (trace.metrics.latency_ms, trace.metrics.estimated_cost) == (1000, 0.25)


async def test_unsigned_events_have_an_id() -> None:
    """Without keys there is no signature."""
    (asked,) = await sent(spans())
    assert asked.headers["webhook-id"].startswith("msg_")
    assert "webhook-signature" not in asked.headers


async def test_one_request_per_item_or_per_batch() -> None:
    """Items go one by one, or together."""
    assert len({asked.headers["webhook-id"] for asked in await sent(spans(3))}) == 3
    (asked,) = await sent(spans(3), one_per_item=False, event_type="my.calls")
    event = json.loads(asked.body)
    assert event["type"] == "my.calls"
    assert [trace["id"] for trace in event["data"]["traces"]] == ["01" * 8, "02" * 8, "03" * 8]


async def test_log_records() -> None:
    """A log record is an event of its own."""
    (asked,) = await sent(logs())
    event = json.loads(asked.body)
    assert event["type"] == "log.recorded"
    assert event["data"] == {
        "time": "1970-01-01T00:00:01.000000000Z",
        "eventName": "deed",
        "severity": "INFO",
        "body": {"a": [1, "01"]},
        "attributes": {"k": "v"},
        "resource": {"service.name": "app"},
    }


async def test_cloud_events() -> None:
    """A CloudEvent has the attributes that the specification requires."""
    (asked,) = await sent(spans(), form="cloud_events", source="https://example.com/llm")
    event = json.loads(asked.body)
    assert asked.headers["content-type"] == "application/cloudevents+json"
    assert event.pop("data")["model"] == "gpt-4o"
    assert event == {
        "specversion": "1.0",
        "id": asked.headers["webhook-id"],
        "source": "https://example.com/llm",
        "type": "trace.completed",
        "time": "1970-01-01T00:00:02.000000000Z",
        "datacontenttype": "application/json",
    }


async def test_otlp_json() -> None:
    """The OTLP request goes as it is, whole."""
    batch = spans(3)
    (asked,) = await sent(batch, form="otlp_json")
    assert json.loads(asked.body) == json.loads(batch.to_json())


async def test_template_and_method() -> None:
    """A template says what the other side wants to read."""
    template = {"text": "{$.model} cost {$.metrics.estimated_cost}", "channel": "#llm", "error": "$.error.message"}
    (asked,) = await sent(spans(), form="template", template=template, method="PUT", headers={"X-Token": "t0ken"})
    assert asked.method == "PUT"
    assert json.loads(asked.body) == {"text": "gpt-4o cost 0.25", "channel": "#llm"}
    assert asked.headers["x-token"] == "t0ken"


async def test_template_that_finds_nothing_is_given_up() -> None:
    """An item that a template has nothing to say about is counted, and not sent."""
    template = {"text": "$.absent"}
    async with HttpPeer() as peer, running(FACTORY, options(peer, form="template", template=template)) as exporter:
        await exporter.consume(spans())
        await exporter.until_idle()
        assert exporter.dropped == {"permanent": 1}
        assert peer.asked == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_attempts_have_one_id(status: int) -> None:
    """What may succeed later is sent again under the same id, with a signature of its own time."""
    async with (
        HttpPeer(Reply(status), Reply(status)) as peer,
        running(FACTORY, options(peer, secrets=[SECRET])) as exporter,
    ):
        await exporter.consume(spans())
        await exporter.until_idle()
        assert len(peer.asked) == 3
        assert len({asked.headers["webhook-id"] for asked in peer.asked}) == 1
        assert len({asked.body for asked in peer.asked}) == 1
        assert exporter.dropped == {}


async def test_ids_are_those_of_the_items() -> None:
    """The same span has the same id in another process, and another time."""
    first, second = [(await sent(spans()))[0].headers["webhook-id"] for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("status", [302, 400, 401, 404, 422])
async def test_other_answers_are_final(status: int) -> None:
    """Redirects are not followed, and refusals are not repeated."""
    async with (
        HttpPeer(Reply(status, headers={"Location": "/other"})) as peer,
        running(FACTORY, options(peer)) as exporter,
    ):
        await exporter.consume(spans())
        await exporter.until_idle()
        assert [asked.path for asked in peer.asked] == ["/hook"]
        assert exporter.dropped == {"permanent": 1}


async def test_items_that_were_taken_are_not_sent_again() -> None:
    """Of several items, those before one that has to wait are done, and those that are refused are given up alone."""
    script = [Reply(), Reply(400), Reply(503), Reply(), Reply()]
    async with HttpPeer(*script) as peer, running(FACTORY, options(peer)) as exporter:
        await exporter.consume(spans(4))
        await exporter.until_idle()
        assert [json.loads(asked.body)["data"]["id"][:2] for asked in peer.asked] == ["01", "02", "03", "03", "04"]
        assert exporter.dropped == {"permanent": 1}
        assert exporter.meter.value("exporter_sent_spans") == 3


async def test_gone_is_left_alone() -> None:
    """After 410 nothing is sent for ``gone_pause``; what comes is given up, counted, and told in the state."""
    async with HttpPeer(Reply(410)) as peer, running(FACTORY, options(peer, gone_pause="90s")) as exporter:
        for _ in range(3):
            await exporter.consume(spans())
            await exporter.until_idle()
        assert len(peer.asked) == 1
        assert exporter.dropped == {"permanent": 3}
        assert exporter.meter.value("exporter_webhook_gone") == 1
        assert (Status.PERMANENT_ERROR, f"{exporter.exporter.destination} said 410 Gone") in exporter.host.reports
        exporter.exporter._clock = lambda: time.time() + 91
        await exporter.consume(spans())
        await exporter.until_idle()
        assert len(peer.asked) == 2
        assert exporter.meter.value("exporter_webhook_gone") == 0
        assert exporter.host.reports[-1] == (Status.OK, f"{exporter.exporter.destination} takes data again")


@pytest.mark.parametrize("host", ["inside.example.com", "127。0。0。1"])
async def test_private_addresses_are_refused_at_connect(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A name that leads to this machine is not connected to, whatever it led to before; proxies are not asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    resolve = socket.getaddrinfo

    def to_this_machine(_host: str, *more: Any, **named: Any) -> Any:
        return resolve("127.0.0.1", *more, **named)

    async with HttpPeer() as peer:
        monkeypatch.setattr("socket.getaddrinfo", to_this_machine)
        url = peer.url.replace("127.0.0.1", host)
        async with running(FACTORY, {"endpoint": url, "retry_on_failure": QUICK_RETRY}) as exporter:
            await exporter.consume(spans())
            await exporter.until_idle()
            assert exporter.dropped == {"permanent": 1}
        assert peer.asked == []


async def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    """A destination that quotes what it refuses tells nobody our keys."""
    body = f"your secret is {SECRET} and your token t0ken-of-mine".encode()
    more = {"secrets": [SECRET], "headers": {"authorization": "Bearer t0ken-of-mine"}}
    async with HttpPeer(Reply(400, body)) as peer, running(FACTORY, options(peer, **more)) as exporter:
        await exporter.consume(spans())
        await exporter.until_idle()
    assert caplog.records
    assert SECRET not in caplog.text
    assert "t0ken-of-mine" not in caplog.text


async def test_timestamps_are_those_of_the_attempt() -> None:
    """The header has the second of the attempt, which the reference library compares with its own clock."""
    (asked,) = await sent(spans(), secrets=[SECRET])
    assert abs(int(asked.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
