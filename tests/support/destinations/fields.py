"""What each LLM platform reads of a call, where it reads it, and whether it is there: captures by platforms.

``python -m tests.support.destinations.fields [--check]`` writes docs/destination-fields.md.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.captures import captures
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import Judgement
from tests.support.llm_calls import SpanView, spans_by_id
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery import Request
from untrace_pipeline.registry import Registry
from untrace_pipeline.testing import Sink, make_settings
from untrace_plugins.exporters.platform.encoders import Body, make_encoder
from untrace_plugins.exporters.platform.preparation import Preparation
from untrace_plugins.genai import names
from untrace_plugins.processors.genai_normalizer import FACTORY as NORMALIZER
from untrace_plugins.processors.llm_cost import FACTORY as COST

__all__ = ["FIELDS", "GENAI", "OTLP", "READS", "Filled", "fields_of", "filled", "normalised", "page", "reads_field"]

PAGE = Path(__file__).resolve().parents[3] / "docs/destination-fields.md"
OTLP = tuple(name for name, capture in sorted(captures().items()) if any(capture.otlp(Signal.TRACES)))
FIELDS = ("model", "input", "output", "tools", "input tokens", "output tokens", "cost", "session", "user", "error")

GENAI = {
    "model": r"gen_ai\.request\.model",
    "input": r"gen_ai\.input\.messages",
    "output": r"gen_ai\.output\.messages",
    "input tokens": r"gen_ai\.usage\.input_tokens",
    "output tokens": r"gen_ai\.usage\.output_tokens",
    "cost": r"gen_ai\.usage\.cost",
    "session": r"gen_ai\.conversation\.id",
    "user": r"user\.id",
}
INDEXED = {
    **GENAI,
    "input": r"gen_ai\.prompt\.\d+\..+|gen_ai\.prompt",
    "output": r"gen_ai\.completion\.\d+\..+|gen_ai\.completion",
}
OPENINFERENCE = {
    "model": r"llm\.model_name|embedding\.model_name",
    "input": r"llm\.input_messages\.\d+\..+|input\.value|embedding\.embeddings\.\d+\..+",
    "output": r"llm\.output_messages\.\d+\..+|output\.value",
    "input tokens": r"llm\.token_count\.prompt",
    "output tokens": r"llm\.token_count\.completion",
    "cost": r"llm\.cost\.total",
    "session": r"session\.id",
    "user": r"user\.id",
}
LLM_OBSERVABILITY = {
    "model": r"meta\.model_name",
    "input": r"meta\.input\..+",
    "output": r"meta\.output\..+",
    "input tokens": r"metrics\.input_tokens",
    "output tokens": r"metrics\.output_tokens",
    "cost": r"metrics\.total_cost",
    "session": r"session_id",
    "user": r"tags\.user_id",
}
READS: Mapping[str, Mapping[str, str]] = {
    "arize": OPENINFERENCE,
    "braintrust": {**GENAI, "session": r"braintrust\.metadata\.session_id", "user": r"braintrust\.metadata\.user_id"},
    "datadog": {**GENAI, "session": r"session\.id"},
    "datadog_agent_llm_observability": LLM_OBSERVABILITY,
    "datadog_llm_observability": LLM_OBSERVABILITY,
    "helicone": {
        "model": r"provider(Request|Response)\.json(\.streamed_data\.0)?\.model",
        "input": r"providerRequest\.json\.(messages|input|prompt|system)",
        "output": r"providerResponse\.json(\.streamed_data\.0)?\.(choices|content)",
        "input tokens": r"providerResponse\.json(\.streamed_data\.0)?\.usage(\.prompt_tokens)?",
        "output tokens": r"providerResponse\.json(\.streamed_data\.0)?\.usage(\.completion_tokens)?",
        "cost": r"providerResponse\.cost",
        "session": r"providerRequest\.meta\.Helicone-Session-Id",
        "user": r"providerRequest\.meta\.Helicone-User-Id",
    },
    "honeyhive": {
        **GENAI,
        "cost": r"honeyhive_metrics\.cost",
        "session": r"honeyhive\.session_id",
        "user": r"honeyhive_user_properties\.user_id",
    },
    "keywords_ai": {
        **INDEXED,
        "input tokens": r"gen_ai\.usage\.prompt_tokens",
        "output tokens": r"gen_ai\.usage\.completion_tokens",
        "session": r"respan\.thread\.id|respan\.threads\.thread_identifier",
        "user": r"respan\.customer\.identifier|respan\.customer_params\.customer_identifier",
    },
    "langfuse": {
        "model": r"langfuse\.observation\.model\.name|gen_ai\.request\.model",
        "input": r"langfuse\.observation\.input",
        "output": r"langfuse\.observation\.output",
        "input tokens": r"langfuse\.observation\.usage_details",
        "output tokens": r"langfuse\.observation\.usage_details",
        "cost": r"langfuse\.observation\.cost_details",
        "session": r"session\.id",
        "user": r"user\.id",
    },
    "langsmith": {**INDEXED, "session": r"langsmith\.trace\.session_id"},
    "langsmith_runs": {
        "model": r"outputs\.model|extra\.metadata\.ls_model_name",
        "input": r"inputs",
        "output": r"outputs",
        "input tokens": r"outputs\.usage_metadata\.input_tokens",
        "output tokens": r"outputs\.usage_metadata\.output_tokens",
        "cost": r"outputs\.usage_metadata\.total_cost",
        "session": r"extra\.metadata\.session_id",
        "user": r"extra\.metadata\.user_id",
    },
    "langwatch": {
        **GENAI,
        "cost": r"langwatch\.span\.cost",
        "session": r"langwatch\.thread\.id",
        "user": r"langwatch\.user\.id",
    },
    "logfire": GENAI,
    "lunary": INDEXED,
    "mlflow": {**GENAI, "session": r"mlflow\.trace\.session", "user": r"mlflow\.trace\.user"},
    "opik": {**GENAI, "cost": r"gen_ai\.cost\.total", "session": r"thread_id|gen_ai\.conversation\.id"},
    "phoenix": OPENINFERENCE,
    "posthog": {
        **GENAI,
        "cost": r"\$ai_total_cost_usd",
        "session": r"\$ai_session_id",
        "user": r"posthog\.distinct_id",
    },
    "traceloop": {
        **INDEXED,
        "session": r"traceloop\.association\.properties\.session_id",
        "user": r"traceloop\.association\.properties\.user_id",
    },
    "untrace": {
        "model": r"llm\.model",
        "input": r"llm\.messages",
        "output": r"llm\.choices",
        "input tokens": r"llm\.prompt\.tokens",
        "output tokens": r"llm\.completion\.tokens",
        "cost": r"llm\.cost\.total",
        "session": r"workflow\.session_id",
        "user": r"workflow\.user_id",
    },
    "weave": {**GENAI, "session": r"wandb\.thread_id"},
}
"""Attributes that each platform takes a field from, as its documentation or its source says; whole names. Of a platform
with an API of its own, paths into the JSON of its records."""


@dataclass(slots=True)
class Filled:
    """How many of the calls that have a field have it where the platform looks for it."""

    have: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)

    def missing(self) -> dict[str, str]:
        """Return what is not there for every call that has it: ``{"user": "3 of 5"}``."""
        return {
            name: f"{self.there[name]} of {self.have[name]}" for name in FIELDS if self.there[name] < self.have[name]
        }


async def canonical(capture: str) -> list[Batch]:
    """Return the traces of a capture after the processors of a usual pipeline: normalised and priced."""
    found = captures()[capture]
    return await normalised(batch for signal in (Signal.LOGS, Signal.TRACES) for _, batch in found.otlp(signal))


async def normalised(batches: Iterable[Batch]) -> list[Batch]:
    """Return the traces among them after those processors; log records with their messages come first."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "genai_normalizer", signals=[Signal.TRACES, Signal.LOGS])
    normalizer = NORMALIZER.create(NORMALIZER.config.model_validate({"join_events": {}}), settings, sink)
    for batch in batches:
        await normalizer.consume(batch.copy())
    await normalizer.shutdown()
    settings = make_settings(Kind.PROCESSOR, "llm_cost", signals=[Signal.TRACES])
    priced = COST.create(COST.config.model_validate({}), settings)
    found = (priced.process(batch) for batch in sink.batches if batch.signal is Signal.TRACES)
    return [Batch(Signal.TRACES, batch.to_otlp()) for batch in found if batch is not None]


async def sent(platform: str, batches: Iterable[Batch]) -> dict[str, SpanView]:
    """Return what a platform gets of them, by the span's id."""
    config = Registry().load(Kind.EXPORTER, platform).config.model_validate(dict(PLATFORMS[platform].options))
    encoder = make_encoder(config)
    preparation = Preparation(config, None, encoder, lambda: 0.0)
    prepared = [await preparation(Request(batch, batch.item_count)) for batch in batches]
    requests = [Batch(Signal.TRACES, request.batch.to_otlp()) for one in prepared for request in one.requests]
    reads = PLATFORMS[platform].rules.reads
    return spans_by_id(requests if reads is None else (_kept(reads, encoder.encode(one)) for one in requests))


def _kept(reads: Callable[..., Batch | Judgement], body: Body) -> Batch:
    """Return the records that a platform with an API of its own keeps of a request."""
    found = reads(body.path, {"content-type": body.content_type}, body.data)
    assert isinstance(found, Batch), found
    return found


async def filled(capture: str) -> dict[str, Filled]:
    """Return for each platform what of the calls of a capture is where it looks for it."""
    batches = await canonical(capture)
    truth = spans_by_id(batches)
    called = [call["span"]["span_id"] for call in captures()[capture].expect["calls"] if call.get("span")]
    found = {}
    for platform, reads in READS.items():
        after = await sent(platform, batches)
        found[platform] = result = Filled()
        for span_id in called:
            for name, expected in fields_of(truth[span_id]).items():
                result.have[name] += 1
                result.there[name] += span_id in after and reads_field(reads, name, after[span_id], expected)
    return found


def fields_of(span: SpanView) -> dict[str, Any]:
    """Return what a call has, from its canonical form; texts as samples of them."""
    attributes = span.attributes
    messages = json.loads(str(attributes.get(names.INPUT_MESSAGES) or "[]"))
    answers = json.loads(str(attributes.get(names.OUTPUT_MESSAGES) or "[]"))
    has = {
        "model": attributes.get(names.RESPONSE_MODEL) or attributes.get(names.REQUEST_MODEL),
        "input": _texts(messages)[-1:],
        "output": _texts(answers),
        "tools": [part["name"] for message in answers for part in message["parts"] if part["type"] == "tool_call"],
        "input tokens": attributes.get(names.USAGE_INPUT),
        "output tokens": attributes.get(names.USAGE_OUTPUT),
        "cost": attributes.get(names.USAGE_COST),
        "session": attributes.get(names.SESSION_ID),
        "user": attributes.get(names.USER_ID),
        "error": span.failed or None,
    }
    return {name: value for name, value in has.items() if value not in (None, [])}


def _texts(messages: list[dict[str, Any]]) -> list[str]:
    parts = [part for one in messages for part in one["parts"] if part["type"] == "text"]
    return [part["content"] for part in parts if part["content"]]


def reads_field(reads: Mapping[str, str], name: str, span: SpanView, expected: Any) -> bool:
    """Return whether a platform finds a field in a span, with the right value."""
    if name == "error":
        return span.failed
    pattern = reads.get("output" if name == "tools" else name)
    values = [value for key, value in span.attributes.items() if pattern and re.fullmatch(pattern, key)]
    if name == "model":
        return any(value in {expected, _request_model(span)} for value in values if isinstance(value, str))
    if name in {"input", "output", "tools"}:
        return _contains("\n".join(map(str, values)), expected)
    return any(_VALUES.get(name, _equal)(value, expected, name) for value in values)


def _request_model(span: SpanView) -> object:
    return span.attributes.get(names.REQUEST_MODEL)


def _contains(text: str, samples: list[str]) -> bool:
    """Return whether all samples are in a text, as they are or as JSON writes them, once or twice."""

    def forms(sample: str) -> Iterable[str]:
        yield sample
        for ascii_only in (True, False):
            once = json.dumps(sample, ensure_ascii=ascii_only)[1:-1]
            yield from (once, json.dumps(once, ensure_ascii=ascii_only)[1:-1])

    return all(any(form in text for form in forms(sample)) for sample in samples)


def _equal(value: object, expected: object, _name: str) -> bool:
    return value == expected


def _sum_of_parts(value: object, expected: object, name: str) -> bool:
    """Compare a count, or the parts of it in Langfuse's and Anthropic's JSON, which do not overlap."""
    if not isinstance(value, str):
        return value == expected
    side = name.partition(" ")[0]
    return bool(sum(count for key, count in json.loads(value).items() if side in key) == expected)


def _close(value: object, expected: object, _name: str) -> bool:
    total = json.loads(value)["total"] if isinstance(value, str) else value
    return isinstance(total, float) and isinstance(expected, float) and abs(total - expected) < 1e-12


_VALUES: Mapping[str, Callable[[object, object, str], bool]] = {
    "input tokens": _sum_of_parts,
    "output tokens": _sum_of_parts,
    "cost": _close,
}


# ----------------------------------------------------------------------- page

HEAD = """\
# What LLM platforms find of a call

Each platform reads a call from attributes of its own choice. The first table says which; the second shows, for what
released instrumentations really sent (`tests/captures`), normalised and priced as usual, that it is there.
Generated by `make docs` from `tests/support/destinations/fields.py`, and held by the tests.

"""


def page() -> str:
    """Return the page."""
    results = {capture: asyncio.run(filled(capture)) for capture in OTLP}
    return HEAD + _reading() + "\n" + _finding(results)


def _reading() -> str:
    columns = ("model", "input", "output", "input tokens", "output tokens", "cost", "session", "user")
    rows = [
        f"| `{platform}` | " + " | ".join(f"`{_shown(reads[name])}`" for name in columns) + " |"
        for platform, reads in READS.items()
    ]
    head = f"| platform | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}\n"
    return "## Where each platform looks\n" + head + "\n".join(rows) + "\n"


def _shown(pattern: str) -> str:
    names_ = [
        one.replace(r"\d+", "{n}").replace(r"\.", ".").replace(".+", "*").lstrip("\\") for one in pattern.split("|")
    ]
    return "`, `".join(names_)


def _finding(results: Mapping[str, Mapping[str, Filled]]) -> str:
    head = "| capture | calls with | missing where |\n| --- | --- | --- |\n"
    rows = []
    for capture, platforms in results.items():
        have = next(iter(platforms.values())).have
        amounts = ", ".join(f"{name} {have[name]}" for name in FIELDS if have[name])
        gaps = [
            f"`{platform}`: " + ", ".join(f"{name} ({amount})" for name, amount in missing.items())
            for platform, one in platforms.items()
            if (missing := one.missing())
        ]
        rows.append(f"| `{capture}` | {amounts} | {'; '.join(gaps) or 'nowhere'} |")
    note = (
        "Every field that a call has, of the calls that its instrumentation sent, is where each of the platforms\n"
        "above looks for it, with the same value, but for what the last column names.\n\n"
    )
    return "## What is there\n" + note + head + "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` return 1 if it is out of date."""
    wanted = page()
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{PAGE} is out of date; run: make docs\n")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
