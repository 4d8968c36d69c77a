"""What a platform refused is replayed to another one, in that one's own form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.support.destinations.background import platform
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement
from tests.support.logs import own_logging
from untrace_pipeline.cli import main
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.config.loader import load
from untrace_pipeline.engine.service import Service

pytestmark = pytest.mark.once


def configuration(directory: Path, langfuse: ContractServer, phoenix: ContractServer) -> Path:
    """Write a configuration of two platforms; letters and the queue of one lie on disk."""
    kept = {"dead_letter_queue": {"storage": "file_storage"}, "sending_queue": {"storage": "file_storage"}}
    exporters = {
        "langfuse": {**PLATFORMS["langfuse"].options, "endpoint": langfuse.url, **kept},
        "phoenix": {**PLATFORMS["phoenix"].options, "endpoint": phoenix.url},
    }
    document = {
        "receivers": {"otlp_json_file": {"include": [str(directory / "in/*.jsonl")], "start_at": "beginning"}},
        "exporters": exporters,
        "extensions": {"file_storage": {"directory": str(directory / "store")}},
        "service": {
            "extensions": ["file_storage"],
            "pipelines": {"traces": {"receivers": ["otlp_json_file"], "exporters": ["langfuse"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    (directory / "store").mkdir()
    (directory / "in").mkdir()
    (directory / "in/traces.jsonl").write_bytes(example_trace().to_json() + b"\n")
    path = directory / "c.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


async def until_refused(path: Path, langfuse: ContractServer) -> None:
    """Run the daemon until the platform has refused what the file holds."""
    service = Service(load([str(path)]), lambda: load([str(path)]))
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(30):
        while not langfuse.refused:
            await asyncio.sleep(0.01)
    service.request_stop("the test")
    assert await running == 0


def test_letters_of_one_platform_go_to_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dead letter holds what the pipeline had, so that Phoenix gets OpenInference, not Langfuse's words."""
    with own_logging(), platform("langfuse", Judgement(403)) as langfuse, platform("phoenix") as phoenix:
        path = configuration(tmp_path, langfuse, phoenix)
        asyncio.run(until_refused(path, langfuse))
        assert main(["replay", "--config", str(path), "--to", "phoenix"]) == 0
        kinds = [span.get("openinference.span.kind") for span in phoenix.spans()]
        assert kinds == ["AGENT", "LLM", "TOOL", "LLM", "LLM"]
        assert not any(key.startswith("langfuse.") for span in phoenix.spans() for key in span)
    assert "1 dead letter (5 items" in capsys.readouterr().out
