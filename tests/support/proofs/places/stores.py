"""Object stores, streams and files: what is there is OTLP, or Parquet."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.buckets import AzureBucket, Bucket, DirectoryBucket, GcsBucket, S3Bucket
from tests.support.kinesis import Stream
from tests.support.peers import Azurite, FakeGcs, Moto, PeerServer
from tests.support.proofs.place import SpanPlace, Stored, stored
from tests.support.proofs.places.served import ServedPlace, from_json
from tests.support.proofs.versions import pinned
from untrace_pipeline.data import Batch, Signal

__all__ = ["BucketPlace", "DirectoryPlace", "FilePlace", "KinesisPlace"]

BUCKET = "proofs"
_STORES: dict[str, tuple[type[PeerServer], Callable[[str, str], Bucket], str]] = {
    "s3": (Moto, S3Bucket, "moto"),
    "gcs": (FakeGcs, GcsBucket, "fake-gcs-server"),
    "azure": (Azurite, AzureBucket, "azurite"),
}
_PINS = {
    "moto": ("moto", "moto"),
    "fake-gcs-server": ("fake_gcs", "fake-gcs-server"),
    "azurite": ("azurite", "azurite"),
}


class BucketPlace(ServedPlace[PeerServer], SpanPlace):
    """A bucket of one of the clouds."""

    exporter: str = "object_store"
    exports: str = f"/{BUCKET}/"
    splits: bool = False

    def __init__(self, store: str) -> None:
        server, self._bucket_type, self._program = _STORES[store]
        super().__init__(server())
        self.name = f"object_store ({store})"
        if store == "gcs":
            self.exports = rf"/upload/storage/v1/b/{BUCKET}/o"

    @property
    def peer(self) -> str:
        return f"{self._program} {pinned(*_PINS[self._program])}"

    def options(self, url: str) -> dict[str, Any]:
        text = json.dumps(self._bucket.options).replace(self.server.url, url)
        return {**json.loads(text), "compression": "gzip", "sending_queue": {"batch": {"flush_timeout": "200ms"}}}

    def read(self) -> list[Stored]:
        return [span for key in self._bucket.keys() for span in _spans(self._bucket.read(key))]  # noqa: SIM118

    def __enter__(self) -> Self:
        super().__enter__()
        self._bucket = self._bucket_type(self.server.url, BUCKET)
        return self


class _LocalPlace(SpanPlace):
    """A directory."""

    splits: bool = False

    @property
    def peer(self) -> str:
        return "this file system"

    @property
    def url(self) -> str:
        return ""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="proof-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class DirectoryPlace(_LocalPlace):
    """Objects in a directory."""

    name: str = "object_store (directory)"
    exporter: str = "object_store"

    def options(self, url: str) -> dict[str, Any]:
        bucket = DirectoryBucket(self._directory)
        return {**bucket.options, "compression": "gzip", "sending_queue": {"batch": {"flush_timeout": "200ms"}}}

    def read(self) -> list[Stored]:
        bucket = DirectoryBucket(self._directory)
        return [span for key in bucket.keys() if key.endswith(".gz") for span in _spans(bucket.read(key))]  # noqa: SIM118


class FilePlace(_LocalPlace):
    """Lines of OTLP JSON."""

    name: str = "file"

    def options(self, url: str) -> dict[str, Any]:
        return {"path": str(self._directory / "spans.jsonl")}

    def read(self) -> list[Stored]:
        path = self._directory / "spans.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return list(from_json(json.loads(line) for line in lines if line.endswith("\n")))


class KinesisPlace(ServedPlace[Moto], SpanPlace):
    """A stream."""

    name: str = "kinesis"
    exports: str = "^/$"
    splits: bool = False

    def __init__(self) -> None:
        super().__init__(Moto())

    @property
    def peer(self) -> str:
        return f"moto {pinned('moto', 'moto')}"

    def options(self, url: str) -> dict[str, Any]:
        aws = {**self._stream.options["aws"], "kinesis_endpoint": url}
        return {**self._stream.options, "aws": aws}

    def read(self) -> list[Stored]:
        rows = [data for shard in self._stream.records().values() for _, data in shard]
        return [span for data in rows for span in stored(Batch(Signal.TRACES, data))]

    def __enter__(self) -> Self:
        super().__enter__()
        self._stream = Stream(self.server.url, "proofs")
        return self


def _spans(data: bytes) -> list[Stored]:
    return list(from_json(json.loads(line) for line in gzip.decompress(data).splitlines()))
