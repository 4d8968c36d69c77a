"""What released instrumentations really sent, with the truth beside it: `tests/captures`."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from untrace_pipeline.data import Batch, Signal

ARCHIVE = Path(__file__).resolve().parents[1] / "captures" / "captures.tar.gz"

_SIGNALS = {"traces": Signal.TRACES, "logs": Signal.LOGS, "metrics": Signal.METRICS}


@dataclass(frozen=True)
class Capture:
    """One folder: the bodies in order of arrival by file name, and ``expect.json``."""

    name: str
    bodies: dict[str, bytes]
    expect: dict[str, Any]

    def otlp(self, *signals: Signal) -> Iterator[tuple[str, Batch]]:
        """Yield name and batch of each OTLP request of these signals (default: all), in order of arrival."""
        for name, body in self.bodies.items():
            signal = _SIGNALS.get(name.partition("-")[2].partition(".")[0])
            if signal is None or (signals and signal not in signals):
                continue
            plain = gzip.decompress(body) if name.endswith(".gz") else body
            if name.removesuffix(".gz").endswith(".json"):
                yield name, Batch.from_json(signal, plain)
            else:
                yield name, Batch(signal, plain)


@cache
def captures() -> dict[str, Capture]:
    """Return all captures by the name of their folder. Do not change what they hold."""
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in sorted(archive, key=lambda member: member.name):
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                folder, _, name = member.name.removeprefix("./").partition("/")
                found.setdefault(folder, {})[name] = file.read()
    return {
        folder: Capture(folder, {name: body for name, body in files.items() if name[0].isdigit()}, _truth(files))
        for folder, files in found.items()
    }


def _truth(files: dict[str, bytes]) -> dict[str, Any]:
    expect: dict[str, Any] = json.loads(files["expect.json"])
    return expect
