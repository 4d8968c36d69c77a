"""``dlq list | show | export | purge``: with real components and real stores."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.logs import own_logging
from tests.unit.cli.letterbox import Letterbox, letter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_batch


@pytest.fixture
def box(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Letterbox]:
    with own_logging():
        yield Letterbox(tmp_path, capfd)


@pytest.fixture
def full(box: Letterbox) -> Letterbox:
    """Four letters of three kinds."""
    box.bury(
        letter(0),
        letter(1, reason="expired", code="UNAVAILABLE", attempts=12, message="HTTP 503: busy\nsecond line"),
        letter(2, tenant="acme", payload=make_batch(Signal.TRACES, 2).to_otlp(), items=2),
        letter(3, exporter="file/archive", signal=Signal.LOGS, payload=make_batch(Signal.LOGS, 5).to_otlp(), items=5),
    )
    return box


# ----------------------------------------------------------------------- list

LISTED = """\
id  time                      exporter           reason     code              attempts  items    bytes  message
 1  2027-01-15T08:00:00.000Z  otlp_http/backend  permanent  INVALID_ARGUMENT         1     10  8.3 KiB  HTTP 400: no. 0
 2  2027-01-15T08:00:01.000Z  otlp_http/backend  expired    UNAVAILABLE             12     10  8.4 KiB  HTTP 503: busy
 3  2027-01-15T08:00:02.000Z  otlp_http/backend  permanent  INVALID_ARGUMENT         1      2  1.7 KiB  HTTP 400: no. 2
 4  2027-01-15T08:00:03.000Z  file/archive       permanent  INVALID_ARGUMENT         1      5  4.1 KiB  HTTP 400: no. 3

4 dead letters (27 items, 22.5 KiB):
  file/archive       permanent   1 dead letter (5 items, 4.1 KiB)
  otlp_http/backend  expired     1 dead letter (10 items, 8.4 KiB)
  otlp_http/backend  permanent   2 dead letters (12 items, 10.0 KiB)
"""


def test_list(full: Letterbox) -> None:
    """Letters in their order, and how much there is by exporter and reason."""
    outcome = full.run("dlq", "list")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == LISTED


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--destination", "file/archive"], [4]),
        (["--destination", "otlp_*"], [1, 2, 3]),
        (["--destination", "otlp_*", "--destination", "file/archive"], [1, 2, 3, 4]),
        (["--reason", "expired"], [2]),
        (["--code", "unavailable"], [2]),
        (["--signal", "logs"], [4]),
        (["--tenant", "acme"], [3]),
        (["--since", "2027-01-15T08:00:01Z", "--until", "2027-01-15T08:00:03Z"], [2, 3]),
        (["--since", "2027-01-15T10:00:02+02:00"], [3, 4]),
        (["--until", "2027-01-15"], []),
        (["--until", "3650d"], []),
        (["--id", "2", "--id", "4"], [2, 4]),
        (["--limit", "2"], [1, 2]),
        (["--reason", "permanent", "--limit", "1"], [1]),
    ],
)
def test_filters(full: Letterbox, arguments: list[str], ids: list[int]) -> None:
    """Every filter chooses the letters that it describes."""
    outcome = full.run("dlq", "list", "--json", *arguments)
    assert outcome.code == 0, outcome.err
    assert [json.loads(line)["id"] for line in outcome.out.splitlines()] == ids


def test_list_json(full: Letterbox) -> None:
    """One object per line with all that is known, but for the request; no totals in between."""
    first = json.loads(full.run("dlq", "list", "--json").out.splitlines()[1])
    size = first.pop("bytes")
    assert size > 8000
    assert first == {
        "storage": "file_storage",
        "id": 2,
        "time": "2027-01-15T08:00:01.000Z",
        "exporter": "otlp_http/backend",
        "destination": "localhost:4318",
        "reason": "expired",
        "code": "UNAVAILABLE",
        "message": "HTTP 503: busy\nsecond line",
        "attempts": 12,
        "signal": "traces",
        "items": 10,
        "tenant": None,
        "metadata": {},
        "received_at": "2027-01-15T07:59:59.000Z",
        "replayed_at": None,
        "key": "key-1",
    }


def test_list_shows_a_part(box: Letterbox) -> None:
    """Of many letters the oldest hundred are shown, and how many there are."""
    box.bury(*(letter(n) for n in range(120)))
    outcome = box.run("dlq", "list")
    assert "120 dead letters (1200 items, " in outcome.out
    assert "; 100 are shown:" in outcome.out
    assert len(box.run("dlq", "list", "--limit", "0", "--json").out.splitlines()) == 120


def test_nothing_there(box: Letterbox) -> None:
    """Without letters all commands say so, and make no file."""
    box.queue.mkdir()
    assert box.run("dlq", "list").out == "no dead letters\n"
    assert box.run("dlq", "list", "--reason", "expired").out == "no dead letters fit\n"
    assert box.run("dlq", "export").err == "0 dead letters (0 items, 0 B) exported\n"
    assert box.run("dlq", "purge", "--all", "--yes").out == "no dead letters fit\n"
    assert box.run("replay").out == "no dead letters\n"
    assert list(box.queue.iterdir()) == []
    box.queue.rmdir()
    assert box.run("dlq", "list").out == "no dead letters\n"
    assert not box.queue.exists()


def test_control_characters_of_a_response(box: Letterbox) -> None:
    """What a destination answered cannot steer the terminal."""
    box.bury(letter(1, message="\x1b[2J\x07gone\x9b1m\nmore\x1b[0m", tenant="\x1b[31m"))
    for outcome in (box.run("dlq", "list"), box.run("dlq", "show", "1")):
        assert outcome.out.replace("\n", "").isprintable()
        assert "gone" in outcome.out


# ---------------------------------------------------------------- wrong usage


def test_configuration_without_dead_letters(box: Letterbox) -> None:
    """Without a store in the configuration the answer is how to get one."""
    del box.document["extensions"], box.document["service"]["extensions"]
    del box.document["exporters"]["otlp_http/backend"]["dead_letter_queue"]
    box.save()
    for command in (["dlq", "list"], ["replay"]):
        outcome = box.run(*command)
        assert outcome.code == 2
        assert "dead_letter_queue: {storage: file_storage}" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--destination", "otlp_http/backnd"], "did you mean: otlp_http/backend?"),
        (["--storage", "file_store"], "did you mean: file_storage?"),
        (["--reason", "expird"], "did you mean: expired?"),
        (["--code", "UNAVAILABEL"], "did you mean: UNAVAILABLE?"),
        (["--since", "yesterday"], "2026-01-31T12:00:00Z"),
        (["--id", "two"], "'two' is no number"),
        (["--signal", "spans"], "traces"),
    ],
)
def test_mistakes(full: Letterbox, arguments: list[str], said: str) -> None:
    """A mistyped value is bad usage, and the answer names what there is."""
    outcome = full.run("dlq", "list", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.out == ""


def test_exporter_that_is_not_configured_any_more(box: Letterbox) -> None:
    """Letters of an exporter that the configuration has lost can still be named."""
    box.bury(letter(1, exporter="otlp_http/old"))
    outcome = box.run("dlq", "list", "--destination", "otlp_http/old")
    assert outcome.code == 0
    assert "otlp_http/old" in outcome.out


def test_mistyped_command(box: Letterbox) -> None:
    """A mistyped subcommand or option names what was meant."""
    outcome = box.run("dlq", "lsit")
    assert outcome.code == 2
    assert "did you mean: list?" in outcome.err
    assert "did you mean: --since?" in box.run("dlq", "list", "--sicne", "2h").err


def test_damaged_store(full: Letterbox) -> None:
    """Looking into a damaged store fails with its name and changes nothing; the next change mends it."""
    path = full.queue / "dead_letters.db"
    path.write_bytes(b"\xff" * path.stat().st_size)
    outcome = full.run("dlq", "list")
    assert outcome.code == 1
    assert f"dead letters in {path}: file is not a database" in outcome.err
    assert not (full.queue / "quarantine").exists()
    assert full.run("dlq", "purge", "--all", "--yes").code == 0
    assert (full.queue / "quarantine").is_dir()
    assert full.run("dlq", "list").out == "no dead letters\n"


def test_several_storages(box: Letterbox, tmp_path: Path) -> None:
    """Letters of all storages that exporters name are listed, with the storage; --storage chooses one."""
    second = tmp_path / "second"
    box.document["extensions"]["file_storage/second"] = {"directory": str(second)}
    box.document["service"]["extensions"].append("file_storage/second")
    box.document["exporters"]["file/archive"]["dead_letter_queue"] = {"storage": "file_storage/second"}
    box.save()
    box.bury(letter(1))
    box.bury(letter(2, exporter="file/archive"), queue=second)
    outcome = box.run("dlq", "list")
    assert [line.split()[:2] for line in outcome.out.splitlines()[1:3]] == [
        ["file_storage", "1"],
        ["file_storage/second", "1"],
    ]
    assert len(box.run("dlq", "list", "--json", "--storage", "file_storage/second").out.splitlines()) == 1
    assert "say which one with --storage" in box.run("dlq", "show", "1").err
    assert "key-2" in box.run("dlq", "show", "1", "--storage", "file_storage/second").out


# ----------------------------------------------------------------------- show

SHOWN = """\
id:          1
storage:     file_storage
exporter:    otlp_http/backend
destination: localhost:4318
reason:      permanent
code:        INVALID_ARGUMENT
given up:    2027-01-15T08:00:00.000Z
received:    2027-01-15T07:59:59.000Z
attempts:    3
signal:      traces, 10 spans, 8.3 KiB
tenant:      acme
key:         key-0
headers:
  x-tenant: acme, other
response:
  HTTP 400: no such project
  <html>
"""


def test_show(box: Letterbox) -> None:
    """All that is known, the whole response, and not the content of the request."""
    headers = {"x-tenant": ("acme", "other"), "authorization": ("Bearer hunter2",)}
    box.bury(
        letter(
            0,
            attempts=3,
            tenant="acme",
            message="HTTP 400: no such project\n<html>",
            metadata=headers,
            code="INVALID_ARGUMENT",
        )
    )
    outcome = box.run("dlq", "show", "1")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == SHOWN


def test_show_payload(full: Letterbox) -> None:
    """With --payload the request too, as OTLP JSON; as JSON in one object."""
    outcome = full.run("dlq", "show", "3", "--payload")
    text = outcome.out.partition("payload:\n")[2]
    assert Batch.from_json(Signal.TRACES, text.encode()).item_count == 2
    told = json.loads(full.run("dlq", "show", "3", "--payload", "--json").out)
    assert told["payload"] == json.loads(text)
    assert "payload" not in json.loads(full.run("dlq", "show", "3", "--json").out)


def test_show_several_and_missing(full: Letterbox) -> None:
    """Letters that are there are shown; one that is not makes the code 1."""
    outcome = full.run("dlq", "show", "1", "99", "2", "--json")
    assert outcome.code == 1
    assert [json.loads(line)["id"] for line in outcome.out.splitlines()] == [1, 2]
    assert "there is no dead letter 99" in outcome.err


# --------------------------------------------------------------------- export


def test_export_json(full: Letterbox, tmp_path: Path) -> None:
    """One OTLP JSON request per line, to stdout or to a file; the letters stay."""
    outcome = full.run("dlq", "export")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == ["resourceSpans"] * 3 + ["resourceLogs"]
    assert Batch.from_json(Signal.TRACES, lines[0].encode()).to_otlp() == letter(0).payload
    path = tmp_path / "letters.jsonl"
    again = full.run("dlq", "export", "--output", path, "--signal", "traces")
    assert (again.out, again.err) == ("", "3 dead letters (22 items, 18.4 KiB) exported\n")
    assert path.read_text().splitlines() == lines[:3]
    assert path.stat().st_mode & 0o077 == 0
    assert len(full.held()) == 4


def test_export_proto(full: Letterbox, tmp_path: Path) -> None:
    """Requests with their length before them, of one signal only."""
    path = tmp_path / "letters.binpb"
    mixed = full.run("dlq", "export", "--format", "proto", "--output", path)
    assert mixed.code == 2
    assert "proto holds one signal, and these are logs, traces: choose one with --signal" in mixed.err
    assert not path.exists()
    assert full.run("dlq", "export", "--format", "proto", "--output", path, "--signal", "traces").code == 0
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    assert found[0] == letter(0).payload
    assert len(found) == 3


def test_export_and_remove(full: Letterbox, tmp_path: Path) -> None:
    """With --remove what is in the file is not in the store any more."""
    path = tmp_path / "letters.jsonl"
    outcome = full.run("dlq", "export", "--output", path, "--reason", "permanent", "--remove")
    assert outcome.err == "3 dead letters (17 items, 14.1 KiB) exported and removed\n"
    assert len(path.read_text().splitlines()) == 3
    assert [one.id for one in full.held()] == [2]


def test_export_with_a_damaged_letter(full: Letterbox, tmp_path: Path) -> None:
    """A letter whose request is damaged is left out and stays; the code is 1."""
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(full.queue / "dead_letters.db") as connection:
        connection.execute("UPDATE letters SET crc = crc + 1 WHERE id = 2")
    connection.close()
    path = tmp_path / "letters.jsonl"
    outcome = full.run("dlq", "export", "--output", path, "--remove")
    assert outcome.code == 1
    assert "payload of dead letter 2 is damaged" in outcome.err
    assert [one.id for one in full.held()] == [2]


def test_export_refuses_what_would_lose(full: Letterbox, tmp_path: Path) -> None:
    """A file that exists is not overwritten; --remove needs a file; a directory that is missing is said."""
    path = tmp_path / "letters.jsonl"
    path.write_text("mine")
    outcome = full.run("dlq", "export", "--output", path, "--remove")
    assert (outcome.code, path.read_text()) == (2, "mine")
    assert "exists already" in outcome.err
    assert full.run("dlq", "export", "--remove").code == 2
    assert "No such file" in full.run("dlq", "export", "--output", tmp_path / "no" / "file").err
    assert len(full.held()) == 4


# ---------------------------------------------------------------------- purge


def test_purge(full: Letterbox) -> None:
    """What fits the filter is removed, and nothing else."""
    said = full.run("dlq", "purge", "--destination", "otlp_*", "--dry-run")
    assert said.out == "3 dead letters (22 items, 18.4 KiB) would be removed\n"
    assert len(full.held()) == 4
    outcome = full.run("dlq", "purge", "--destination", "otlp_*", "--yes")
    assert (outcome.code, outcome.out) == (0, "3 dead letters (22 items, 18.4 KiB) removed\n")
    assert [one.id for one in full.held()] == [4]


def test_purge_with_limit(full: Letterbox) -> None:
    """A limit removes the oldest."""
    assert full.run("dlq", "purge", "--limit", "3", "--dry-run").out.startswith("3 dead letters")
    full.run("dlq", "purge", "--limit", "3", "--yes")
    assert [one.id for one in full.held()] == [4]


def test_purge_needs_a_filter(full: Letterbox) -> None:
    """Without a filter only --all removes everything."""
    outcome = full.run("dlq", "purge", "--yes")
    assert outcome.code == 2
    assert "--all" in outcome.err
    assert full.run("dlq", "purge", "--all", "--yes").code == 0
    assert full.held() == []


@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("yes", 0), ("n", 4), ("", 4), ("maybe", 4)])
def test_purge_asks(full: Letterbox, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    """On a terminal it asks; only yes means yes."""
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", ask)
    outcome = full.run("dlq", "purge", "--all")
    assert outcome.code == (1 if left else 0)
    assert asked == ["remove 4 dead letters (27 items, 22.5 KiB) for good? [y/N] "]
    assert len(full.held()) == left


def test_purge_does_not_ask_a_program(full: Letterbox) -> None:
    """Where nobody can be asked, --yes is needed."""
    outcome = full.run("dlq", "purge", "--all")
    assert outcome.code == 2
    assert "--yes is needed" in outcome.err
    assert len(full.held()) == 4
