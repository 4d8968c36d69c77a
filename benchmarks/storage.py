"""`python -m benchmarks.storage`: our journal against SQLite (WAL, synchronous=FULL) as the place of queues.

*append*: what it costs until data is on the disk, alone and many at a time (group commit), each side the way a queue
would use it, from one thread. *damage*: how many of 1,000 records come out unchanged after one bit has flipped, and how
many come out changed, unnoticed. Prints tables.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from logging import getLogger
from pathlib import Path

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.backlog import Backlog
from untrace_plugins.extensions.file_storage.shelf import Shelf

LOGGER = getLogger("untrace_pipeline.benchmark")
HEADER = b'{"signal":"traces","received_at":1700000000.0,"transport":"grpc"}'
CASES = ((2_400, 1, 4_000), (2_400, 50, 400), (220_000, 1, 600))
"""Bytes of a payload, payloads per commit, commits."""
SPAN_BYTES = 2_200
RECORDS = 1_000

Append = Callable[[list[bytes]], None]
Read = Callable[[Path, bytes], tuple[int, int]]


@contextmanager
def journal(path: Path) -> Iterator[Append]:
    """Append to the segments of a journal."""
    shelf = Shelf(path / "journal", LOGGER, segment_size=32 << 20)
    shelf.open()
    yield lambda payloads: _check(shelf, [Record(HEADER, payload, 1, 0.0) for payload in payloads])
    shelf.appender.seal()
    shelf.close()


def _check(shelf: Shelf, records: list[Record]) -> None:
    if (error := shelf.appender.append(records).error) is not None:
        raise error


@contextmanager
def sqlite(path: Path) -> Iterator[Append]:
    """Append to a table."""
    with closing(connect(path / "queue.db")) as connection:
        ids = count(1)

        def append(payloads: list[bytes]) -> None:
            with connection:
                connection.executemany(
                    "INSERT INTO queue VALUES (?, 1, 0.0, ?, ?)", [(next(ids), HEADER, payload) for payload in payloads]
                )

        yield append


def connect(path: Path) -> sqlite3.Connection:
    """Open a database as a queue would."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY, items, time, header, payload)")
    return connection


def cpu() -> float:
    """Return the CPU time of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure_append(directory: Path, rounds: int) -> None:
    """Compare turn by turn; the best round of each counts."""
    print("| payload | per commit | | µs CPU each | µs CPU/span | µs each, wall | MB/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size, together, commits in CASES:
        payloads = [os.urandom(size) for _ in range(together)]
        best: dict[str, tuple[float, float]] = {}
        for number in range(rounds):
            for side in (journal, sqlite):
                path = directory / f"{side.__name__}-{size}-{together}-{number}"
                path.mkdir()
                with side(path) as append:
                    append(payloads)
                    began, used = time.perf_counter(), cpu()
                    for _ in range(commits):
                        append(payloads)
                    taken = cpu() - used, time.perf_counter() - began
                shutil.rmtree(path)
                best[side.__name__] = min(best.get(side.__name__, taken), taken)
        for side_name, (used, took) in best.items():
            each, spans = 1e6 / (commits * together), max(size // SPAN_BYTES, 1)
            rate = size * together * commits / took / 1e6
            print(
                f"| {size / 1000:.1f} KB | {together} | {side_name} | {used * each:.1f} | {used * each / spans:.2f} "
                f"| {took * each:.1f} | {rate:.0f} |"
            )


# --------------------------------------------------------------------- damage


def flip(path: Path, at: float, rng: random.Random) -> None:
    """Flip one bit at about that part of a file."""
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def readable_rows(path: Path, payload: bytes) -> tuple[int, int]:
    """Return how many payloads a database gives as they were, and changed, asked for one after the other."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        for number in range(1, RECORDS + 1):
            try:
                found += connection.execute("SELECT payload FROM queue WHERE id = ?", (number,)).fetchall()
            except sqlite3.DatabaseError:
                continue
    intact = found.count((payload,))
    return intact, len(found) - intact


def readable_records(path: Path, payload: bytes) -> tuple[int, int]:
    """Return how many payloads a journal gives as they were, and changed."""
    shelf, backlog = Shelf(path, LOGGER, segment_size=32 << 20), Backlog()
    for segment in shelf.open():
        backlog.add(segment)
    found = [record.payload for record in asyncio.run(backlog.read(1 << 30)).records]
    shelf.close()
    return found.count(payload), len(found) - found.count(payload)


def measure_damage(directory: Path, rounds: int) -> None:
    """Flip one bit, many times, in copies of the same files."""
    rng, payload = random.Random(1), os.urandom(2_400)
    with journal(directory) as append:
        for _ in range(RECORDS):
            append([payload])
    with closing(connect(directory / "queue.db")) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        for number in range(1, RECORDS + 1):
            with connection:
                connection.execute("INSERT INTO queue VALUES (?, 1, 0.0, ?, ?)", (number, HEADER, payload))
        killed = directory / "killed"
        killed.mkdir()
        for name in ("queue.db", "queue.db-wal"):
            shutil.copy(directory / name, killed)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def sample(source: list[Path], victim: str, read: Read, opened: str) -> list[tuple[int, int]]:
        results = []
        for number in range(rounds):
            copy = directory / "copy"
            copy.mkdir()
            for file in source:
                shutil.copy(file, copy)
            flip(copy / victim, (number + 0.5) / rounds, rng)
            results.append(read(copy / opened, payload))
            shutil.rmtree(copy)
        return sorted(results)

    database = [directory / "queue.db"]
    samples = {
        "journal, killed or closed": sample(
            [directory / "journal" / f"00000001.{kind}" for kind in ("seg", "done")],
            "00000001.seg",
            readable_records,
            "",
        ),
        "SQLite, killed: in the WAL": sample([*killed.iterdir()], "queue.db-wal", readable_rows, "queue.db"),
        "SQLite, closed: in the database": sample(database, "queue.db", readable_rows, "queue.db"),
    }
    print(
        f"\n| one flipped bit, {rounds} places | of {RECORDS} unchanged: worst | median | best | changed, unnoticed |"
    )
    print("| --- | --- | --- | --- | --- |")
    for name, results in samples.items():
        worst, median, best = (results[place][0] for place in (0, len(results) // 2, -1))
        unnoticed = sum(changed > 0 for _, changed in results)
        print(f"| {name} | {worst} | {median} | {best} | in {unnoticed} of {rounds} |")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--directory", type=Path, help="where to write; default: the temporary directory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as path:
        measure_append(Path(path), arguments.rounds)
        measure_damage(Path(path), arguments.places)


if __name__ == "__main__":
    main()
