"""The ``langsmith`` receiver: what its SDK sends becomes spans that say what happened; what is wrong is told."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import zstandard

from tests.support.captures import captures
from tests.support.llm_calls import differences
from tests.support.vendor_api import VendorApi, normalised, serving
from untrace_pipeline.api import PermanentError, RetryableError
from untrace_pipeline.data import Field, Level, Signal
from untrace_pipeline.testing import FailingSink, make_batch
from untrace_plugins.receivers.langsmith import FACTORY

CAPTURE = captures()["langsmith-runs-0.14.17"]
ROOT = "01a1fba8-6d2a-73f0-9116-ff3b5737916a"
CHILD = "01a1fba8-6d2a-73f0-9116-ff3b5737916b"
START, END = "2026-11-21T01:11:21.642105+00:00", "2026-11-21T01:11:22.642105"


def run(id: str = ROOT, **fields: Any) -> dict[str, Any]:
    """Return a run that has begun."""
    return {"id": id, "trace_id": ROOT, "name": "ask", "run_type": "llm", "start_time": START, **fields}


def end(id: str = ROOT, **fields: Any) -> dict[str, Any]:
    """Return a change that ends a run."""
    return {"id": id, "trace_id": ROOT, "end_time": END, **fields}


def form(*parts: tuple[str, Any], boundary: str = "b", length: int | None = None, close: bool = True) -> bytes:
    """Return a multipart body; ``length`` is what each part says that it has."""
    pieces = []
    for name, value in parts:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        size = len(data) if length is None else length
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n'
        pieces.append(
            f"{head}Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode() + data + b"\r\n"
        )
    return b"".join(pieces) + (f"--{boundary}--\r\n".encode() if close else b"")


MULTIPART = "multipart/form-data; boundary=b"


async def send_form(api: VendorApi, *parts: tuple[str, Any], **headers: str) -> Any:
    """Post parts as a form."""
    return await api.send("POST", "/runs/multipart", form(*parts), content_type=MULTIPART, **headers)


async def test_captured_runs_are_what_happened() -> None:
    """Every call that the SDK sent is one span that, normalised, says what happened, wherever its parts came."""
    async with serving(FACTORY) as api:
        for name, body in CAPTURE.bodies.items():
            boundary = body.partition(b"\r\n")[0][2:].decode()
            content_type = f"multipart/form-data; boundary={boundary}"
            assert (await api.send("POST", "/runs/multipart", body, content_type=content_type)).status == 202, name
        spans = api.spans()
    wrong: dict[str, list[str]] = {}
    calls = [call for call in CAPTURE.expect["calls"] if call["records"]]
    for call in calls:
        span = spans[call["records"][0]["id"].replace("-", "")[16:]]
        for what in differences(call, normalised(span)):
            wrong.setdefault(what, []).append(call["case"])
    assert len(calls) > 25
    assert wrong == {}
    assert len(spans) == sum(batch.item_count for batch in api.batches) == 38


async def test_begin_and_end_become_one_span() -> None:
    """Ids, parent, times, status and what both say come together; nothing is sent before the end."""
    async with serving(FACTORY) as api:
        assert (
            await api.post("/runs/batch", {"post": [run(inputs={"q": 1}), run(CHILD, parent_run_id=ROOT)]})
        ).status == 202
        assert api.batches == []
        assert api.running.meter.value("receiver_held_runs") == 2
        assert (await api.post("/runs/batch", {"patch": [end(CHILD, outputs={"a": 2})]})).status == 202
        [batch] = api.batches
        columns: Any = batch.columns(
            [Field(Level.ITEM, name) for name in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano")]
        )
        assert [column[0].hex() for column in columns[:3]] == [
            ROOT.replace("-", ""),
            CHILD.replace("-", "")[16:],
            ROOT.replace("-", "")[16:],
        ]
        assert columns[3] == [1795223481642105000]
        assert api.parts("complete") == 2


async def test_end_before_begin_makes_no_difference() -> None:
    """Requests overtake each other: the change waits for what it changes."""
    async with serving(FACTORY) as api:
        await api.post("/runs/batch", {"patch": [end(outputs={"a": 2}, name=None)]})
        assert api.batches == []
        await api.post("/runs/batch", {"post": [run(inputs={"q": 1})]})
        [span] = api.spans().values()
        assert span.name == "ask"
        assert json.loads(str(span.attributes["gen_ai.completion"])) == {"a": 2}
        assert "untrace.incomplete" not in span.attributes


async def test_what_comes_again_changes_nothing() -> None:
    """An SDK that sends a request again, because the answer was lost, makes no second span."""
    async with serving(FACTORY) as api:
        for _ in range(3):
            await api.post("/runs/batch", {"post": [run()]})
        for _ in range(3):
            await api.post("/runs/batch", {"patch": [end()]})
        await api.post("/runs/batch", {"post": [run()]})
        assert len(api.batches) == 1
        assert (api.parts("complete"), api.parts("duplicate")) == (2, 5)


async def test_change_of_a_run_that_went_on_is_a_span_of_its_own() -> None:
    """What is said after the end is not lost: it has the same ids."""
    async with serving(FACTORY) as api:
        await api.post("/runs/batch", {"post": [run(end_time=END)], "patch": []})
        await api.post("/runs/batch", {"patch": [end(outputs={"late": True})]})
        assert len(api.batches) == 2
        assert len(api.spans()) == 1
        assert api.parts("late") == 1


async def test_run_and_change_by_themselves() -> None:
    """``POST /runs`` and ``PATCH /runs/{id}``, also under ``/api/v1``, as old SDKs and other languages send them."""
    async with serving(FACTORY) as api:
        assert (await api.post("/api/v1/runs", run(start_time=1795223481642))).status == 202
        change = json.dumps({"end_time": END, "error": "ValueError('no')Traceback (most recent call last):\n  x"})
        assert (await api.send("PATCH", f"/api/v1/runs/{ROOT}", change.encode())).status == 202
        [batch] = api.batches
        columns: Any = batch.columns([Field(Level.ITEM, "status.code"), Field(Level.ITEM, "status.message")])
        assert columns == [[2], ["ValueError('no')"]]
        assert batch.column(Field(Level.EVENT, "attributes"))[0] == {
            "exception.message": "ValueError('no')",
            "exception.type": "ValueError",
            "exception.stacktrace": "Traceback (most recent call last):\n  x",
        }


async def test_shutdown_hands_on_what_is_held() -> None:
    """A run that has not ended goes on as it is, and says so."""
    async with serving(FACTORY) as api:
        await api.post("/runs/batch", {"post": [run()]})
        await api.post("/runs/batch", {"patch": [end(CHILD)]})
    assert [span.attributes["untrace.incomplete"] for span in api.spans().values()] == [True, True]
    assert api.parts("incomplete") == 2


async def test_memory_is_bounded_and_the_oldest_go_on() -> None:
    """Beyond the limit those that waited longest go on as they are; all are there in the end, once."""
    async with serving(FACTORY, hold={"memory_limit": "64KiB"}) as api:
        ids = [str(uuid.UUID(int=number, version=4)) for number in range(1, 1001)]
        for first in range(0, 1000, 50):
            some = [run(one, trace_id=one, inputs={"q": "x" * 100}) for one in ids[first : first + 50]]
            while (answer := await api.post("/runs/batch", {"post": some})).status != 202:
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        held = api.running.meter.value("receiver_held_bytes")
        assert held <= 64 * 1024 + 50 * 1024
    assert sum(batch.item_count for batch in api.batches) == len(api.spans()) == 1000


async def test_ten_thousand_runs() -> None:
    """Many runs, begun and ended in the order of a busy server, are as many spans."""
    async with serving(FACTORY) as api:
        ids = [str(uuid.UUID(int=number, version=4)) for number in range(1, 10001)]
        for first in range(0, 10000, 100):
            begun = [run(one, trace_id=one) for one in ids[first : first + 100]]
            ended = [end(one, trace_id=one) for one in ids[max(0, first - 300) : max(0, first - 200)]]
            assert (await api.post("/runs/batch", {"post": begun, "patch": ended})).status == 202
    assert sum(batch.item_count for batch in api.batches) == len(api.spans()) == 10000
    assert api.parts("complete") + api.parts("incomplete") == 10000 + 9700


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (RetryableError("full", retry_after=7.0), 503, "7"),
        (PermanentError("never"), 500, None),
    ],
)
async def test_refusal_reaches_the_client_and_changes_nothing(error: Any, status: int, retry: str | None) -> None:
    """What the pipelines do not take is not acknowledged; sent again, it is one whole span."""
    sink = FailingSink([error])
    async with serving(FACTORY, sink=sink) as api:
        await api.post("/runs/batch", {"post": [run(inputs={"q": 1})]})
        answer = await api.post("/runs/batch", {"patch": [end(outputs={"a": 2})]})
        assert (answer.status, answer.headers.get("retry-after")) == (status, retry)
        assert api.running.meter.value("receiver_held_parts") == 1
        assert (await api.post("/runs/batch", {"patch": [end(outputs={"a": 2})]})).status == 202
        [span] = api.spans().values()
        assert {"gen_ai.prompt", "gen_ai.completion"} <= span.attributes.keys()


async def test_info_tells_the_limits() -> None:
    """SDKs learn what to send before they send anything, without a key."""
    async with serving(FACTORY, max_request_body_size="8MiB", keys=[{"key": "k"}]) as api:
        for path in ("/info", "/api/v1/info"):
            info = (await api.send("GET", path)).body
            assert info["batch_ingest_config"]["use_multipart_endpoint"] is True
            assert info["batch_ingest_config"]["size_limit_bytes"] == 4 * 1024 * 1024


async def test_keys_are_checked() -> None:
    """Only who has a key may send; whose it is reaches the pipelines, the key does not."""
    keys = [{"key": "lsv2_one", "tenant": "acme"}, {"key": "lsv2_two"}]
    async with serving(FACTORY, keys=keys, include_metadata=True) as api:
        body = {"post": [run(end_time=END)]}
        assert (await api.post("/runs/batch", body)).status == 401
        refused = await api.post("/runs/batch", body, x_api_key="lsv2_wrong")
        assert refused.status == 401
        assert "lsv2" not in json.dumps(refused.body)
        assert (await api.post("/runs/batch", body, x_api_key="lsv2_one")).status == 202
        assert (await api.post("/runs/batch", body, authorization="Bearer lsv2_two")).status == 202
        assert [batch.context.tenant for batch in api.batches] == ["acme", None]
        assert "lsv2" not in repr([batch.context for batch in api.batches])
        assert api.batches[0].context.first("content-type") == "application/json"
        assert (await api.send("POST", "/otel/v1/traces", b"", content_type="application/x-protobuf")).status == 401


async def test_otlp_on_langsmiths_path() -> None:
    """The SDK in its OpenTelemetry mode needs no other endpoint."""
    async with serving(FACTORY) as api:
        batch = make_batch(Signal.TRACES, 3)
        for path in ("/otel/v1/traces", "/api/v1/otel/v1/traces"):
            answer = await api.send("POST", path, batch.to_otlp(), content_type="application/x-protobuf")
            assert answer.status == 200
        assert sum(one.item_count for one in api.batches) == 6


async def test_first_token_and_events() -> None:
    """The time to the first token is known; of the tokens themselves the output has all."""
    events = [
        {"name": "new_token", "time": f"2026-11-21T01:11:21.{ms}+00:00", "kwargs": {"token": "a"}}
        for ms in (892105, 992105)
    ]
    async with serving(FACTORY) as api:
        await api.post("/runs", run(end_time=END, events=[{"name": "start", "time": START}, *events]))
        [span] = api.spans().values()
        assert span.attributes["gen_ai.response.time_to_first_chunk"] == 0.25
        assert api.batches[0].column(Field(Level.EVENT, "name")) == ["start", "new_token"]


async def test_fields_that_nobody_knows_stay() -> None:
    """Newer SDKs say more: it stays with the span, and project and program with the resource."""
    extra = {"metadata": {"team": "blue"}, "runtime": {"sdk": "langsmith-py", "sdk_version": "0.14.17"}, "odd": [1]}
    async with serving(FACTORY) as api:
        await api.post("/runs", run(end_time=END, session_name="northwind", extra=extra, novelty={"x": 1}, big=1 << 70))
        [span] = api.spans().values()
        assert span.attributes["langsmith.run.novelty"] == '{"x":1}'
        assert span.attributes["langsmith.run.extra"] == '{"odd":[1]}'
        assert span.attributes["langsmith.metadata.team"] == "blue"
        resource = api.batches[0].column(Field(Level.RESOURCE, "attributes"))[0]
        assert isinstance(resource, dict)
        assert resource["service.name"] == "northwind"
        assert resource["langsmith.runtime.sdk"] == "langsmith-py"


async def test_attachments_are_kept_up_to_a_size() -> None:
    """Small ones go with the span, of large ones it is said that they were there; they are counted."""
    small, large = (f"attachment.{ROOT}.small", b"abc"), (f"attachment.{ROOT}.large", b"x" * 2000)
    async with serving(FACTORY, max_attachment_size=1000) as api:
        assert (await send_form(api, (f"post.{ROOT}", run(end_time=END)), small, large)).status == 202
        [span] = api.spans().values()
        assert json.loads(str(span.attributes["langsmith.attachments"])) == [
            {"name": "small", "mime_type": "application/json", "size": 3, "content": "YWJj"},
            {"name": "large", "mime_type": "application/json", "size": 2000},
        ]
        assert api.running.meter.value("receiver_langsmith_discarded_attachments") == 1


async def test_stream_compressed_with_zstd() -> None:
    """The SDK sends one zstd stream of all parts; a damaged one is refused, and says why."""
    body = zstandard.compress(form((f"post.{ROOT}", run(end_time=END)), (f"post.{ROOT}.inputs", {"q": 1})))
    async with serving(FACTORY) as api:
        for data, status in ((body[:-5], 400), (b"\x00" + body, 400), (body, 202)):
            answer = await api.send("POST", "/runs/multipart", data, content_type=MULTIPART, content_encoding="zstd")
            assert answer.status == status, answer.body
        assert len(api.spans()) == 1


PART = (f"post.{ROOT}", {"id": ROOT})


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (form(PART), "multipart/form-data", "boundary"),
        (form(PART), "application/json", "multipart/form-data"),
        (form(PART), "multipart/form-data; boundary=other", "not in the body"),
        (form(PART, close=False), MULTIPART, "was cut off"),
        (form(PART)[:60], MULTIPART, "headers do not end"),
        (form(PART, length=3), MULTIPART, "says that it has 3 bytes, and has 46"),
        (form(PART, length=4000), MULTIPART, "says that it has 4000 bytes, and has 46"),
        (form(PART).replace(b"name=", b"nome="), MULTIPART, "no Content-Disposition with a name"),
        (form(PART).replace(b"Length: 46", b"Length: xx"), MULTIPART, "Content-Length is no number"),
        (b"", MULTIPART, "not in the body"),
        (b"--b", MULTIPART, "right after a boundary"),
    ],
)
async def test_malformed_form_is_refused_whole(body: bytes, content_type: str, said: str) -> None:
    """A body that is not what it says is not taken at all, and the answer says where it is wrong."""
    async with serving(FACTORY) as api:
        answer = await api.send("POST", "/runs/multipart", body, content_type=content_type)
        assert answer.status == 400
        assert said in answer.body["detail"]
        assert api.running.meter.value("receiver_held_parts") == 0


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (("post.not-a-uuid", {}), "post.not-a-uuid: a part is called"),
        ((f"put.{ROOT}", {}), "a part is called"),
        ((f"post.{ROOT}", b"{"), f"post.{ROOT}: no JSON"),
        ((f"post.{ROOT}", b"[]"), f"post.{ROOT}: an object"),
        ((f"post.{ROOT}", '{"name": "n"}'.encode("utf-16")), f"post.{ROOT}: no JSON"),
        ((f"post.{ROOT}.inputs", b'\xef\xbb\xbf{"a": 1}'), f"post.{ROOT}.inputs: no JSON"),
        ((f"post.{ROOT}.inputs", b"[" * 1024 + b"]" * 1024), f"post.{ROOT}: at most 254 levels"),
        ((f"post.{ROOT}", {"extra": json.loads("[" * 300 + "]" * 300)}), f"post.{ROOT}: at most 254 levels"),
        ((f"post.{ROOT}.inputs", b'1,"x":2'), f"post.{ROOT}.inputs: no JSON"),
        ((f"post.{ROOT}", {"start_time": "yesterday"}), f"post.{ROOT}.start_time: a time"),
        ((f"post.{ROOT}", {"trace_id": 7}), f"post.{ROOT}.trace_id: a UUID"),
        ((f"feedback.{ROOT}", {"score": 1}), f"feedback.{ROOT}.key: a name"),
    ],
)
async def test_what_makes_no_sense_is_named_and_the_rest_taken(part: tuple[str, Any], said: str) -> None:
    """One wrong run does not cost the others of its request; the SDK shows the answer, and does not send again."""
    async with serving(FACTORY) as api:
        answer = await send_form(api, part, (f"post.{CHILD}", run(CHILD, end_time=END)))
        assert answer.status == 422
        assert said in answer.body["detail"]
        assert len(api.spans()) == 1
        assert api.running.meter.value("receiver_langsmith_invalid_parts") == 1


async def test_deep_run_of_a_batch_is_named() -> None:
    """The others of its batch are taken."""
    deep = run(inputs=json.loads("[" * 300 + "]" * 300))
    async with serving(FACTORY) as api:
        answer = await api.post("/runs/batch", {"post": [deep, run(CHILD, end_time=END)]})
        assert (answer.status, len(api.spans())) == (422, 1)
        assert f"post.{ROOT}: at most 254 levels" in answer.body["detail"]


@pytest.mark.parametrize("extra", [5, {"metadata": 5, "runtime": 5, "invocation_params": 5}])
async def test_extra_of_another_type_does_no_harm(extra: Any) -> None:
    """Only objects say something."""
    async with serving(FACTORY) as api:
        assert (await api.post("/runs/batch", {"post": [run(end_time=END, extra=extra)]})).status == 202
        assert len(api.spans()) == 1


async def test_values_that_only_pythons_json_has() -> None:
    """NaN and half surrogates, which SDKs let through, cost neither the run nor its batch."""
    async with serving(FACTORY) as api:
        inputs = (f"post.{ROOT}.inputs", b'{"x": NaN, "y": "\\ud800", "z": 1}')
        assert (await send_form(api, (f"post.{ROOT}", run()), inputs)).status == 202
        await api.post("/runs/batch", {"patch": [end()]})
        [span] = api.spans().values()
        assert json.loads(str(span.attributes["gen_ai.prompt"])) == {"x": None, "y": "?", "z": 1}


async def test_too_large_is_413() -> None:
    """A body over the limit is refused before it is read, also one that grows when it is decompressed."""
    async with serving(FACTORY, max_request_body_size="64KiB") as api:
        big = form((f"post.{ROOT}", run(inputs={"q": "x" * 100_000})))
        assert (await api.send("POST", "/runs/multipart", big, content_type=MULTIPART)).status == 413
        bomb = zstandard.compress(big)
        answer = await api.send("POST", "/runs/multipart", bomb, content_type=MULTIPART, content_encoding="zstd")
        assert answer.status == 413


async def test_feedback_becomes_an_evaluation() -> None:
    """Feedback is a log record that names the span of its run; without a logs pipeline it is refused, not lost."""
    given = {"key": "helpful", "score": 0.5, "comment": "nice", "run_id": CHILD, "trace_id": ROOT, "source": "app"}
    async with serving(FACTORY) as api:
        assert (await api.post("/feedback", given)).status == 202
        assert (await send_form(api, (f"feedback.{ROOT}", {**given, "score": None, "value": "good"}))).status == 202
        first, second = (batch.column(Field(Level.ITEM, "attributes"))[0] for batch in api.batches)
        assert first == {
            "gen_ai.evaluation.name": "helpful",
            "gen_ai.evaluation.score.value": 0.5,
            "gen_ai.evaluation.explanation": "nice",
            "langsmith.feedback.source": "app",
        }
        assert isinstance(second, dict)
        assert second["gen_ai.evaluation.score.label"] == "good"
        assert api.batches[0].column(Field(Level.ITEM, "span_id")) == [bytes.fromhex(CHILD.replace("-", ""))[8:]]
    async with serving(FACTORY, signals=[Signal.TRACES]) as api:
        answer = await send_form(api, (f"feedback.{ROOT}", given), (f"post.{ROOT}", run(end_time=END)))
        assert answer.status == 422
        assert "no logs pipeline" in answer.body["detail"]
        assert len(api.spans()) == 1


async def test_unknown_paths_say_so() -> None:
    """What is no part of writing runs is a 404 in LangSmith's form."""
    async with serving(FACTORY) as api:
        answer = await api.send("GET", "/sessions")
        assert answer.status == 404
        assert "/sessions" in answer.body["detail"]
