"""The ``untrace`` receiver against its own OpenAPI document, as a property-based fuzzer reads it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.peers import peer_or_skip, schemathesis_command
from tests.unit.plugins.receivers.untrace.client import running

pytestmark = [pytest.mark.once, pytest.mark.peer, pytest.mark.timeout(300)]

KEY = "tr_live_fuzz"
STRICT = ("--checks=all", "--include-path=/v1/traces", "--include-path=/health")
LENIENT = (
    "--checks=all",
    "--exclude-checks=negative_data_rejection",
    "--exclude-path=/v1/traces",
    "--exclude-path=/health",
)
"""A batch with wrong traces is taken, and the answer names them; OTLP/JSON takes more than SDKs write: names of enums,
null for what is absent."""


@pytest.fixture(scope="module")
def fuzzer() -> list[str]:
    """Return its command, or skip with the reason."""
    with peer_or_skip():
        return schemathesis_command()


@pytest.mark.parametrize("checks", [STRICT, LENIENT], ids=["strict", "lenient"])
async def test_answers_are_those_of_the_document(fuzzer: list[str], tmp_path: Path, checks: tuple[str, ...]) -> None:
    """What the document allows is taken, what it forbids refused, and each answer is one that it describes: no 5xx."""
    async with running(keys=[{"key": KEY}]) as client:
        process = await asyncio.create_subprocess_exec(
            *(*fuzzer, "run", f"http://{client.here.receiver.endpoint}/openapi.json", *checks),
            *("--phases=examples,coverage,fuzzing", "--max-examples=15", "--seed=1", "--no-color"),
            *("-H", f"X-Untrace-Key: {KEY}", "-H", f"Authorization: Bearer {KEY}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        report, _ = await process.communicate()
        taken = client.sink.item_count
    assert process.returncode == 0, report.decode()[-20_000:]
    assert taken > 50
