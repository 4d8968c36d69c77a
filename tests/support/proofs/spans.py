"""Proofs of destinations that get spans."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.support.destinations.fields import FIELDS, fields_of, reads_field
from tests.support.llm_calls import SpanView
from tests.support.proofs.gate import Gate
from tests.support.proofs.place import SpanPlace, Stored, stored
from tests.support.proofs.run import Run
from tests.support.proofs.traffic import LARGE, LIMIT_BYTES, Traffic, duplicates, large_spans
from untrace_pipeline.delivery.truncate import MARK

__all__ = ["SpanRun"]

_GROUPS: Mapping[str, Sequence[str]] = {
    "model": ["model"],
    "messages": ["input", "output", "tools"],
    "tokens": ["input tokens", "output tokens"],
    "cost": ["cost"],
    "session": ["session", "user"],
    "error": ["error"],
}
"""Columns of the table, and the fields of calls in them."""


class SpanRun(Run):
    """Sends traces, and large spans."""

    place: SpanPlace

    def whole_traffic(self, traffic: Traffic) -> None:
        """Everything that the destination takes arrives, once, and calls are read back as they were."""
        taken = {key for key, span in traffic.spans.items() if self.place.takes(span)}
        for batch in traffic.requests:
            self.send(batch)
        self.row.sent = len(traffic.spans)
        found = self._wait_for(taken)
        self.row.arrived = len({key for key, _ in found})
        self.row.check({key for key, _ in found} == taken, f"{self.row.arrived} of {len(taken)} spans are there")
        self.row.check(not (twice := duplicates(key for key, _ in found)), f"{twice} spans are there twice")
        calls = {key: span for key, span in traffic.calls.items() if key in taken}
        self._compare(calls, dict(found))
        self.row.wrong += self.place.misread(traffic)

    def _compare(self, calls: Mapping[str, SpanView], found: Mapping[str, SpanView]) -> None:
        have, equal, cut = Counter[str](), Counter[str](), Counter[str]()
        for key, call in calls.items():
            for name, value in fields_of(call).items():
                have[name] += 1
                same = key in found and reads_field(self.place.reads, name, found[key], value)
                equal[name] += same
                cut[name] += not same and key in found and self._is_cut(name, found[key])
        for column, names in _GROUPS.items():
            there, short, wanted = (sum(count[name] for name in names) for count in (equal, cut, have))
            self.row.equal[column] = f"{there}/{wanted}" + (f" ({short} cut)" if short else "")
        for name in FIELDS:
            told = f"{name}: equal in {equal[name]} of {have[name]} calls, {cut[name]} cut"
            self.row.check(equal[name] + cut[name] == have[name], told)

    def _is_cut(self, name: str, span: SpanView) -> bool:
        """Return whether a field is in a value that was cut to the platform's limit, and marked."""
        pattern = self.place.reads.get("output" if name == "tools" else name, "")
        marked = span.attributes.get(MARK)
        return isinstance(marked, list) and any(re.fullmatch(pattern, str(one)) for one in marked)

    def large_requests(self, gate: Gate) -> None:
        """Requests that are too large are cut until they fit; a span that never fits is given up, and counted."""
        if not self.place.splits:
            return
        before = len(gate.statuses)
        gate.limit_bytes = LIMIT_BYTES
        batch, too_large = large_spans()
        ids = {key for key, _ in stored(batch)}
        self.send(batch)
        found = {key for key, _ in self._wait_for(ids - {too_large})}
        self.row.check(ids - found == {too_large}, f"large: {len(ids & found)} of {LARGE} spans are there")
        self.wait_for(lambda: bool(self.ledger()["dropped"]))
        answers = [status for status, _ in gate.statuses[before:]]
        refused, accepted = answers.count(413), sum(200 <= status < 300 for status in answers)
        if self.row.check(refused > 0 and accepted > 1, f"large: answers {Counter(answers)}"):
            self.row.too_large = f"{refused} refused, then {accepted} pieces; 1 span too large"

    def _wait_for(self, ids: set[str]) -> list[Stored]:
        """Return what the destination has, as soon as it has these, or after a time."""
        found: list[Stored] = []

        def there() -> bool:
            found[:] = self.place.read()
            return ids <= {key for key, _ in found}

        self.wait_for(there)
        return found
