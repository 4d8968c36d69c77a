"""What released instrumentations sent, as platforms with an API of their own get it.

``tests/golden/encoders`` holds it, a file per encoder and capture; ``UPDATE_GOLDEN=1`` writes it anew. Long texts
are cut.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.destinations.fields import canonical
from tests.support.destinations.native import records
from tests.support.destinations.platforms import PLATFORMS
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Request
from untrace_pipeline.registry import Registry
from untrace_plugins.exporters.platform.encoders import make_encoder
from untrace_plugins.exporters.platform.preparation import Preparation

DIRECTORY = Path(__file__).resolve().parents[5] / "golden/encoders"
ENCODERS = ("datadog_llm_observability", "helicone", "langsmith_runs")
CAPTURES = (
    "anthropic-sdk-2.11.0",
    "langfuse-5.0.4",
    "openinference-langchain-0.1.80",
    "openllmetry-openai-0.62.4",
    "otel-genai-openai-1.3b0",
)
LONGEST = 120
"""Characters of a text."""


def short(value: Any) -> Any:
    """Return JSON whose long texts are cut: a golden file is read by people."""
    if isinstance(value, dict):
        return {key: short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [short(one) for one in value]
    long = isinstance(value, str) and len(value) > LONGEST
    return f"{value[:LONGEST]}… {len(value)}" if long else value


async def kept(platform: str, capture: str) -> list[Any]:
    """Return the records that a platform keeps of a capture."""
    config: Any = Registry().load(Kind.EXPORTER, platform).config.model_validate(dict(PLATFORMS[platform].options))
    reads = PLATFORMS[platform].rules.reads
    assert reads is not None
    encoder = make_encoder(config)
    preparation = Preparation(config, None, encoder, lambda: 0.0)
    found: list[Any] = []
    for batch in await canonical(capture):
        for request in (await preparation(Request(batch, batch.item_count))).requests:
            body = encoder.encode(request.batch)
            batches = reads(body.path, {"content-type": body.content_type}, body.data)
            assert isinstance(batches, Batch), batches
            found += records([batches])
    return found


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("platform", ENCODERS)
async def test_records_are_as_recorded(platform: str, capture: str) -> None:
    """Every call of a capture, with all that the platform gets of it."""
    lines = [json.dumps(short(one), ensure_ascii=False, sort_keys=True) for one in await kept(platform, capture)]
    text = "\n".join(lines) + "\n"
    file = DIRECTORY / platform / f"{capture}.jsonl"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_recording_is_left_over() -> None:
    """Each file belongs to an encoder and a capture."""
    files = {(file.parent.name, file.stem) for file in DIRECTORY.glob("*/*.jsonl")}
    assert files == {(platform, capture) for platform in ENCODERS for capture in CAPTURES}
