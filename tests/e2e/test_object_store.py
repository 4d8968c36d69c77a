"""kill -9 under load before an object store: what was acknowledged is in the store, whole and nearly once."""

from __future__ import annotations

import random
import threading
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.buckets import Bucket, DirectoryBucket, S3Bucket
from tests.support.peers import Daemon, Moto, peer_or_skip
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch

pytestmark = [pytest.mark.e2e, pytest.mark.once]

KILLS = 3
ITEMS = 10
CONSUMERS = 2
ROLL_BYTES = 64 * 1024
SPAN_ID = Field(Level.ITEM, "span_id")


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with peer_or_skip(), Moto() as server:
        yield server


@pytest.fixture(params=["s3", "directory"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "directory":
        return DirectoryBucket(tmp_path / "archive")
    return S3Bucket(request.getfixturevalue("moto").url, f"b{uuid.uuid4().hex[:12]}")


def config(directory: Path, bucket: Bucket) -> dict[str, Any]:
    """Return a config that keeps its queue on disk and rolls objects often."""
    batch = {"sizer": "bytes", "min_size": ROLL_BYTES, "flush_timeout": "50ms"}
    queue = {"storage": "file_storage", "num_consumers": CONSUMERS, "batch": batch}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}},
        "exporters": {
            "object_store": bucket.options | {"compression": "zstd", "format": "otlp_proto", "sending_queue": queue}
        },
        "extensions": {"file_storage": {"directory": str(directory / "storage"), "create_directory": True}},
        "service": {
            "extensions": ["file_storage"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["object_store"]}},
        },
    }


class Load:
    """Sends requests one after the other, each with spans of its own, until the daemon is gone."""

    def __init__(self) -> None:
        self.sent: set[object] = set()
        self.acknowledged: set[object] = set()
        self._seed = 0

    def send_until_refused(self, daemon: Daemon) -> None:
        url = f"http://{daemon.endpoint('HTTP_PORT')}/v1/traces"
        while True:
            self._seed += 1
            batch = make_batch(Signal.TRACES, ITEMS, seed=self._seed)
            ids = set(batch.column(SPAN_ID))
            self.sent |= ids
            request = urllib.request.Request(url, batch.to_otlp(), {"Content-Type": "application/x-protobuf"})
            try:
                with urllib.request.urlopen(request, timeout=20):
                    self.acknowledged |= ids
            except OSError:
                return


def stored(bucket: Bucket) -> Counter[object]:
    """Count the spans in all objects, each of which must be whole."""
    import zstandard  # noqa: PLC0415

    found: Counter[object] = Counter()
    for key in bucket.keys():  # noqa: SIM118
        if not Path(key).name.startswith("."):  # what a directory was given last may be in the making
            data = zstandard.ZstdDecompressor().decompress(bucket.read(key))
            found.update(Batch(Signal.TRACES, data).column(SPAN_ID))
    return found


def test_killed_daemon_loses_nothing(tmp_path: Path, bucket: Bucket) -> None:
    """Whenever it is killed, every acknowledged span is there, none is invented, few are there twice."""
    rng = random.Random(7)
    load = Load()
    daemon = Daemon(config(tmp_path, bucket), directory=tmp_path / "daemon")
    for _ in range(KILLS):
        daemon.start()
        sender = threading.Thread(target=load.send_until_refused, args=(daemon,))
        sender.start()
        enough = len(load.acknowledged) + rng.randrange(20, 80) * ITEMS
        wait_until(lambda: len(load.acknowledged) >= enough, daemon)  # noqa: B023
        daemon.kill()
        sender.join()
    with daemon:
        wait_until(lambda: load.acknowledged <= set(stored(bucket)), daemon)
    found = stored(bucket)
    assert not load.acknowledged - set(found)
    assert not set(found) - load.sent
    most = KILLS * (CONSUMERS + 1) * (ROLL_BYTES // (make_batch(Signal.TRACES, ITEMS).byte_size // ITEMS) + ITEMS)
    assert sum(found.values()) - len(found) <= most
