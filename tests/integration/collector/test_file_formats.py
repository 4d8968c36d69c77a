"""Files that one daemon writes are read by the other: OTLP JSON lines, protobuf records, compression."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.integration.collector.harness import Case, input_items, send
from tests.support.peers import (
    Collector,
    ConfiguredProcess,
    Daemon,
)
from tests.support.peers.canonical import (
    SignalName,
    canonical_items,
    describe_difference,
    parse_json,
    parse_proto,
    read_framed,
    split_framed,
)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("both_daemons"),
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("file_formats"),
]

SIGNALS: tuple[SignalName, ...] = ("traces", "metrics", "logs")
CASE = Case("file", "files")
READ_SECONDS = 30.0
POLL_SECONDS = 0.05
SUBJECTS: dict[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for both daemons."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _write(subject: type[ConfiguredProcess], directory: Path, options: dict[str, Any]) -> None:
    """Send the varied input of all signals into files `<signal>.out`."""
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:${env:FILES_PORT}"}}}},
        "exporters": {f"file/{signal}": {"path": f"{signal}.out", **options} for signal in SIGNALS},
        "service": {
            "pipelines": {signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in SIGNALS},
        },
    }
    with subject(config, directory=directory) as process:
        assert set(send(CASE, process.endpoint("FILES_PORT"))) == {"OK"}


def _read(
    subject: type[ConfiguredProcess], directory: Path, source: Path, expected: int, **options: Any
) -> Counter[Any]:
    """Replay the JSON files of `source` and answer what comes out."""
    config = {
        "receivers": {
            f"otlpjsonfile/{signal}": {"include": [str(source / f"{signal}.out")], "start_at": "beginning", **options}
            for signal in SIGNALS
        },
        "exporters": {
            f"file/{signal}": {"path": f"{signal}.bin", "format": "proto", "flush_interval": "100ms"}
            for signal in SIGNALS
        },
        "service": {
            "pipelines": {
                signal: {"receivers": [f"otlpjsonfile/{signal}"], "exporters": [f"file/{signal}"]} for signal in SIGNALS
            }
        },
    }
    deadline = time.monotonic() + READ_SECONDS
    with subject(config, directory=directory):
        while (found := _records(directory)).total() < expected and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    return found


def _records(directory: Path) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for signal in SIGNALS:
        found += canonical_items(
            signal, (parse_proto(signal, body) for body in read_framed(directory / f"{signal}.bin"))
        )
    return found


def _json_items(directory: Path) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for signal in SIGNALS:
        lines = (directory / f"{signal}.out").read_text().splitlines()
        found += canonical_items(signal, (parse_json(signal, line) for line in lines))
    return found


@pytest.mark.parametrize("name", SUBJECTS)
def test_json_lines_hold_what_went_in(name: str, directory: Path) -> None:
    """One OTLP JSON request per line, nothing lost, nothing changed."""
    _write(SUBJECTS[name], directory, {})
    assert not describe_difference(_json_items(directory), input_items(CASE))


@pytest.mark.parametrize("name", SUBJECTS)
def test_compressed_records_hold_what_went_in(name: str, directory: Path) -> None:
    """With zstd each record is compressed by itself, behind its length."""
    _write(SUBJECTS[name], directory, {"format": "proto", "compression": "zstd"})
    found: Counter[Any] = Counter()
    for signal in SIGNALS:
        records = split_framed((directory / f"{signal}.out").read_bytes())
        bodies = (zstandard.ZstdDecompressor().decompressobj().decompress(record) for record in records)
        found += canonical_items(signal, (parse_proto(signal, body) for body in bodies))
    assert not describe_difference(found, input_items(CASE))


@pytest.mark.parametrize(("writer", "reader"), [("ours", "theirs"), ("theirs", "ours")])
def test_one_reads_what_the_other_wrote(writer: str, reader: str, directory: Path) -> None:
    """A file of one daemon, replayed by the other, gives the same items."""
    wanted = input_items(CASE)
    _write(SUBJECTS[writer], directory / "written", {})
    source = directory / "written"
    found = _read(SUBJECTS[reader], directory / "read", source, wanted.total(), include_file_name=False)
    assert not describe_difference(found, wanted)


def test_default_options_add_the_same(directory: Path) -> None:
    """Both say which file an item came from in the same way."""
    _write(Collector, directory / "written", {})
    total = input_items(CASE).total()
    ours, theirs = (
        _read(subject, directory / name, directory / "written", total) for name, subject in SUBJECTS.items()
    )
    assert not describe_difference(ours, theirs)
