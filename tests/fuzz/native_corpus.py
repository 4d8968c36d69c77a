"""Write the corpus of the Rust fuzzers: ``python tests/fuzz/native_corpus.py native/fuzz/corpus``.

An input is a byte that chooses the signal, a byte that the random choices of the target begin with, and a request.
"""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import zstandard

from tests.support.decoder_target import ODD_METRICS, ODD_PROTOBUF
from tests.support.otlp_oddities import oddly_encoded, with_unknown_fields
from untrace_pipeline.data import Batch, Signal, Value
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.testing.generate import make_request

SIGNALS = (Signal.TRACES, Signal.METRICS, Signal.LOGS)  # in the order of the target
METRIC_TYPES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def inputs() -> dict[str, list[bytes]]:
    """Return the inputs of each target."""
    rng = random.Random(1)
    protobuf: list[bytes] = [bytes([0, 0]) + body for body in ODD_PROTOBUF]
    protobuf += [bytes([1, 0]) + body for body in ODD_METRICS]
    texts: list[bytes] = []
    for number, signal in enumerate(SIGNALS):
        attributes: dict[str, Value] = {
            "a": [1, {"b": b"x"}, None, 1.5, True],
            "service.name": "x@y.example 123-45-6789",
        }
        for items in (1, 4):
            data = make_request(signal, items, resources=2, attributes=attributes).SerializeToString()
            descriptor = REQUESTS[signal].DESCRIPTOR
            odd = [oddly_encoded(descriptor, data, rng, 0.02) for _ in range(5)]
            bodies = [data, with_unknown_fields(descriptor, data, rng), *odd]
            protobuf += [bytes([number, seed]) + body for seed, body in enumerate(bodies)]
            texts.append(bytes([number, 0]) + Batch(signal, data).to_json())
    words = [
        b"\0\0a@b.example",
        b"\0\x01 123-45-6789 sk-abcdef xxx",
        b"\0\x02[a-z]{2,}\\b|x+?",
        "\0\0ключ a@b.co".encode(),
    ]
    heads = b"POST /v1/traces?a=b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\nhello"
    chunks = b"5;a=b\r\nhello\r\n0\r\ntrailer: x\r\n\r\n"
    block = (
        b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\x40\x02te\x08trailers\xfe\xbe\x3f\x11"
    )
    packed = [gzip.compress(chunks), zlib.compress(chunks), zstandard.compress(chunks)]
    wire = [heads, heads, chunks, block, block[5:], *packed]
    ingress = [bytes([number]) + body for number, body in enumerate(wire)]
    return {"ingress": ingress, "codec": protobuf, "json": texts + protobuf[:40], "search": words + protobuf}


def main() -> None:
    """Write a folder per target."""
    for target, bodies in inputs().items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, body in enumerate(bodies):
            (folder / f"seed-{number:03}").write_bytes(body)


if __name__ == "__main__":
    main()
