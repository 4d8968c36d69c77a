"""Applications with the real SDKs of LangSmith and Langfuse change a URL, and their spans say what they did."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.support import vendor_sdks
from tests.support.destinations.fields import canonical
from tests.support.destinations.native import form_of, kept, langsmith, records
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer
from tests.support.llm_calls import SpanView
from tests.support.peers import peer_or_skip
from tests.support.peers.vendor_sdks import vendor_sdks as sdks
from tests.support.peers.vendor_sdks import vendor_sdks_old as old_sdks
from tests.support.vendor_api import VendorApi, normalised, serving
from untrace_pipeline.api import Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.delivery import Request
from untrace_pipeline.registry import Registry
from untrace_plugins.exporters.platform.encoders import make_encoder
from untrace_plugins.exporters.platform.preparation import Preparation
from untrace_plugins.receivers.langfuse import FACTORY as LANGFUSE
from untrace_plugins.receivers.langsmith import FACTORY as LANGSMITH

pytestmark = pytest.mark.once

PROGRAMS = Path(str(vendor_sdks.__file__)).parent
KEYS = [{"public_key": "pk-lf-test", "secret_key": "sk-lf-test", "tenant": "northwind"}]


async def run(environment: Any, program: str, **variables: str) -> str:
    """Run a program in an environment of peers to its end; return what it writes. What it complains of fails."""
    with peer_or_skip():
        python = environment(build=False) / "bin" / "python"
    own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONWARNINGS": "ignore", **variables}
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(str(python), str(PROGRAMS / program), env=own, **pipes)  # type: ignore[arg-type]
    async with asyncio.timeout(90):
        told, complaints = await process.communicate()
    assert (process.returncode, complaints.decode()) == (0, "")
    return told.decode()


def by_name(api: VendorApi) -> dict[str, SpanView]:
    """Return spans by name, as the normaliser leaves them."""
    return {span.name: normalised(span) for span in api.spans().values()}


def evaluations(api: VendorApi) -> list[Any]:
    """Return attributes and span of each evaluation."""
    logs = [batch for batch in api.batches if batch.signal is Signal.LOGS]
    fields = [Field(Level.ITEM, "attributes"), Field(Level.ITEM, "span_id")]
    return [row for batch in logs for row in zip(*batch.columns(fields), strict=True)]


@pytest.mark.parametrize("compression", ["on", "off"])
async def test_langsmith(compression: str) -> None:
    """An agent with calls of a model, parallel tools, a stream, an error, an attachment and feedback."""
    async with serving(LANGSMITH, keys=[{"key": "lsv2_test"}]) as api:
        environment = {"LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": api.url, "LANGSMITH_API_KEY": "lsv2_test"}
        environment |= {"LANGSMITH_PROJECT": "northwind"}
        if compression == "off":
            environment["LANGSMITH_DISABLE_RUN_COMPRESSION"] = "true"
        id = await run(sdks, "langsmith_app.py", **environment)  # noqa: A001
        assert api.running.meter.value("receiver_held_runs") == 0
        names, found = by_name(api), api.spans()
        rated = evaluations(api)
    assert sorted(span.name for span in found.values()) == sorted(
        ["agent", "ask_model", "fails", "stream_model", "weather", "weather", "weather"]
    )
    assert api.parts("complete") >= 8  # begin and end of the agent came apart
    root = id.replace("-", "")[16:]
    assert {one.attributes.get("langsmith.span.parent_id") for one in found.values()} == {None, id}
    call, agent = names["ask_model"].attributes, names["agent"].attributes
    assert (call["gen_ai.operation.name"], call["gen_ai.request.model"]) == ("chat", "gpt-4o-mini")
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (11, 3)
    assert json.loads(str(call["gen_ai.output.messages"]))[0]["parts"] == [{"type": "text", "content": "Sunny."}]
    assert names["weather"].attributes["gen_ai.operation.name"] == "execute_tool"
    assert 0 < float(str(names["stream_model"].attributes["gen_ai.response.time_to_first_chunk"])) < 60
    assert names["fails"].failed
    assert (agent["session.id"], agent["user.id"], agent["untrace.tags"]) == ("s1", "u1", ["blue"])
    assert json.loads(str(agent["langsmith.attachments"]))[0]["content"] == "bm90ZXM="
    [(attributes, span_id)] = rated
    assert (attributes["gen_ai.evaluation.name"], span_id.hex()) == ("helpful", root)


async def test_langfuse_of_today() -> None:
    """OTLP with a generation, a tool that fails, a picture and a score."""
    async with serving(LANGFUSE, keys=KEYS) as api:
        await run(sdks, "langfuse_app.py", **_langfuse(api))
        names, rated = by_name(api), evaluations(api)
        assert api.running.meter.value("receiver_langfuse_discarded_media") == 1
    assert names.keys() == {"handler", "llm", "lookup"}
    call = names["llm"].attributes
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (5, 2)
    assert (call["session.id"], call["user.id"], call["untrace.tags"]) == ("s1", "u1", ["blue"])
    assert names["lookup"].failed
    assert names["handler"].attributes["untrace.output"] == '{"a": "so"}'
    assert [one["gen_ai.evaluation.score.value"] for one, _ in rated] == [0.5]


async def test_langfuse_of_before() -> None:
    """Events by clients and decorators; what is said last of a trace is on its spans."""
    async with serving(LANGFUSE, keys=KEYS, settle_wait="1h") as api:
        await run(old_sdks, "langfuse_old_app.py", **_langfuse(api))
        assert api.running.meter.value("receiver_langfuse_invalid_events") == 0
    names, rated = by_name(api), evaluations(api)
    # what is decorated first is the trace itself
    assert names.keys() == {"handler", "llm", "noticed", "decorated_llm"}
    assert not any("untrace.incomplete" in span.attributes for span in names.values())
    for name in ("handler", "llm", "noticed"):
        said = names[name].attributes
        assert (said["session.id"], said["user.id"], said["untrace.tags"]) == ("s1", "u1", ["blue"])
        assert said["langfuse.trace.id"] == "my own trace"
    call = names["llm"].attributes
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (5, 2)
    assert (call["gen_ai.request.model"], call["gen_ai.request.temperature"]) == ("gpt-4o-mini", 0.5)
    assert str(call["langfuse.observation.completion_start_time"]).startswith("20")
    assert names["noticed"].failed
    assert names["handler"].attributes["langfuse.trace.output"] == '{"a":"so"}'
    assert names["decorated_llm"].attributes["gen_ai.usage.input_tokens"] == 7
    assert names["decorated_llm"].attributes["user.id"] == "u2"
    assert names["decorated_llm"].attributes["langfuse.trace.name"] == "second"
    assert names["decorated_llm"].attributes["langfuse.trace.output"] == "so"
    [(attributes, _)] = rated
    assert attributes["gen_ai.evaluation.explanation"] == "fine"


def _langfuse(api: VendorApi) -> dict[str, str]:
    keys = {"LANGFUSE_PUBLIC_KEY": "pk-lf-test", "LANGFUSE_SECRET_KEY": "sk-lf-test"}
    return {**keys, "LANGFUSE_HOST": api.url, "LANGFUSE_BASE_URL": api.url}


async def test_runs_are_what_langsmiths_sdk_would_have_sent(tmp_path: Path) -> None:
    """Its models take them, it reads their paths as we mean them, and it would have made the same parts of them."""
    config = Registry().load(Kind.EXPORTER, "langsmith_runs").config.model_validate({"api_key": "lsv2_test"})
    encoder = make_encoder(config)  # type: ignore[arg-type]
    preparation = Preparation(config, None, encoder)  # type: ignore[arg-type]
    batches = [example_trace(), *await canonical("openinference-langchain-0.1.80")]
    names, runs = [], []
    for batch in batches:
        for request in (await preparation(Request(batch, batch.item_count))).requests:
            body = encoder.encode(request.batch)
            names += [name for name, _ in form_of(body.content_type, body.data)]
            found = langsmith("", {"content-type": body.content_type}, body.data)
            assert isinstance(found, Batch)
            runs += records([found])
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    told = await run(sdks, "langsmith_check.py", RUNS=str(tmp_path / "runs.json"))
    assert sorted(names) == sorted(name for parts in json.loads(told) for name in parts)


async def test_helicones_own_logger_sends_what_we_send(tmp_path: Path) -> None:
    """The same calls, logged by its package: paths, requests, answers, status and timing are the same, key by key."""
    config: Any = Registry().load(Kind.EXPORTER, "helicone").config.model_validate({"api_key": "x"})
    encoder = make_encoder(config)
    batch = Batch.merge(await canonical("anthropic-sdk-2.11.0") + await canonical("otel-genai-openai-1.3b0"))
    prepared = await Preparation(config, None, encoder)(Request(batch, batch.item_count))
    made = [encoder.encode(request.batch) for request in prepared.requests]
    ours = [{**json.loads(body.data), "path": body.path} for body in made]
    ours = [one for one in ours if one["providerResponse"]["status"] == HTTPStatus.OK]  # it logs no others
    (tmp_path / "calls.json").write_text(json.dumps([helicone_call(one) for one in ours]))
    rules = replace(PLATFORMS["helicone"].rules, credentials={}, reads=as_it_came)
    async with ContractServer(rules) as server:
        await run(sdks, "helicone_app.py", HELICONE=server.url, CALLS=str(tmp_path / "calls.json"))
        theirs = records([one.batch for one in server.received])
    assert len(theirs) == len(ours) > 40
    for one, other in zip(ours, theirs, strict=True):
        for name in ("_type", "toolName"):  # of its own, of tools
            other["providerResponse"]["json"].pop(name)
        one["providerRequest"]["meta"] = {}  # headers of its request
        one["providerResponse"].pop("cost", None)  # no word for it in this version
        one["timing"].setdefault("timeToFirstToken", None)
        other["providerResponse"] = {
            key: value for key, value in other["providerResponse"].items() if value is not None
        }
        assert one == other


def helicone_call(log: dict[str, Any]) -> dict[str, Any]:
    """Return what an application would tell Helicone's logger of a call."""
    start, end = (log["timing"][name] for name in ("startTime", "endTime"))
    return {
        "provider": {"/oai/v1/log": "openai", "/anthropic/v1/log": "anthropic"}.get(log["path"]),
        "request": log["providerRequest"]["json"],
        "response": log["providerResponse"]["json"],
        "start": start["seconds"] + (start["milliseconds"] + 0.5) / 1000,
        "end": end["seconds"] + (end["milliseconds"] + 0.5) / 1000,
        "first": log["timing"].get("timeToFirstToken"),
    }


def as_it_came(path: str, _headers: Mapping[str, str], data: bytes) -> Batch:
    """Keep a log without a look at it."""
    return kept([("1".rjust(16, "0"), False, {**json.loads(data), "path": path})])
