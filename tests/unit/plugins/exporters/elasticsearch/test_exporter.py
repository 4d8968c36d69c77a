"""The exporter ``elasticsearch`` against a server that answers as the bulk API documents it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.http_peer import Asked, HttpPeer, Reply
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.delivery import DeadLetter
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.elasticsearch import FACTORY

SPAN_ID = Field(Level.ITEM, "span_id")
AT_ONCE = {"batch": None}


class Store:
    """Documents by id, and the answers that the bulk API gives; ``fail`` says how a document fails, if it does."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.fail: dict[str, list[tuple[int, str]]] = {}

    def bulk(self, asked: Asked) -> Reply:
        lines = asked.lines()
        results = [self._create(action["create"], body) for action, body in zip(lines[::2], lines[1::2], strict=True)]
        return Reply(200, {"errors": any("error" in one["create"] for one in results), "items": results})

    def _create(self, action: dict[str, Any], body: Any) -> Any:
        key = action["_id"]
        if self.fail.get(key):
            status, kind = self.fail[key].pop(0)
            reason = f"failed to parse field [n] in document with id '{key}'. Preview of field's value: 'a secret'"
            return {"create": {"status": status, "error": {"type": kind, "reason": reason}}}
        if key in self.documents:
            return {
                "create": {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "there"}}
            }
        self.documents[key] = body
        return {"create": {"status": 201}}


class Graveyard:
    """A storage of dead letters in memory."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    async def start(self, host: Any) -> None: ...

    async def shutdown(self) -> None: ...

    def dead_letters(self) -> Graveyard:
        return self

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters


def sending_to(url: str, *, extensions: Any = None, **options: Any) -> AbstractAsyncContextManager[Running]:
    given = {"endpoint": url, "retry_on_failure": QUICK_RETRY, "sending_queue": AT_ONCE, **options}
    return running(FACTORY, {k: v for k, v in given.items() if v is not None}, **(extensions or {}))


def ids_of(batch: Batch) -> list[str]:
    columns = batch.columns([Field(Level.ITEM, "trace_id"), SPAN_ID])
    return [f"{trace.hex()}:{span.hex()}" for trace, span in zip(*columns, strict=True)]  # type: ignore[union-attr]


# ------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of endpoint, endpoints and cloudid"),
        ({"endpoint": "http://a:1", "endpoints": ["http://b:1"]}, "one of endpoint"),
        ({"endpoint": "a:9200"}, "a URL"),
        ({"endpoint": "http://a:1", "user": "me"}, "belong together"),
        ({"endpoint": "http://a:1", "user": "me", "password": "pw", "api_key": "k"}, "not both"),
        ({"endpoint": "http://a:1", "compression": "zstd"}, "servers do not take zstd"),
        ({"cloudid": "prod:!!!"}, "Cloud ID"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """With the reason."""
    with pytest.raises(ValidationError, match=message):
        FACTORY.config.model_validate(options)


def test_a_cloud_id_is_a_url() -> None:
    """Host, cluster and Kibana in base64, after a name."""
    packed = base64.b64encode(b"eu-west-1.aws.found.io:9243$cluster$kibana").decode()
    config = FACTORY.config.model_validate({"cloudid": f"prod:{packed}"})
    assert config.nodes == ["https://cluster.eu-west-1.aws.found.io:9243"]


# --------------------------------------------------------------------- sending


async def test_documents_arrive_compressed_and_answers_are_short() -> None:
    """One bulk request; only what is read of the answer is asked for."""
    store = Store()
    async with HttpPeer(rule=store.bulk) as server, sending_to(server.url, pipeline="mine") as r:
        batch = make_batch(items=5)
        await r.consume(batch)
        await r.until_idle()
    assert set(ids_of(make_batch(items=5))) < set(store.documents)
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/_bulk")
    assert asked.query == {"filter_path": "errors,items.*.status,items.*.error", "pipeline": "mine"}
    assert asked.headers["content-type"] == "application/x-ndjson"
    assert asked.headers["content-encoding"] == "gzip"
    assert r.meter.value("exporter_sent_spans") == 5


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"api_key": "a-key-of-mine"}, "ApiKey a-key-of-mine"),
        ({"user": "me", "password": "pass-word"}, f"Basic {base64.b64encode(b'me:pass-word').decode()}"),
        ({"headers": {"Authorization": "Bearer of-a-token"}}, "Bearer of-a-token"),
    ],
)
async def test_credentials_go_to_the_server_and_nowhere_else(
    options: dict[str, Any], header: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the header; a server that quotes them is not quoted by us."""
    refusal = Reply(401, {"error": {"type": f"security_exception {header}", "reason": header}, "status": 401})
    async with HttpPeer(refusal) as server, sending_to(server.url, **options) as r:
        await r.consume(make_batch(items=1))
        await r.until_idle()
    assert server.asked[0].headers["authorization"] == header
    assert "security_exception" in caplog.text
    assert header.split()[1] not in caplog.text


async def test_what_is_sent_again_is_stored_once() -> None:
    """The answer got lost; the second attempt finds its documents there, and that is success."""
    store = Store()

    def loses_first(asked: Asked) -> Reply:
        reply = store.bulk(asked)
        return reply if len(server.asked) > 1 else Reply(503)

    async with HttpPeer(rule=loses_first) as server, sending_to(server.url) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
    assert len(server.asked) == 2
    assert len(store.documents) == 10
    assert r.meter.value("exporter_sent_spans") == 5
    assert r.dropped == {}


async def test_only_documents_that_were_busy_are_sent_again() -> None:
    """429 and 5xx of single documents; the others are not repeated."""
    store, batch = Store(), make_batch(Signal.TRACES, 5)
    keys = ids_of(make_batch(items=5))
    store.fail = {keys[1]: [(429, "es_rejected_execution_exception")], keys[3]: [(503, "unavailable_shards_exception")]}
    async with HttpPeer(rule=store.bulk) as server, sending_to(server.url) as r:
        await r.consume(batch)
        await r.until_idle()
    again = [line["create"]["_id"] for line in server.asked[1].lines()[::2]]
    assert again == [keys[1], f"{keys[1]}:0", keys[3], f"{keys[3]}:0"]
    assert len(store.documents) == 10
    assert r.meter.value("exporter_sent_spans") == 5


async def test_refused_documents_go_to_the_dead_letters_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Alone, with all that the server said; the log has the kind of error only, because reasons quote values."""
    store, graveyard = Store(), Graveyard()
    keys = ids_of(make_batch(items=5))
    store.fail = {keys[2]: [(400, "mapper_parsing_exception")], keys[4]: [(400, "mapper_parsing_exception")]}
    letters = {"dead_letter_queue": {"storage": "file_storage"}}
    async with (
        HttpPeer(rule=store.bulk) as server,
        sending_to(server.url, extensions={"file_storage": graveyard}, **letters) as r,
    ):
        await r.consume(make_batch(items=5))
        await r.until_idle()
    [letter] = graveyard.letters
    assert (letter.items, letter.code) == (2, "INVALID_ARGUMENT")
    assert ids_of(Batch(letter.signal, letter.payload)) == [keys[2], keys[4]]
    assert "failed to parse field [n]. Preview of field's value: 'a secret'" in letter.message
    assert "mapper_parsing_exception (status 400)" in caplog.text
    assert "a secret" not in caplog.text
    assert r.meter.value("exporter_sent_spans") == 3


async def test_large_requests_are_divided_and_a_failure_in_between_repeats_no_more_than_needed() -> None:
    """Bulk requests of the size that is configured; the first one stays taken when the second one fails."""
    store = Store()
    fails = iter([False, True])

    def second_fails(asked: Asked) -> Reply:
        return Reply(503) if next(fails, False) else store.bulk(asked)

    async with HttpPeer(rule=second_fails) as server, sending_to(server.url, max_bulk_bytes=6000) as r:
        await r.consume(make_batch(items=20))
        await r.until_idle()
    assert all(len(asked.body) <= 6000 for asked in server.asked)
    first = {line["create"]["_id"] for line in server.asked[0].lines()[::2]}
    repeated = {line["create"]["_id"] for asked in server.asked[1:] for line in asked.lines()[::2]}
    assert len(first & repeated) <= 2, "a span may be cut between its document and its event's"
    assert len(store.documents) == 40
    assert r.meter.value("exporter_sent_spans") == 20


async def test_a_request_that_is_too_large_for_the_server_is_halved() -> None:
    """413, until it fits."""
    store = Store()

    def strict(asked: Asked) -> Reply:
        return Reply(413) if len(asked.lines()) > 8 else store.bulk(asked)

    async with HttpPeer(rule=strict) as server, sending_to(server.url) as r:
        await r.consume(make_batch(items=9))
        await r.until_idle()
    assert len(store.documents) == 18
    assert r.dropped == {}


@pytest.mark.parametrize(
    ("reply", "dropped"),
    [
        (Reply(500, {"error": {"type": "internal"}}), {}),
        (Reply(429, {"error": {"type": "es_rejected_execution_exception"}}), {}),
        (Reply(200, b"<html>login</html>"), {}),
        (Reply(200, {"errors": True, "items": []}), {}),
        (Reply(403, {"error": {"type": "security_exception"}}), {"permanent": 5}),
        (Reply(400, {"error": {"type": "parse_exception"}}), {"permanent": 5}),
    ],
)
async def test_answers_to_whole_requests(reply: Reply, dropped: dict[str, int]) -> None:
    """What may pass is tried again, and so is an answer that cannot come from a bulk API; the rest is given up."""
    store = Store()
    async with HttpPeer(reply, rule=store.bulk) as server, sending_to(server.url) as r:
        await r.consume(make_batch(items=5))
        await r.until_idle()
    assert r.dropped == dropped
    assert len(store.documents) == (0 if dropped else 10)


async def test_another_node_takes_over() -> None:
    """A node that is away costs no attempt; several that are there are asked in turn."""
    store = Store()
    async with HttpPeer(rule=store.bulk) as one, HttpPeer(rule=store.bulk) as other:
        nodes = ["http://127.0.0.1:9", one.url, other.url]
        async with sending_to("", endpoint=None, endpoints=nodes) as r:
            for seed in range(6):
                await r.consume(make_batch(items=1, seed=seed))
                await r.until_idle()
            assert r.meter.value("exporter_retries") == 0
    assert len(store.documents) == 12
    assert len(one.asked) >= 2
    assert len(other.asked) >= 2


async def test_templates_are_installed_before_the_first_document() -> None:
    """One per signal, tried again until the server takes them; then never again."""
    store = Store()

    def rule(asked: Asked) -> Reply:
        return store.bulk(asked) if asked.path == "/_bulk" else Reply(200, {"acknowledged": True})

    wanted = {"install": True, "name": "ours", "number_of_replicas": 0, "number_of_shards": 3}
    names = {"logs_index": "records", "metrics_index": "points"}
    async with HttpPeer(Reply(503), rule=rule) as server, sending_to(server.url, index_template=wanted, **names) as r:
        await asyncio.gather(r.consume(make_batch(items=1)), r.consume(make_batch(items=1, seed=2)))
        await r.until_idle()
    puts = [asked.path for asked in server.asked if asked.method == "PUT"]
    assert puts[-3:] == [f"/_index_template/ours-{signal}" for signal in Signal]
    template = next(asked for asked in server.asked if asked.path.endswith("ours-traces")).lines()[0]
    assert template["index_patterns"] == ["traces-*.otel-*"]
    assert template["data_stream"] == {}
    assert template["template"]["settings"]["number_of_replicas"] == 0
    assert template["template"]["settings"]["number_of_shards"] == 3
    for signal, name in ((Signal.LOGS, "records"), (Signal.METRICS, "points")):
        other = next(asked for asked in server.asked if asked.path.endswith(f"ours-{signal}")).lines()[0]
        assert other["index_patterns"] == [f"{name}*"]
        assert "data_stream" not in other
    assert len(store.documents) == 4


async def test_a_template_that_is_refused_stops_nothing_but_sending(caplog: pytest.LogCaptureFixture) -> None:
    """The reason is in the log, and the data waits."""
    caplog.set_level(logging.WARNING)
    store = Store()
    script = [Reply(400, {"error": {"type": "illegal_argument_exception", "reason": "same priority"}})]
    async with (
        HttpPeer(*script, rule=lambda asked: store.bulk(asked) if asked.path == "/_bulk" else Reply()) as server,
        sending_to(server.url, index_template={"install": True}) as r,
    ):
        await r.consume(make_batch(items=1))
        await r.until_idle()
    assert "index template untrace-traces was refused" in caplog.text
    assert "same priority" in caplog.text
    assert len(store.documents) == 2
