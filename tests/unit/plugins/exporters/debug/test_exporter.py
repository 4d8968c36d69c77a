"""The exporter ``debug``: readable, safe for terminals, never in the way."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.exporters import Running, running
from untrace_pipeline.api import StartError
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.debug import FACTORY
from untrace_plugins.exporters.debug.exporter import _Sampler


async def shown(tmp_path: Path, *batches: Batch, **options: Any) -> str:
    path = tmp_path / "out.txt"
    async with running(FACTORY, {"output_paths": [str(path)], **options}) as r:
        for batch in batches:
            await r.consume(batch)
    return path.read_text()


@pytest.mark.parametrize(
    "options",
    [
        {"verbosity": "loud"},
        {"output_paths": []},
        {"use_internal_logger": True, "output_paths": ["stdout"]},
        {"sampling_initial": -1},
    ],
)
def test_contradictions_are_refused(options: dict[str, Any]) -> None:
    """As in the Collector: unknown levels, no output, two outputs."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)


async def test_basic_is_one_line_per_request(tmp_path: Path) -> None:
    """Signal, number of items, size, and who sent it."""
    batch = make_batch(items=3, context=Context(peer="127.0.0.1:5000"))
    assert await shown(tmp_path, batch) == f"traces: 3 spans, {batch.byte_size / 1024:.1f} KiB from 127.0.0.1:5000\n"


async def test_normal_is_one_line_per_span(tmp_path: Path) -> None:
    """What one wants to know of an LLM call: name, model, tokens, duration, error, ids."""
    model = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 34}
    text = await shown(tmp_path, make_batch(items=2, attributes=model, seed=1), verbosity="normal")
    lines = text.splitlines()
    assert len(lines) == 4
    assert "service.name=service-0" in lines[1]
    assert lines[2].startswith("    chat 0  gpt-4o  12 → 34 tokens  ")
    assert "  ERROR rate limited  trace=" in lines[2]
    assert "ERROR" not in lines[3]


@pytest.mark.parametrize(
    "names",
    [
        ("llm.model_name", "llm.token_count.prompt", "llm.token_count.completion"),
        ("gen_ai.response.model", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
    ],
)
async def test_normal_knows_other_dialects(tmp_path: Path, names: tuple[str, str, str]) -> None:
    """OpenInference and older conventions are read as well."""
    data = make_batch(items=1).to_otlp()
    for key in (b"gen_ai.request.model", b"gen_ai.usage.input_tokens", b"gen_ai.usage.output_tokens"):
        data = data.replace(key, b"x" * len(key))
    extra = make_batch(items=1, attributes=dict(zip(names, ("llama", 5, 6), strict=True))).to_otlp()
    for key in (b"gen_ai.request.model", b"gen_ai.usage.input_tokens", b"gen_ai.usage.output_tokens"):
        extra = extra.replace(key, b"x" * len(key))
    text = await shown(tmp_path, Batch(Signal.TRACES, data), Batch(Signal.TRACES, extra), verbosity="normal")
    assert "llama  5 → 6 tokens" in text
    assert text.count("tokens") == 1


async def test_normal_shows_logs_and_metrics(tmp_path: Path) -> None:
    """One line per log record and per data point."""
    text = await shown(tmp_path, make_batch(Signal.LOGS, 2), make_batch(Signal.METRICS, 5), verbosity="normal")
    assert "    INFO  message 0  gen_ai.operation.name=chat" in text
    assert "    gen_ai.metric.1{gen_ai.request.model=gpt-4o n=1}  1 {token}" in text
    assert "count=3 sum=1.5 {token}" in text


TRACES = """\
ResourceSpans #0
Resource SchemaURL: \nResource attributes:
     -> service.name: Str(service-0)
     -> host.name: Str(test)
ScopeSpans #0
ScopeSpans SchemaURL: \nInstrumentationScope untrace.testing 1
Span #0
    Trace ID       : """

METRIC = """\
Metric #1
Descriptor:
     -> Name: gen_ai.metric.1
     -> Description: \n     -> Unit: {token}
     -> DataType: Sum
     -> IsMonotonic: true
     -> AggregationTemporality: Cumulative
NumberDataPoints #0
Data point attributes:
     -> gen_ai.request.model: Str(gpt-4o)
     -> n: Int(1)
StartTimestamp: 2025-10-09 08:53:20 +0000 UTC
Timestamp: 2025-10-09 08:53:20.000000001 +0000 UTC
Value: 1
Metric #2
"""

HISTOGRAMS = """\
Count: 3
Sum: 1.500000
ExplicitBounds #0: 1.000000
Buckets #0, Count: 1
Buckets #1, Count: 2
"""

EXPONENTIAL = """\
Count: 2
Sum: 3.000000
Bucket (1.000000, 1.189207], Count: 1
Bucket (1.189207, 1.414214], Count: 1
"""


async def test_detailed_shows_everything_in_the_collectors_layout(tmp_path: Path) -> None:
    """People and scripts that read the Collector's output read ours."""
    values = {"map": {"a": [1, True]}, "bytes": b"\x00\x01", "double": 1.5}
    text = await shown(tmp_path, make_batch(items=1, attributes=values), verbosity="detailed")
    assert text.startswith(TRACES)
    for line in (
        "    Kind           : Client",
        "    Start time     : 2025-10-09 08:53:20 +0000 UTC",
        "    Status code    : Error",
        "    Status message : rate limited",
        '     -> gen_ai.response.finish_reasons: Slice(["stop"])',
        '     -> map: Map({"a":[1,true]})',
        "     -> bytes: Bytes(AAE=)",
        "     -> double: Double(1.5)",
        "     -> cached: Bool(true)",
        "SpanEvent #0",
        "     -> Timestamp: 2025-10-09 08:53:20.000000005 +0000 UTC",
        "          -> index: Int(0)",
    ):
        assert f"{line}\n" in text


async def test_detailed_metrics_and_logs(tmp_path: Path) -> None:
    """Buckets, quantiles and bodies are shown too."""
    text = await shown(tmp_path, make_batch(Signal.METRICS, 5), make_batch(Signal.LOGS, 1), verbosity="detailed")
    assert METRIC in text
    assert HISTOGRAMS in text
    assert EXPONENTIAL in text
    assert "QuantileValue #0: Quantile 0.500000, Value 1.000000\n" in text
    assert "SeverityNumber: Info(9)\nBody: Str(message 0)\nAttributes:\n" in text


@pytest.mark.parametrize("verbosity", ["normal", "detailed"])
@pytest.mark.parametrize("signal", list(Signal))
async def test_what_clients_send_cannot_steer_the_terminal(tmp_path: Path, signal: Signal, verbosity: str) -> None:
    """Escape sequences and line breaks in keys, values and resources are shown, not obeyed."""
    evil = {"a\x1b[2J\nb": "c\x1b]0;title\x07\nResourceSpans #9"}
    text = await shown(tmp_path, make_batch(signal, 5, attributes=evil, resource=evil), verbosity=verbosity)
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert "\nResourceSpans #9" not in text
    assert "\\x1b" in text


@pytest.mark.parametrize("signal", list(Signal))
async def test_times_of_any_64_bits_are_shown(tmp_path: Path, signal: Signal) -> None:
    """A clock that is set wrong does not stop the output."""
    data = make_batch(signal, 5).to_otlp()
    start = (1_760_000_000_000_000_000).to_bytes(8, "little")
    broken = Batch(signal, data.replace(start, b"\xff" * 8))
    text = await shown(tmp_path, broken, verbosity="detailed")
    assert str((1 << 64) - 1) in text or "2554-07-21" in text


def test_sampling_counts_per_second() -> None:
    """The first ones of each second, then every n-th; 1 shows all, 0 none of the rest."""

    def pattern(initial: int, thereafter: int) -> str:
        sampler = _Sampler(initial, thereafter)
        return "".join("x" if sampler.wants(now) else "." for now in [1.0] * 8 + [2.0] * 3)

    assert pattern(2, 1) == "xxxxxxxxxxx"
    assert pattern(2, 3) == "xx..x..xxx."
    assert pattern(2, 0) == "xx......xx."


async def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing configured shows one line per request on the console, every time."""
    async with running(FACTORY, {}) as r:
        for _ in range(20):
            await r.consume(make_batch(items=1))
    assert capsys.readouterr().out.count("traces: 1 span, ") == 20


async def test_the_internal_logger_is_used_on_demand(caplog: pytest.LogCaptureFixture) -> None:
    """As the Collector does by default."""
    caplog.set_level(logging.INFO)
    async with running(FACTORY, {"use_internal_logger": True}) as r:
        await r.consume(make_batch(items=1))
    assert any(message.startswith("traces: 1 span, ") for message in caplog.messages)


async def test_an_output_that_cannot_be_written_is_an_error_at_start(tmp_path: Path) -> None:
    """The message names the component and the path."""
    made = Running(FACTORY, {"output_paths": [str(tmp_path / "no" / "file")]}, Signal)
    with pytest.raises(StartError, match=r"exporter debug/test: cannot write to .*no/file: No such file"):
        await made.exporter.start(made.host)
    await made.exporter.shutdown()


async def test_bytes_that_cannot_be_decoded_cost_their_request_only(tmp_path: Path) -> None:
    """The next request is shown."""
    bad = Batch(Signal.TRACES, make_batch(items=1).to_otlp().replace(b"\x0a\x10", b"\x0b\x10"))
    text = await shown(tmp_path, bad, make_batch(items=1), verbosity="normal")
    assert "chat 0" in text
