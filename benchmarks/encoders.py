"""`python -m benchmarks encoders`: CPU time per item of what exporters to databases make of a request.

One thread, without sockets: decoding, rows, and the body of the request before it is compressed. The least of several
rounds, in CPU time, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

from untrace_pipeline import native
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.bulk.config import BulkConfig
from untrace_plugins.bulk.documents import Documents
from untrace_plugins.bulk.encoding import chunks
from untrace_plugins.exporters.clickhouse.records import Records
from untrace_plugins.exporters.loki_push.config import LokiPushConfig
from untrace_plugins.exporters.loki_push.encoding import encode_json, encode_protobuf
from untrace_plugins.exporters.loki_push.entries import Entries
from untrace_plugins.exporters.prometheus_remote_write.config import RemoteWriteConfig
from untrace_plugins.exporters.prometheus_remote_write.encoding import encode_v1, encode_v2
from untrace_plugins.exporters.prometheus_remote_write.translate import Translator

__all__ = ["measure_encoders"]

ITEMS, ROUNDS = 1000, 9
URL = {"endpoint": "http://localhost:1"}

Encode = Callable[[Batch], object]


def encoders() -> Iterator[tuple[str, Signal, Encode]]:
    """Yield each encoder with a signal that it takes."""
    records, translator = Records(json_columns=False), Translator(RemoteWriteConfig.model_validate(URL))
    entries = Entries(LokiPushConfig.model_validate(URL))
    for signal in Signal:
        for mode in ("otel", "flat"):
            yield f"opensearch, {mode}", signal, _bulk(mode)
        yield "clickhouse", signal, records.of
        if signal is Signal.METRICS:
            yield "remote write 1.0", signal, lambda batch: encode_v1(translator.translate(batch), metadata=False)
            yield "remote write 2.0", signal, lambda batch: encode_v2(translator.translate(batch))
        else:
            yield "loki, json", signal, lambda batch: encode_json(entries.of(batch))
            yield "loki, protobuf", signal, lambda batch: encode_protobuf(entries.of(batch))


def _bulk(mode: str) -> Encode:
    documents = Documents(BulkConfig.model_validate({**URL, "mapping": {"mode": mode}}), time_series=False)
    return lambda batch: list(chunks(documents.of(batch), 10**7))


def measure_encoders(arguments: Sequence[str]) -> int:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m benchmarks encoders", description=__doc__).parse_args(arguments)
    print(f"{native.summary()}; {ITEMS} items per request, least of {ROUNDS} rounds\n")
    print(f"{'encoder':<20} {'signal':<8} {'CPU µs/item':>12}")
    for name, signal, encode in encoders():
        data = make_batch(signal, ITEMS).to_otlp()
        print(f"{name:<20} {signal:<8} {_least(encode, signal, data) * 1e6 / ITEMS:>12.1f}")
    return 0


def _least(encode: Encode, signal: Signal, data: bytes) -> float:
    times = []
    for _ in range(ROUNDS):
        batch = Batch(signal, data)
        begun = time.process_time()
        encode(batch)
        times.append(time.process_time() - begun)
    return min(times)
