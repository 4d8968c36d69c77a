"""Faults on demand: named in a header, in the model, or in a script that the next requests follow.

A name may carry a number: `status_429`, `slow_20` (milliseconds between pieces), `huge_50` (MB), `pieces_7` (bytes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.llm_upstream.ask import Ask, Recorded

__all__ = ["FAULTS", "FAULT_HEADER", "NO_FAULT", "Fault", "fault_of"]

FAULT_HEADER = "x-upstream-fault"
FAULTS: Mapping[str, str] = {
    "status": "answers with this status and an error in the provider's words; 429 and 503 say when to come back",
    "quotes": "refuses with 403 and quotes the key in a sentence of its own",
    "hang": "takes the request and never answers",
    "hang_mid": "sends half of the answer and then nothing",
    "reset": "resets the connection instead of answering",
    "close": "closes the connection instead of answering",
    "reset_mid": "resets the connection after half of the answer",
    "close_mid": "closes the connection after half of the answer, as if it were all",
    "slow": "waits so many milliseconds before each piece",
    "late_end": "waits so many milliseconds before it says that a stream has ended, after its last event",
    "first": "waits so many milliseconds before the first piece of the body",
    "invalid_json": "sends a body, or events, that are no JSON",
    "html": "sends a web page with status 502, as a gateway does",
    "huge": "sends an answer of so many MB",
    "gzip": "compresses",
    "zstd": "compresses",
    "deflate": "compresses",
    "long_length": "announces more bytes than it sends, and closes",
    "short_length": "announces fewer bytes than it sends, and closes",
    "no_length": "announces no length: the end of the connection is the end of the body",
    "pieces": "sends so many bytes at a time, wherever that cuts",
    "crlf": "ends the lines of events with CR LF, with a comment between",
    "stream_error": "ends a stream that began well with an error in it",
    "no_done": "leaves out the last event of a stream",
    "garbage": "answers something that is no HTTP",
    "big_header": "answers with a header of 12 KB",
    "empty": "answers 200 without a body",
}
_NUMBERED = re.compile(r"^([a-z_]+?)(?:_(\d+))?$")
_DEFAULTS = {"status": 500, "slow": 20, "first": 50, "late_end": 300, "huge": 50, "pieces": 7}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong; `name` is empty when nothing does."""

    name: str = ""
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `status_429` and the like. Raises `ValueError` for a fault that does not exist."""
        found = _NUMBERED.match(text)
        if not found or found[1] not in FAULTS:
            raise ValueError(f"no such fault: {text}; there are {', '.join(FAULTS)}")
        return cls(found[1], int(found[2]) if found[2] else _DEFAULTS.get(found[1], 0))


NO_FAULT = Fault()


def fault_of(request: Recorded, ask: Ask) -> Fault:
    """Return what the request itself asks for: by its header, or by a model called `fault-<name>`."""
    if named := request.header(FAULT_HEADER):
        return Fault.parse(named)
    if ask.model.startswith("fault-"):
        return Fault.parse(ask.model.removeprefix("fault-").replace("-", "_"))
    return NO_FAULT
