"""Proofs of destinations that get log records: those in which an instrumentation sends messages."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from typing import Any

from tests.support.proofs.place import LogPlace, StoredLog
from tests.support.proofs.run import Run
from tests.support.proofs.traffic import Traffic
from untrace_pipeline.data import Batch, Field, Level, Signal

__all__ = ["LogRun", "message_of", "stored_logs"]

_FIELDS = [Field(Level.ITEM, name) for name in ("trace_id", "body", "attributes")]


class LogRun(Run):
    """Sends log records, and asks for each."""

    place: LogPlace

    def whole_traffic(self, traffic: Traffic) -> None:
        """All log records are there once, with their messages and traces."""
        requests = [batch for batch in traffic.requests if batch.signal is Signal.LOGS]
        wanted = Counter(one for batch in requests for one in stored_logs(batch))
        found = Counter[StoredLog]()

        def there() -> bool:
            found.clear()
            found.update(self.place.read())
            return found == wanted

        for batch in requests:
            self.send(batch)
        self.wait_for(there)
        self.row.sent, self.row.arrived = wanted.total(), found.total()
        equal = (found & wanted).total()
        self.row.equal["messages"] = f"{equal}/{wanted.total()}"
        self.row.check(found == wanted, f"{equal} of {wanted.total()} log records are there, {found.total()} in all")


def stored_logs(batch: Batch) -> list[StoredLog]:
    """Return the log records of a batch."""
    columns: Any = batch.columns(_FIELDS)
    return [(trace_id.hex(), message_of(body, attributes)) for trace_id, body, attributes in zip(*columns, strict=True)]


def message_of(body: Any, attributes: Any) -> str:
    """Return what a log record says, in one form for JSON."""
    said = body or attributes.get("gen_ai.input.messages") or attributes.get("gen_ai.output.messages")
    with contextlib.suppress(ValueError):
        said = json.loads(said) if isinstance(said, str) else said
    return json.dumps(said, sort_keys=True)
