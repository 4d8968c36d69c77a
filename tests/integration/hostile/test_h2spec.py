"""Conformance to RFC 9113 and RFC 7541 as h2spec measures it, strict tests included."""

from __future__ import annotations

import asyncio
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration.hostile.harness import receiver
from tests.support.peers import h2spec_binary, peer_or_skip

pytestmark = pytest.mark.peer

RUN_SECONDS = 40.0
TESTS = 146
EARLY = "its GET is answered before the rule is broken, which is legal; "
EXCEPTIONS = {
    "http2/6.9.1/3": EARLY + "test_http2_streams.py: test_window_of_a_stream_overflows",
    "http2/8.1.2.6/1": EARLY + "test_http2_streams.py: test_malformed_request_ends_the_call[length-too-small]",
    "http2/8.1.2.6/2": EARLY + "test_http2_streams.py: test_malformed_request_ends_the_call[length-of-several-frames]",
}
"""What fails, and why it may; by section and number of the test, with our own test of the same rule on a gRPC call."""


def read_results(report: Path) -> dict[str, str]:
    """Return what went wrong in each test, nothing for success, by section and number."""
    results = {}
    for suite in ElementTree.parse(report).iter("testsuite"):
        for number, case in enumerate(suite.iter("testcase"), 1):
            wrong = [f"{part.tag}: {part.text}" for part in case]
            results[f"{suite.get('package')}/{number}"] = "\n".join(
                [str(case.get("classname")), *wrong] if wrong else []
            )
    return results


async def test_receiver_conforms(tmp_path: Path) -> None:
    """All tests of h2spec pass but those that cannot see the rule, and no exception is kept that is none any more."""
    with peer_or_skip():
        binary = h2spec_binary(build=False)
    report = tmp_path / "report.xml"
    async with receiver(grpc={}) as running:
        port = running.grpc_target.rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(
            binary, "-port", port, "-timeout", "2s", "-report", str(report), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(RUN_SECONDS):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await running.still_serves()
    results = read_results(report)
    failures = {name: wrong for name, wrong in results.items() if wrong}
    assert failures.keys() == EXCEPTIONS.keys(), "\n\n".join(f"{name}: {wrong}" for name, wrong in failures.items())
    assert len(results) == TESTS
