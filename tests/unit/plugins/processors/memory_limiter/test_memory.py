"""Measuring and reclaiming memory."""

import subprocess
import sys

import pytest

from untrace_plugins.processors.memory_limiter.memory import ProcessMemory

MIB = 1024 * 1024

CHILD = """
import asyncio, logging
from untrace_pipeline.api import Kind
from untrace_pipeline.errors import RetryableError
from untrace_pipeline.testing import Sink, StubHost, make_settings
from untrace_plugins.processors.memory_limiter.config import MemoryLimiterConfig
from untrace_plugins.processors.memory_limiter.memory import ProcessMemory
from untrace_plugins.processors.memory_limiter.processor import MemoryLimiter

def refuses(limiter):
    try:
        limiter.admit(1000)
    except RetryableError:
        return True
    return False

async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)

async def main():
    limit = ProcessMemory().resident() // 2**20 + 100
    config = MemoryLimiterConfig(limit_mib=limit, spike_limit_mib=20, check_interval="20ms")
    limiter = MemoryLimiter(config, make_settings(Kind.PROCESSOR, "memory_limiter"), Sink())
    await limiter.start(StubHost())
    for size in (1_000, 60_000, 3_000_000):
        held = [bytes([n % 251 + 1]) * size for n in range(200_000_000 // size)]
        await until(lambda: refuses(limiter))
        held = held[::500]
        await until(lambda: not refuses(limiter))
        del held
    await limiter.shutdown()
    print("recovered")

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")
def test_a_process_that_frees_its_memory_is_accepted_again() -> None:
    """After small, middle and large blocks were freed, some kept in between, real memory falls below the limit."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "recovered\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")
def test_resident_memory_is_that_of_the_process() -> None:
    """Touched memory shows."""
    memory = ProcessMemory()
    before = memory.resident()
    block = b"x" * (64 * MIB)
    assert memory.resident() - before > 60 * MIB
    del block
    memory.trim()
    assert memory.resident() - before < 10 * MIB
