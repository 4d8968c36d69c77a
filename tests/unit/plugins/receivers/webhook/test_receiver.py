"""The ``webhook`` receiver over HTTP: whose events it takes, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.support.receivers import Receiving, receiving
from tests.support.webhooks import signature_headers
from untrace_pipeline.api import RetryableError, StartError
from untrace_pipeline.data import Field, Level, Signal, attribute
from untrace_pipeline.testing import BlockingSink, FailingSink
from untrace_plugins.receivers.webhook import FACTORY
from untrace_plugins.signing.schemes import SCHEMES

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NOW = 1_767_225_600
BODY, NAME, EVENT_NAME = (Field(Level.ITEM, name) for name in ("body", "name", "event_name"))
TIME = Field(Level.ITEM, "time_unix_nano")
ATTRIBUTES = Field(Level.ITEM, "attributes")


class Client:
    """Sends webhooks to one receiver, whose clock stands still."""

    def __init__(self, here: Receiving, session: aiohttp.ClientSession) -> None:
        self.here = here
        self.sink = here.sink
        self._session = session

    async def send(
        self, path: str, body: bytes, headers: Mapping[str, str], content_type: str = "application/json"
    ) -> tuple[int, Any, Mapping[str, str]]:
        url = f"http://{self.here.receiver.endpoint}{path}"
        sent = {"content-type": content_type, **headers}
        async with self._session.post(url, data=body, headers=sent) as answer:
            return answer.status, json.loads(await answer.read()), answer.headers

    async def signed(
        self, name: str, event: Any, *, at: int = NOW, id: str = "msg_1", **headers: str
    ) -> tuple[int, Any]:
        body = json.dumps(event).encode()
        signature = signature_headers(SCHEMES[name], SECRET, body, at, id)
        status, said, _ = await self.send(f"/webhooks/{name}", body, {**signature, **headers})
        return status, said


@asynccontextmanager
async def running(sources: dict[str, Any], sink: Any = None, **options: Any) -> AsyncIterator[Client]:
    """Start the receiver with some sources."""
    options = {"endpoint": "127.0.0.1:0", "sources": sources, **options}
    async with receiving(FACTORY, options, signals=[Signal.TRACES, Signal.LOGS], sink=sink) as here:
        for source in here.receiver._sources:
            source._clock = lambda: float(NOW)
        async with aiohttp.ClientSession() as session:
            yield Client(here, session)


def one(preset: str, **options: Any) -> dict[str, Any]:
    """Return one source of a preset, named like it."""
    return {preset: {"preset": preset, "secrets": [SECRET], **options}}


async def test_github_event_becomes_a_log_record() -> None:
    """An event of GitHub keeps all that it says, under the name that a header has."""
    event = {"action": "opened", "repository": {"full_name": "a/b"}, "sender": {"login": "octocat"}, "number": 7}
    async with running(one("github")) as client:
        headers = {"x-github-event": "pull_request", "x-github-delivery": "d1"}
        assert await client.signed("github", event, **headers) == (200, {"accepted": 1, "ignored": 0})
        (batch,) = client.sink.batches
    assert batch.signal is Signal.LOGS
    assert batch.column(BODY) == [event]
    assert batch.column(EVENT_NAME) == ["pull_request"]
    assert batch.column(ATTRIBUTES) == [
        {"github.delivery": "d1", "github.action": "opened", "github.repository": "a/b", "github.sender": "octocat"}
    ]
    assert batch.column(attribute("service.name", Level.RESOURCE)) == ["github"]
    assert batch.context.auth == {"source": "github"}


async def test_github_form() -> None:
    """GitHub may send its events in a form."""
    body = urlencode({"payload": json.dumps({"action": "closed"})}).encode()
    async with running(one("github")) as client:
        headers = signature_headers(SCHEMES["github"], SECRET, body, NOW)
        status, _, _ = await client.send("/webhooks/github", body, headers, "application/x-www-form-urlencoded")
        assert status == 200
        assert client.sink.column(attribute("github.action")) == ["closed"]


@pytest.mark.parametrize(
    ("preset", "event", "name", "time"),
    [
        ("stripe", {"id": "evt_1", "type": "invoice.paid", "created": 1000}, "invoice.paid", 1000),
        ("svix", {"type": "user.created", "timestamp": "1970-01-01T00:00:05Z"}, "user.created", 5),
        ("standard_webhooks", {"type": "a.b", "timestamp": "1970-01-01T00:00:05Z"}, "a.b", 5),
        ("slack", {"event_id": "E1", "event_time": 77, "event": {"type": "message"}}, "message", 77),
        (
            "langfuse",
            {"id": "1", "type": "prompt-version", "action": "created", "timestamp": "1970-01-01T00:00:09Z"},
            "prompt-version.created",
            9,
        ),
    ],
)
async def test_presets_of_logs(preset: str, event: dict[str, Any], name: str, time: int) -> None:
    """Well-known senders need a secret, and nothing else."""
    async with running(one(preset)) as client:
        assert (await client.signed(preset, event))[0] == 200
        assert client.sink.column(EVENT_NAME) == [name]
        assert client.sink.column(TIME) == [time * 10**9]
        assert client.sink.column(BODY) == [event]


async def test_slack_asks_who_is_there() -> None:
    """The challenge is answered if it is signed, and makes no record."""
    event = {"type": "url_verification", "challenge": "3eZbrw1aB"}
    async with running(one("slack")) as client:
        assert await client.signed("slack", event) == (200, {"challenge": "3eZbrw1aB"})
        assert (await client.signed("slack", event, at=NOW - 301))[0] == 401
        assert client.sink.batches == []


async def test_runs_of_langsmith_become_spans() -> None:
    """Each run of an automation is a span in LangSmith's dialect."""
    run = {
        "id": "6ab80f10-d79c-4fa2-b441-922ed6feb630",
        "trace_id": "6ab80f10-d79c-4fa2-b441-922ed6feb630",
        "name": "ChatOpenAI",
        "run_type": "llm",
        "start_time": "1970-01-01T00:00:01",
        "end_time": "1970-01-01T00:00:03",
        "inputs": {"messages": [{"role": "user", "content": "Hi"}]},
        "prompt_tokens": 3,
        "error": None,
        "extra": {"metadata": {"ls_model_name": "gpt-4o"}},
    }
    body = json.dumps({"rule_id": "r", "runs": [run, {**run, "id": "other", "error": "boom"}]}).encode()
    async with running({"langsmith": {"preset": "langsmith", "secrets": ["token"]}}) as client:
        status, said, _ = await client.send("/webhooks/langsmith", body, {"authorization": "Bearer token"})
        assert (status, said) == (200, {"accepted": 2, "ignored": 0})
        assert client.sink.column(NAME) == ["ChatOpenAI", "ChatOpenAI"]
        assert client.sink.column(Field(Level.ITEM, "duration_nanos")) == [2 * 10**9] * 2
        assert client.sink.column(Field(Level.ITEM, "status.code")) == [0, 2]
        assert len(set(client.sink.column(Field(Level.ITEM, "trace_id")))) == 1
        assert client.sink.column(attribute("gen_ai.prompt"))[0] == json.dumps(run["inputs"], separators=(",", ":"))
        assert client.sink.column(attribute("langsmith.rule.id")) == ["r", "r"]


async def test_calls_of_helicone_become_spans() -> None:
    """Bodies of a call, which are JSON in JSON, become the canonical form."""
    event = {
        "request_id": "b1946ac9-2efd-4e84-8ff3-30a1f1a4f7a7",
        "user_id": "u1",
        "request_body": json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}),
        "response_body": json.dumps({"id": "c1", "model": "gpt-4o-2", "usage": {"prompt_tokens": 3}}),
        "metadata": {"cost": 0.5},
    }
    async with running(one("helicone")) as client:
        assert (await client.signed("helicone", event))[0] == 200
        (found,) = client.sink.column(ATTRIBUTES)
        assert (found["gen_ai.request.model"], found["gen_ai.response.model"]) == ("gpt-4o", "gpt-4o-2")
        assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.cost"]) == (3, 0.5)
        assert found["user.id"] == "u1"
        assert "Hi" in found["gen_ai.input.messages"]


async def test_events_of_untrace_become_spans() -> None:
    """The generic event of Untrace's code is a span; other types of events are acknowledged and ignored."""
    data = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "model": "gpt-4o",
        "provider": "openai",
        "input": [{"role": "user", "content": "Hi"}],
        "inputTokens": 3,
        "outputTokens": 4,
        "latency": 250,
        "totalCostUsd": 0.25,
        "isError": True,
        "error": "boom",
        "httpStatus": 500,
    }
    sent = [("llm_error", 1), ("user_identify", 0)]
    async with running({"untrace": {"preset": "untrace", "secrets": ["t"], "tenant": "acme"}}) as client:
        for kind, accepted in sent:
            body = json.dumps({"data": data, "event_type": kind, "timestamp": "1970-01-01T00:00:05Z"}).encode()
            _, said, _ = await client.send("/webhooks/untrace", body, {"authorization": "Bearer t"})
            assert said == {"accepted": accepted, "ignored": 1 - accepted}
        (batch,) = client.sink.batches
    assert batch.context.tenant == "acme"
    assert batch.column(Field(Level.ITEM, "span_id")) == [bytes.fromhex(data["spanId"])]
    assert batch.column(Field(Level.ITEM, "end_time_unix_nano")) == [5 * 10**9]
    assert batch.column(Field(Level.ITEM, "status.message")) == ["boom"]
    (found,) = batch.column(ATTRIBUTES)
    assert (found["gen_ai.usage.output_tokens"], found["gen_ai.usage.cost"]) == (4, 0.25)
    assert found["http.response.status_code"] == 500
    assert client.here.meter.value("receiver_webhook_events", source="untrace", outcome="ignored") == 1


@pytest.mark.parametrize("many", [False, True])
async def test_core_traces(many: bool) -> None:
    """What the ``webhook`` exporter sends comes in again, one or many in an event."""
    trace = {"id": "1", "provider": "openai", "model": "gpt-4o", "request": {"prompt": "Hi"}}
    data = {"traces": [trace, {**trace, "id": "2"}]} if many else trace
    async with running({"standard_webhooks": {"preset": "core_trace", "secrets": [SECRET]}}) as client:
        status, said = await client.signed("standard_webhooks", {"type": "trace.completed", "data": data})
        assert (status, said["accepted"]) == (200, 2 if many else 1)
        assert client.sink.column(attribute("gen_ai.request.model")) == ["gpt-4o"] * (2 if many else 1)


async def test_own_mapping_of_a_list_of_events() -> None:
    """Events in a list, templates, constants, times, levels and ids, of a sender with a scheme of its own."""
    source = {
        "path": "/hooks/own",
        "scheme": "hmac",
        "hmac": {"header": "X-Sig", "prefix": "sha256=", "content": "{timestamp}.{body}", "timestamp_header": "X-At"},
        "secrets": ["old", SECRET],
        "events": "$.items[*]",
        "log": {
            "body": "{$.who} did {$.what} in {@.place}",
            "event_name": "deed",
            "time": "$.at",
            "severity": "$.level",
            "trace_id": "$.trace",
            "attributes": {"kind": "constant", "who": "$.who", "n": "$.n", "all": "$", "big": "$.big"},
            "resource": {"service.name": "{@.place}"},
        },
    }
    items = [{"who": "a", "what": "b", "at": 1000, "level": "WARN", "trace": "t", "n": 5, "big": 1 << 63}, {"who": "c"}]
    body = json.dumps({"place": "here", "items": items}).encode()
    async with running({"own": source}) as client:
        scheme = client.here.receiver._sources[0].config.signed
        headers = signature_headers(scheme, SECRET, body, NOW)
        status, said, _ = await client.send("/hooks/own", body, headers)
        assert (status, said["accepted"]) == (200, 2)
        (batch,) = client.sink.batches
    assert batch.column(BODY) == ["a did b in here", "c did  in here"]
    assert batch.column(TIME)[0] == 1000 * 10**9
    assert batch.column(Field(Level.ITEM, "severity_number")) == [13, 0]
    assert [len(one) for one in batch.column(Field(Level.ITEM, "trace_id"))] == [16, 0]
    first, second = batch.column(ATTRIBUTES)
    assert (first["n"], first["kind"], first["big"]) == (5, "constant", str(1 << 63))
    assert json.loads(first["all"])["who"] == "a"
    assert second == {"kind": "constant", "who": "c", "all": '{"who":"c"}'}
    assert batch.column(attribute("service.name", Level.RESOURCE)) == ["here"]


@pytest.mark.parametrize("name", sorted(SCHEMES))
async def test_wrong_signatures_are_refused(name: str) -> None:
    """Without a signature, with another secret, and for another body: 401, told without a quote, counted, not read."""
    body = b'{"type":"x"}'
    source = {name: {"scheme": name, "secrets": [SECRET], "log": {}}}
    other = "whsec_YW5vdGhlciBzZWNyZXQsIG9mIHRoaXJ0eS10d28gYnk="
    async with running(source) as client:
        wrong = signature_headers(SCHEMES[name], other, body, NOW)
        others = signature_headers(SCHEMES[name], SECRET, b"{}", NOW)
        for headers in ({}, wrong, others):
            status, said, _ = await client.send(f"/webhooks/{name}", body, headers)
            assert status == 401
            assert not any(value in said["error"] for value in headers.values() if len(value) > 12)
        assert client.sink.batches == []
        assert client.here.meter.value("receiver_webhook_refusals", source=name, reason="signature") == 3


async def test_old_and_new_times_are_refused() -> None:
    """A signed time may be as far from now as the tolerance, either way."""
    async with running(one("stripe", tolerance="1m")) as client:
        statuses = [(await client.signed("stripe", {"id": str(at)}, at=NOW + at))[0] for at in (-61, -60, 60, 61)]
        assert statuses == [401, 200, 200, 401]


async def test_secrets_are_rotated(tmp_path: Path) -> None:
    """Any of several secrets may sign, also those of a file."""
    path = tmp_path / "secrets"
    path.write_text(f"old\n{SECRET}\n")
    async with running({"github": {"preset": "github", "secret_files": [str(path)]}}) as client:
        assert (await client.signed("github", {}))[0] == 200
    path.write_text("")
    with pytest.raises(StartError, match="source github: there is no secret in secret_files"):
        async with running({"github": {"preset": "github", "secret_files": [str(path)]}}):
            pass


async def test_repetitions_are_taken_once() -> None:
    """An event that comes again within the window gets the same answer, and nothing is taken twice."""
    async with running(one("stripe")) as client:
        first = await client.signed("stripe", {"id": "evt_1"})
        assert await client.signed("stripe", {"id": "evt_1"}, at=NOW + 1) == first
        await client.signed("stripe", {"id": "evt_2"})
        assert client.sink.item_count == 2
        assert client.here.meter.value("receiver_webhook_events", source="stripe", outcome="repeated") == 1


async def test_few_events_are_remembered() -> None:
    """No more than ``max_event_ids``; an older one is taken again."""
    async with running(one("stripe"), max_event_ids=2) as client:
        for number in (1, 2, 3, 3, 1):
            await client.signed("stripe", {"id": f"evt_{number}"})
        assert client.sink.item_count == 4


async def test_token_in_a_header_of_its_own() -> None:
    """Where senders send a secret as it is, ``token_header`` says where."""
    source = {"scheme": "token", "token_header": "X-Gitlab-Token", "secrets": ["t0ken"], "log": {}}
    async with running({"gitlab": source}) as client:
        for name, token, status in (
            ("x-gitlab-token", "t0ken", 200),
            ("x-gitlab-token", "t0ke", 401),
            ("authorization", "Bearer t0ken", 401),
        ):
            assert (await client.send("/webhooks/gitlab", b"{}", {name: token}))[0] == status
        assert client.sink.item_count == 1


async def test_repetitions_are_taken_where_nothing_is_remembered() -> None:
    """Without a window each request counts."""
    async with running(one("github", replay_window="0s")) as client:
        for _ in range(2):
            await client.signed("github", {})
        assert client.sink.item_count == 2


async def test_concurrent_repetitions_are_taken_once() -> None:
    """Of several at a time one is taken, and all are acknowledged with it."""
    sink = BlockingSink()
    async with running(one("github"), sink) as client, asyncio.TaskGroup() as group:
        sent = [group.create_task(client.signed("github", {"a": 1})) for _ in range(3)]
        await sink.wait_for_calls(1)
        sink.release.set()
        assert [(await answer)[0] for answer in sent] == [200] * 3
    assert sink.calls == 1


async def test_refused_event_is_taken_when_it_comes_again() -> None:
    """A failure behind the receiver is 503 with a delay, and is not remembered."""
    async with running(one("github"), FailingSink([RetryableError("full", retry_after=4)])) as client:
        body = b"{}"
        headers = signature_headers(SCHEMES["github"], SECRET, body, NOW)
        status, _, answered = await client.send("/webhooks/github", body, headers)
        assert (status, answered["retry-after"]) == (503, "4")
        assert (await client.send("/webhooks/github", body, headers))[0] == 200


@pytest.mark.parametrize(
    ("body", "error"), [(b"{", "no JSON"), (b"", "no JSON"), (b'{"type": "x", "timestamp": "soon"}', "time: a time")]
)
async def test_content_that_makes_no_sense(body: bytes, error: str) -> None:
    """What is signed and makes no sense is a bad request, which says why."""
    async with running(one("svix")) as client:
        headers = signature_headers(SCHEMES["svix"], SECRET, body, NOW)
        status, said, _ = await client.send("/webhooks/svix", body, headers)
        assert status == 400
        assert error in said["error"]
        assert client.here.meter.value("receiver_webhook_refusals", source="svix", reason="content") == 1


async def test_secrets_go_no_further() -> None:
    """Signatures, tokens and cookies are in no context, whatever is included."""
    async with running(one("github"), include_metadata=True) as client:
        assert (await client.signed("github", {}, authorization="a-secret", cookie="b-secret", other="kept"))[0] == 200
        (batch,) = client.sink.batches
    assert batch.context.first("other") == "kept"
    assert not {"authorization", "cookie", "x-hub-signature-256"} & batch.context.metadata.keys()


async def test_a_source_needs_a_pipeline_of_its_signal() -> None:
    """A source whose events nobody takes is told at start."""
    with pytest.raises(StartError, match="source github makes logs, and no logs pipeline"):
        async with receiving(FACTORY, {"sources": one("github")}, signals=[Signal.TRACES]):
            pass


async def test_other_paths_and_sizes() -> None:
    """Unknown paths are 404, other methods 405, bodies over the limit 413."""
    async with running(one("github"), max_request_body_size=10) as client:
        assert (await client.send("/webhooks/other", b"{}", {}))[0] == 404
        assert (await client.send("/webhooks/github", b" " * 11, {}))[0] == 413
