"""What goes over the wire to each platform: method, whole URL, headers, body.

``tests/golden/destinations`` holds it; ``UPDATE_GOLDEN=1`` writes it anew. Secrets are masked.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.destinations.native import form_of
from tests.support.destinations.platforms import KEY, PLATFORMS
from tests.support.exporters import running
from untrace_pipeline import native
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.net.http_portable import PortablePool
from untrace_pipeline.registry import Registry
from untrace_pipeline.testing import make_batch

DIRECTORY = Path(__file__).resolve().parents[4] / "golden/destinations"
MASK = "***"
NOW = 1_700_000_000_000_000_000
"""Unix nanoseconds."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, Mapping[str, str]]]:
    """Take requests from the pool of connections, before they are compressed."""
    sent: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(self: PortablePool, url: str, data: bytes, headers: Mapping[str, str], proxy: str | None) -> Answer:
        sent.append((url, data, {**self._headers, **headers}))
        return Answer(200, "text/plain", b"")

    async def request(self: PortablePool, *_args: object) -> Answer:
        return Answer(200, "application/json", b"{}")

    monkeypatch.setitem(native._made, native.Part.EGRESS, native.Choice("python", "the test says so"))
    monkeypatch.setattr(PortablePool, "post", post)
    monkeypatch.setattr(PortablePool, "request", request)
    return sent


def masked(text: str) -> str:
    """Hide secrets, also those in Basic credentials."""
    scheme, _, encoded = text.partition(" ")
    if scheme == "Basic":
        return f"Basic base64({masked(base64.b64decode(encoded).decode())})"
    return text.replace(KEY, MASK)


def shown(url: str, data: bytes, headers: Mapping[str, str], signal: Signal) -> dict[str, Any]:
    kind = headers["Content-Type"]
    if kind.startswith("multipart/"):
        body: Any = dict(form_of(kind, data))
    else:
        body = json.loads(data if kind == "application/json" else Batch(signal, data).to_json())
    told = {name: masked(value) for name, value in sorted(headers.items()) if name != "User-Agent"}
    return {"request": f"POST {url}", "headers": told, "body": body}


def example_of(signal: Signal) -> Batch:
    if signal is Signal.TRACES:
        return example_trace(bytes(range(16)), NOW)
    return make_batch(signal, 2)


@pytest.mark.parametrize("name", sorted(PLATFORMS))
async def test_requests_are_as_recorded(name: str, wire: list[tuple[str, bytes, Mapping[str, str]]]) -> None:
    """Every signal of every platform, at its real address, in its form."""
    factory = Registry().load(Kind.EXPORTER, name)
    assert isinstance(factory, ExporterFactory)
    found = {}
    async with running(factory, dict(PLATFORMS[name].options), signals=factory.signals) as r:
        r.exporter._preparation._now = lambda: NOW / 1e9  # some take nothing that is old
        for signal in sorted(factory.signals):
            await r.consume(example_of(signal))
            await r.until_idle()
            requests = [shown(*one, signal) for one in wire]
            found[str(signal)] = requests if len(requests) > 1 else requests[0]
            wire.clear()
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    assert KEY not in text
    file = DIRECTORY / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_recording_is_left_over() -> None:
    """Each file belongs to a platform."""
    assert {file.stem for file in DIRECTORY.glob("*.json")} == PLATFORMS.keys()
