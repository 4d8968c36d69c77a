"""Custom functions: what they get and change, and what happens to those that raise, hang, die or answer nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from untrace_pipeline.api import Kind, PermanentError, StartError
from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.testing import RecordingMeter, Sink, StubHost, make_batch, make_settings
from untrace_plugins.processors.transform import FACTORY

NAME = Field(Level.ITEM, "name")
FUNCTIONS = """
import os, sys, time, subprocess

def upper(span):
    print("this goes to the log")
    span["name"] = span["name"].upper() + "/" + span["resource"]["service.name"]
    span["attributes"]["x"]["deep"].append(len(span["trace_id"]))
    span["attributes"]["new"] = [1, b"2"]
    del span["attributes"]["session.id"]

def replace(span):
    return {"attributes": {"only": True}}

def number(items):
    for place, item in enumerate(items):
        item["attributes"]["n"] = place

def fewer(items):
    return items[1:]

def some_raise(span):
    if span["name"] == "chat 1":
        raise ValueError("secret " + span["name"])
    span["attributes"]["ok"] = True

def hang(span):
    while True:
        pass

def hang_with_child(span):
    subprocess.Popen(["sleep", "1000"])
    with open(os.environ["CHILD"], "w") as file:
        file.write(str(os.getpid()))
    time.sleep(1000)

def hang_once(span):
    if not os.path.exists(os.environ["CHILD"]):
        open(os.environ["CHILD"], "w").close()
        time.sleep(1000)
    span["attributes"]["ok"] = True

def die(span):
    os._exit(3)

def nonsense(span):
    span["name"] = 7
    span["trace_id"] = "00"
    span["attributes"] = {"object": object, "big": 1 << 80, "fine": 1}

def unpicklable(span):
    span["attributes"]["f"] = lambda: 1

def no_item(span):
    return 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "custom.py"
    path.write_text(FUNCTIONS)
    return path


@asynccontextmanager
async def processor(
    call: str,
    meter: RecordingMeter | None = None,
    signal: Signal = Signal.TRACES,
    error_mode: str = "ignore",
    where: Any = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, Sink]]:
    """A started processor with one function, and the sink behind it."""
    operation = {"function": {"call": call, "timeout": "1m", **options}, "where": where}
    config = FACTORY.config.model_validate({"operations": [operation], "error_mode": error_mode})
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "transform", signals=[signal], meter=meter)
    subject = FACTORY.create(config, settings, sink)
    await subject.start(StubHost())
    try:
        yield subject, sink
    finally:
        await subject.shutdown()


def processes() -> Iterator[tuple[str, str]]:
    """Yield state and process group of all processes; zombies may stay until somebody asks for them."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group, *_ = path.read_text().rpartition(")")[2].split()
            yield state, group


def spans(items: int = 4, **attributes: Value) -> Batch:
    return make_batch(Signal.TRACES, items, resources=2, attributes=attributes)


async def test_changes_are_taken_over(file: Path) -> None:
    """Fields, attributes and what lies inside of them; the function sees the resource and ids, and may print."""
    async with processor(f"{file}:upper") as (subject, sink):
        await subject.consume(spans(x={"deep": ["a"]}))
    batch = Batch(Signal.TRACES, sink.batches[0].to_otlp())
    assert batch.column(NAME)[3] == "CHAT 1/service-1"
    assert batch.column(attribute("x")) == [{"deep": ["a", 32]}] * 4
    assert batch.column(attribute("new")) == [[1, b"2"]] * 4
    assert batch.column(attribute("session.id")) == [None] * 4


async def test_an_item_can_be_replaced(file: Path) -> None:
    """What a function returns takes the place of the item; fields that are missing stay."""
    async with processor(f"{file}:replace") as (subject, sink):
        await subject.consume(spans())
    assert sink.batches[0].column(Field(Level.ITEM, "attributes")) == [{"only": True}] * 4
    assert sink.batches[0].column(NAME)[0] == "chat 0"


async def test_per_batch_and_on_what_is_meant(file: Path) -> None:
    """A function of the batch gets the items that satisfy the condition, in one call, with the attributes asked for."""
    options = {"per": "batch", "attributes": ["session.id"], "where": 'name == "chat 1"'}
    async with processor(f"{file}:number", **options) as (subject, sink):
        await subject.consume(spans())
    assert sink.batches[0].column(attribute("n")) == [None, 0, None, 1]


@pytest.mark.parametrize("signal", [Signal.LOGS, Signal.METRICS])
async def test_other_signals(file: Path, signal: Signal) -> None:
    """Log records and data points are items too."""
    async with processor(f"{file}:number", signal=signal, per="batch") as (subject, sink):
        await subject.consume(make_batch(signal, 3))
    assert sink.batches[0].column(attribute("n")) == [0, 1, 2]


async def test_installed_modules() -> None:
    """A function may come from an installed package; one that returns no item leaves the bytes alone."""
    batch = spans()
    payload = batch.to_otlp()
    async with processor("json:dumps", per="item") as (subject, sink):
        await subject.consume(batch)
    assert sink.batches[0].to_otlp() == payload


async def test_raising_is_told_without_data(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Items for which a function raises stay as they are; the log has type and line, not the message."""
    meter = RecordingMeter()
    async with processor(f"{file}:some_raise", meter) as (subject, sink):
        await subject.consume(spans())
    assert sink.batches[0].column(attribute("ok")) == [True, None, True, None]
    assert meter.value("processor_transform_errors") == 2
    assert meter.value("processor_transform_function_calls", outcome="raised") == 1
    assert "ValueError in custom.py, line" in caplog.text
    assert "secret" not in caplog.text


async def test_nonsense_is_left_out(file: Path) -> None:
    """What no item can have is not taken over, and counted; the rest is."""
    meter = RecordingMeter()
    async with processor(f"{file}:nonsense", meter) as (subject, sink):
        await subject.consume(spans())
    assert meter.value("processor_transform_errors") == 4  # the class cannot be sent at all
    assert sink.batches[0].column(NAME)[0] == "chat 0"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("die", "died"), ("hang", "timeout"), ("unpicklable", "died"), ("fewer", "raised"), ("no_item", "raised")],
)
async def test_batches_survive_everything(file: Path, name: str, outcome: str) -> None:
    """A function that dies, hangs or answers nonsense changes nothing; the batch goes on, and it is counted."""
    meter, batch = RecordingMeter(), spans()
    payload = batch.to_otlp()
    per = "batch" if name == "fewer" else "item"
    timeout = "300ms" if name == "hang" else "1m"  # a busy machine is no reason to fail
    async with processor(f"{file}:{name}", meter, timeout=timeout, per=per) as (subject, sink):
        await subject.consume(batch)
        assert sink.batches[0].to_otlp() == payload
        assert meter.value("processor_transform_function_calls", outcome=outcome) == 1


async def test_refusing_where_asked_for(file: Path) -> None:
    """With ``propagate`` a request whose function fails is refused."""
    async with processor(f"{file}:die", error_mode="propagate") as (subject, _):
        with pytest.raises(PermanentError, match="its process ended"):
            await subject.consume(spans())


async def test_who_hangs_is_killed_with_children_and_called_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a time-out the next call has a fresh process, and nothing of the old one is left."""
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    async with processor(f"{file}:hang_once", timeout="3s") as (subject, sink):
        await subject.consume(spans())
        await subject.consume(spans())
    assert [batch.column(attribute("ok"))[0] for batch in sink.batches] == [None, True]
    async with processor(f"{file}:hang_with_child", timeout="2s") as (subject, _):
        await subject.consume(spans())
        group = (tmp_path / "child").read_text()
        async with asyncio.timeout(60):
            while any(of == group and state not in "ZX" for state, of in processes()):
                await asyncio.sleep(0.01)


async def test_the_circuit_opens(file: Path) -> None:
    """After several failures in a row the function is not called for a while: nobody waits for it any more."""
    meter = RecordingMeter()
    async with processor(f"{file}:die", meter, max_failures=2, pause="1h") as (subject, sink):
        for _ in range(4):
            await subject.consume(spans())
    assert meter.value("processor_transform_function_calls", outcome="died") == 2
    assert meter.value("processor_transform_function_calls", outcome="paused") == 2
    assert len(sink.batches) == 4


async def test_cancellation_leaves_no_process(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is cancelled while a function works does not hang, and the next call is not confused by the old answer."""
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    async with processor(f"{file}:hang_once", timeout="1h") as (subject, sink):
        task = asyncio.create_task(subject.consume(spans()))
        while not (tmp_path / "child").exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await subject.consume(spans())
    assert sink.batches[0].column(attribute("ok")) == [True] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def other(): pass", "has no attribute 'function'"),
        ("function = 7", "cannot be called"),
        ("import os\nos._exit(1)", "does not start"),
        ("raise SystemExit", "SystemExit"),
    ],
)
async def test_what_cannot_be_imported_does_not_start(tmp_path: Path, text: str, message: str) -> None:
    """The daemon does not start with a function that it cannot have, and says why."""
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(StartError, match=message):
        async with processor(f"{path}:function"):
            pass
