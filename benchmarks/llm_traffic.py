"""Calls of an LLM API as bytes, and the Go program that plays client and provider with them."""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.support.llm_upstream import Recorded, ask_of, reply_to, truth_of
from tests.support.llm_upstream.faults import NO_FAULT
from tests.support.peers import build_go_program

__all__ = ["MODEL", "Provider", "Traffic", "llmload_binary", "send"]

RECIPE = Path(__file__).parent / "llmload"
OVERRIDE = "UNTRACE_LLMLOAD"
MODEL = "gpt-4o-mini"
PATH = "/v1/chat/completions"
EVENT_PAUSE = "1ms"
"""Between the events of a stream: a fast model's, so that many streams are measured in little time."""
_HISTORY = 4
_PARAGRAPH = (
    "My parcel left the depot on Tuesday and the page has said the same since then. The sender tells me that it was "
    "handed over with all papers, and the number is on the receipt that I have in front of me. What can I do now? "
)
Kind = Literal["plain", "stream"]


@dataclass(frozen=True)
class Traffic:
    """Files with the bodies: two requests of 2 KB, an answer, and a stream of the same answer."""

    directory: Path

    def request(self, kind: Kind) -> Path:
        """The body of a request."""
        return self.directory / f"{kind}.request.json"

    @property
    def marker(self) -> str:
        """What stands in every answer."""
        return "parcel"

    def write(self) -> None:
        """Write all of them: what the stand-in for OpenAI answers, as it is."""
        for kind in ("plain", "stream"):
            body = _request(stream=kind == "stream")
            self.request(kind).write_bytes(body)
            recorded = Recorded("POST", PATH, (), body, 0)
            reply = reply_to(recorded, ask_of(recorded), NO_FAULT)
            framed = b"".join(struct.pack(">I", len(piece)) + piece for piece in reply.pieces)
            (self.directory / f"{kind}.answer").write_bytes(framed if kind == "stream" else reply.body)

    def describe(self) -> str:
        """Say what it is."""
        body = self.request("plain").read_bytes()
        answer = (self.directory / "plain.answer").stat().st_size
        recorded = Recorded("POST", PATH, (), self.request("stream").read_bytes(), 0)
        events = len(reply_to(recorded, ask_of(recorded), NO_FAULT).pieces)
        words = len(truth_of(ask_of(recorded)).text.split())
        return (
            f"requests of {len(body):,} bytes, answers of {answer:,} bytes or of {words} words in {events} events, "
            f"{EVENT_PAUSE} apart"
        )


def _request(*, stream: bool) -> bytes:
    turns = [{"role": ("user", "assistant")[number % 2], "content": _PARAGRAPH * 2} for number in range(_HISTORY)]
    messages = [{"role": "system", "content": "You are a clerk of the post."}, *turns]
    body: dict[str, Any] = {"model": MODEL, "messages": messages, "temperature": 0.2, "max_tokens": 500}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body).encode()


def llmload_binary() -> Path:
    """Answer the program, built if need be. Raises `PeerUnavailable`."""
    return build_go_program("llmload", RECIPE, OVERRIDE)


class Provider:
    """The provider as a process: answers at once, and streams at the pace of :data:`EVENT_PAUSE`."""

    def __init__(self, traffic: Traffic) -> None:
        self.address = ""
        self._traffic = traffic

    def __enter__(self) -> Self:
        directory = self._traffic.directory
        command = [str(llmload_binary()), "serve", "-pause", EVENT_PAUSE]
        command += ["-answer", str(directory / "plain.answer"), "-stream", str(directory / "stream.answer")]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()


def send(
    traffic: Traffic, kind: Kind, target: str, *, clients: int, seconds: float = 0.0, requests: int = 0
) -> dict[str, Any]:
    """Send requests for so long, or so many, and answer the client's report. Raises `ValueError` if any failed."""
    command = [str(llmload_binary()), "load", "-target", target, "-path", PATH, "-marker", traffic.marker]
    command += ["-body", str(traffic.request(kind)), "-clients", str(clients)]
    command += ["-duration", f"{seconds}s", "-requests", str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 1800, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    if report["failed"]:
        msg = f"{report['failed']} of {report['failed'] + report['requests']} calls failed: {report['why']}"
        raise ValueError(msg)
    return report
