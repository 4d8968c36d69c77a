"""``replay``: real exporters, real destinations, real stores; killed and started again."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.destination import Destination
from tests.support.logs import own_logging
from tests.support.peers.daemon import daemon_command
from tests.support.wait import wait_until
from tests.unit.cli.letterbox import Letterbox, letter, span_ids
from untrace_pipeline.cli.progress import ProgressDisplay
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery.dead_letters import Amount, Progress
from untrace_pipeline.testing import make_batch

BACKEND = "otlp_http/backend"


@pytest.fixture
def box(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Letterbox]:
    with own_logging():
        yield Letterbox(tmp_path, capfd)


def send_to(box: Letterbox, destination: Destination, **options: object) -> None:
    box.document["exporters"][BACKEND] |= {"endpoint": destination.url, **options}
    box.save()


def test_everything_is_delivered(box: Letterbox) -> None:
    """Every span of every letter arrives once, and the letters are gone."""
    letters = [letter(n) for n in range(20)]
    box.bury(*letters)
    with Destination() as destination:
        send_to(box, destination)
        outcome = box.run("replay")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("20 dead letters (200 items, ")
    assert outcome.out.endswith(" delivered\n")
    assert set(destination.taken) == span_ids(*letters)
    assert set(destination.taken.values()) == {1}
    assert box.held() == []


def test_dry_run(box: Letterbox) -> None:
    """A dry run says how much would go where, and sends nothing."""
    box.bury(letter(1), letter(2), letter(3, exporter="file/archive"))
    with Destination() as destination:
        send_to(box, destination)
        outcome = box.run("replay", "--dry-run", "--to", BACKEND)
        assert destination.requests == 0
    assert outcome.code == 0
    first, *others = outcome.out.splitlines()
    assert first.startswith("3 dead letters (30 items, ")
    assert first.endswith("would be sent:")
    assert [line.partition(": ")[0] for line in others] == [f"  file/archive to {BACKEND}", f"  {BACKEND}"]
    assert len(box.held()) == 3


def test_only_what_fits_the_filter(box: Letterbox) -> None:
    """Filters and limits choose what is sent; the rest stays."""
    letters = [letter(n, reason="expired" if n % 2 else "permanent") for n in range(8)]
    box.bury(*letters)
    with Destination() as destination:
        send_to(box, destination)
        assert box.run("replay", "--reason", "expired", "--limit", "3").code == 0
    assert set(destination.taken) == span_ids(*letters[1:7:2])
    assert [one.id for one in box.held()] == [1, 3, 5, 7, 8]


def test_what_fails_again_stays(box: Letterbox) -> None:
    """A refusal leaves letters where they are, with what was said this time; the code is 1."""
    box.bury(letter(1), letter(2))
    with Destination(400, "still no such project") as destination:
        send_to(box, destination)
        outcome = box.run("replay")
    assert outcome.code == 1
    assert outcome.out.splitlines() == [
        "0 dead letters (0 items, 0 B) delivered",
        "2 dead letters (20 items, 16.7 KiB) failed, and stay:",
        "  2 letters: INVALID_ARGUMENT: HTTP 400: still no such project",
    ]
    assert {one.message for one in box.held()} == {"HTTP 400: still no such project"}
    assert {one.attempts for one in box.held()} == {2}
    assert all(one.replayed_at for one in box.held())


def test_dead_destination_is_left_alone(box: Letterbox) -> None:
    """Where nobody listens the replay ends early, and says that there is more."""
    box.bury(*(letter(n) for n in range(30)))
    box.document["exporters"][BACKEND]["retry_on_failure"] = {"enabled": False}
    box.save()
    outcome = box.run("replay")
    assert outcome.code == 1
    assert "the destination takes nothing at the moment: " in outcome.out
    assert len(box.held()) == 30
    assert {one.reason for one in box.held()} == {"permanent", "expired"}


def test_to_another_exporter(box: Letterbox) -> None:
    """--to sends letters elsewhere; a file of the daemon is added to, not emptied."""
    letters = [letter(n) for n in range(5)]
    box.bury(*letters)
    archive = box.directory / "archive.jsonl"
    archive.write_text('{"resourceSpans":[]}\n')
    outcome = box.run("replay", "--to", "file/archive")
    assert outcome.code == 0, outcome.err
    first, *others = archive.read_bytes().splitlines()
    assert first == b'{"resourceSpans":[]}'
    assert {Batch.from_json(Signal.TRACES, line).to_otlp() for line in others} == {one.payload for one in letters}
    assert box.held() == []


def test_each_exporter_gets_its_own(box: Letterbox) -> None:
    """Without --to every letter goes to the exporter that gave it up."""
    mine, others = letter(1), letter(2, exporter="file/archive")
    box.bury(mine, others)
    with Destination() as destination:
        send_to(box, destination)
        assert box.run("replay").code == 0
    assert set(destination.taken) == span_ids(mine)
    (line,) = (box.directory / "archive.jsonl").read_bytes().splitlines()
    assert Batch.from_json(Signal.TRACES, line).to_otlp() == others.payload


def test_credentials_of_the_exporter(box: Letterbox, tmp_path: Path) -> None:
    """Extensions that the exporter names, an authenticator here, work as in the daemon."""
    (tmp_path / "token").write_text("opensesame")
    box.document["extensions"]["bearer_token_auth"] = {"filename": str(tmp_path / "token")}
    box.document["service"]["extensions"].append("bearer_token_auth")
    box.bury(letter(1))
    with Destination() as destination:
        send_to(box, destination, auth={"authenticator": "bearer_token_auth"})
        assert box.run("replay").code == 0
    assert [one["authorization"] for one in destination.headers] == ["Bearer opensesame"]


def test_item_that_is_too_large_is_buried_again(box: Letterbox) -> None:
    """Of a letter that the new destination takes in parts, the part that is too large is a letter again."""
    large = make_batch(Signal.TRACES, 1, attributes={"text": "x" * 50_000}, seed=77)
    small = make_batch(Signal.TRACES, 3, seed=78)
    mixed = Batch.merge([large, small])
    box.bury(letter(1, payload=mixed.to_otlp(), items=4))
    with Destination(max_bytes=20_000) as destination:
        send_to(box, destination, compression="none")
        outcome = box.run("replay")
    assert outcome.code == 1
    assert "1 item of them too large on their own: dead letters again" in outcome.out
    assert destination.taken.total() == 3
    (left,) = box.held()
    assert (left.id, left.items, left.reason) == (2, 1, "too_large")


def test_rate(box: Letterbox) -> None:
    """The rate holds for items."""
    box.bury(*(letter(n) for n in range(4)))
    with Destination() as destination:
        send_to(box, destination)
        outcome = box.run("replay", "--rate", "6000/m", "--json")
    told = json.loads(outcome.out)
    assert told["delivered"]["letters"] == 4
    assert (told["failed"]["letters"], told["left"], told["interrupted"]) == (0, 0, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "file/archiv"], "did you mean: file/archive?"),
        (["--to", "otlp"], "there is no exporter otlp; there: otlp_http/backend, file/archive"),
        (["--rate", "fast"], "100/s"),
        (["--rate", "0/s"], "is no rate"),
        (["--concurrency", "0"], "at least 1"),
    ],
)
def test_mistakes(box: Letterbox, arguments: list[str], said: str) -> None:
    """A mistyped value is bad usage."""
    box.bury(letter(1))
    outcome = box.run("replay", *arguments)
    assert outcome.code == 2
    assert said in outcome.err


def test_exporter_that_is_gone(box: Letterbox) -> None:
    """Letters of an exporter that is not configured any more need --to; nothing is sent before that is clear."""
    box.bury(letter(1), letter(2, exporter="otlp_http/old"))
    with Destination() as destination:
        send_to(box, destination)
        outcome = box.run("replay")
        assert outcome.code == 2
        assert "the exporter otlp_http/old is not configured any more" in outcome.err
        assert "--to" in outcome.err
        assert destination.requests == 0
        assert box.run("replay", "--to", BACKEND).code == 0
    assert box.held() == []


def test_exporter_that_does_not_take_the_signal(box: Letterbox) -> None:
    """Letters that the other exporter cannot carry are told before anything is sent."""
    resolver = {"static": {"hostnames": ["127.0.0.1:9"]}}
    box.document["exporters"]["load_balancing"] = {"resolver": resolver, "routing_key": "traceID"}
    box.save()
    box.bury(letter(1), letter(2, signal=Signal.METRICS, payload=make_batch(Signal.METRICS, 10).to_otlp()))
    outcome = box.run("replay", "--to", "load_balancing")
    assert outcome.code == 2
    assert "the exporter load_balancing takes no metrics: leave those letters out with --signal" in outcome.err


def test_exporter_that_does_not_start(box: Letterbox) -> None:
    """An exporter that cannot start is a failure at run time, with its reason; the letters stay."""
    box.bury(letter(1))
    box.document["exporters"]["file/archive"]["path"] = str(box.directory / "no" / "file")
    box.save()
    outcome = box.run("replay", "--to", "file/archive")
    assert outcome.code == 1
    assert "cannot write to" in outcome.err
    assert len(box.held()) == 1


def test_damaged_store_is_mended(box: Letterbox) -> None:
    """What can be read of a damaged store is sent."""
    box.bury(*(letter(n) for n in range(60)))
    path = box.queue / "dead_letters.db"
    content = bytearray(path.read_bytes())
    content[-8192:] = b"\xff" * 8192
    path.write_bytes(content)
    with Destination() as destination:
        send_to(box, destination)
        outcome = box.run("replay")
    assert outcome.code == 0, outcome.err
    assert destination.taken.total() >= 500
    assert set(destination.taken.values()) == {1}
    assert box.held() == []


# ------------------------------------------------- killed, interrupted, twice


class Running:
    """A replay as a process."""

    def __init__(self, box: Letterbox, *arguments: str) -> None:
        self._path = box.directory / f"replay-{id(self)}.log"
        command = [daemon_command(), "replay", "--config", str(box.config), *arguments]
        with self._path.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._path.read_text()

    def wait(self) -> int:
        return self.process.wait(timeout=60)


def test_killed_and_started_again(box: Letterbox) -> None:
    """kill -9 at any moment: the next replay goes on, everything arrives, and twice at most what was under way."""
    letters = [letter(n) for n in range(80)]
    box.bury(*letters)
    with Destination(delay=0.02) as destination:
        send_to(box, destination)
        for share in (60, 200, 400):
            running = Running(box, "--concurrency", "3")
            wait_until(lambda share=share: destination.taken.total() >= share, running)  # type: ignore[misc]
            running.process.kill()
            running.wait()
        left = len(box.held())
        assert 0 < left < 80
        last = Running(box)
        assert last.wait() == 0, last.log
    assert set(destination.taken) == span_ids(*letters)
    twice = [one for one, times in destination.taken.items() if times > 1]
    assert len(twice) <= 3 * 3 * 10
    assert box.held() == []


def test_interrupted(box: Letterbox) -> None:
    """Ctrl-C ends it in order: what is under way is finished, nothing is sent twice, the next one goes on."""
    letters = [letter(n) for n in range(60)]
    box.bury(*letters)
    with Destination(delay=0.02) as destination:
        send_to(box, destination)
        running = Running(box)
        wait_until(lambda: destination.taken.total() >= 100, running)
        running.process.send_signal(signal.SIGINT)
        assert running.wait() == 130
        assert "interrupted: " in running.log
        assert "the same command goes on with them" in running.log
        assert len(box.held()) == 60 - destination.taken.total() // 10
        assert box.run("replay").code == 0
    assert set(destination.taken) == span_ids(*letters)
    assert set(destination.taken.values()) == {1}


def test_two_at_once(box: Letterbox) -> None:
    """Two replays at the same time share the letters."""
    letters = [letter(n) for n in range(60)]
    box.bury(*letters)
    with Destination(delay=0.01) as destination:
        send_to(box, destination)
        both = [Running(box), Running(box)]
        assert [one.wait() for one in both] == [0, 0], [one.log for one in both]
    assert set(destination.taken) == span_ids(*letters)
    assert set(destination.taken.values()) == {1}


def test_letters_that_come_meanwhile_stay(box: Letterbox) -> None:
    """What is buried while a replay runs waits for the next one."""
    box.bury(*(letter(n) for n in range(10)))
    with Destination(delay=0.05) as destination:
        send_to(box, destination)

        def more() -> None:
            running = Running(box, "--concurrency", "1")
            wait_until(lambda: destination.requests > 1, running)
            box.bury(letter(100))
            codes.append(running.wait())

        codes: list[int] = []
        thread = threading.Thread(target=more)
        thread.start()
        thread.join()
    assert codes == [0]
    assert [one.key for one in box.held()] == ["key-100"]


# ------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar() -> None:
    """On a terminal one line that is written again and again, with what is left."""
    now = [0.0]
    progress = Progress()
    stream = Terminal()
    display = ProgressDisplay(progress, Amount(100, 1000, 5000), stream, clock=lambda: now[0])
    display.update()
    progress.delivered, progress.failed, now[0] = Amount(48, 480, 2400), Amount(2, 20, 100), 10.0
    display.update()
    progress.delivered, now[0] = Amount(98, 980, 4900), 20.0
    display.end()
    lines = [line.removesuffix("\x1b[K") for line in stream.getvalue().removesuffix("\n").split("\r")[1:]]
    assert lines == [
        "[------------------------]   0%  0 of 1000 items",
        "[############------------]  50%  500 of 1000 items, 2 letters failed, 50 items/s, 10s left",
        "[########################] 100%  1000 of 1000 items, 2 letters failed, 50 items/s",
    ]


def test_lines() -> None:
    """Elsewhere plain lines, without anything for a terminal."""
    stream = io.StringIO()
    display = ProgressDisplay(Progress(waiting=3), Amount(10, 100, 500), stream, clock=lambda: 0.0)
    display.update()
    display.end()
    assert stream.getvalue() == "  0%  0 of 100 items, waiting for 3 that another replay has\n"
