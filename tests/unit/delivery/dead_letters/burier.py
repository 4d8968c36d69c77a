"""A process that buries letters and says which were accepted, until it is killed: ``burier.py PATH PREFIX``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.dead_letters import DeadLetterStore, Limits
from untrace_pipeline.delivery.storage import DeadLetter
from untrace_pipeline.errors import ConsumeError
from untrace_pipeline.testing import make_batch, make_settings

PAYLOAD = make_batch(Signal.TRACES, 20).to_otlp()


def a_letter(key: str) -> DeadLetter:
    return DeadLetter(
        exporter="otlp_http",
        destination="localhost:4318",
        reason="permanent",
        code="INVALID_ARGUMENT",
        message="no",
        attempts=1,
        failed_at=1.0,
        received_at=0.0,
        signal=Signal.TRACES,
        items=20,
        payload=PAYLOAD,
        key=key,
    )


async def bury(store: DeadLetterStore, prefix: str, number: int) -> None:
    for n in range(number, 1_000_000, 4):
        key = f"{prefix}-{n}"
        try:
            await store.bury([a_letter(key)])
        except ConsumeError as error:
            print(f"refused {type(error).__name__} {error}", flush=True)
            await asyncio.sleep(0.02)
        else:
            print(key, flush=True)


async def main(path: str, prefix: str) -> None:
    store = DeadLetterStore(Path(path), Limits(1 << 30, 0), make_settings(Kind.EXTENSION, "file_storage"))
    await asyncio.gather(*(bury(store, prefix, n) for n in range(4)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
