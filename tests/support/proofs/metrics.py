"""Proofs of destinations that get metrics: those that the daemon makes of LLM calls."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.proofs.place import TOTALS, MetricPlace
from tests.support.proofs.run import Run
from tests.support.proofs.traffic import Traffic
from untrace_plugins.genai import names

__all__ = ["MetricRun"]

_COLUMNS = {"tokens": ("input", "output"), "cost": ("cost",), "error": ("errors",)}


class MetricRun(Run):
    """Sends traces, and asks for sums."""

    place: MetricPlace

    def whole_traffic(self, traffic: Traffic) -> None:
        """The destination's sums are those of the calls that were sent."""
        wanted = _totals(traffic)
        found: dict[str, float] = {}

        def there() -> bool:
            found.clear()
            found.update(self.place.read())
            return all(_close(found, wanted, name) for name in TOTALS)

        for batch in traffic.requests:
            self.send(batch)
        self.wait_for(there)
        self.row.sent, self.row.arrived = int(wanted["requests"]), int(found.get("requests", 0))
        for column, parts in _COLUMNS.items():
            self.row.equal[column] = f"{sum(_close(found, wanted, part) for part in parts)}/{len(parts)}"
        for name in TOTALS:
            self.row.check(_close(found, wanted, name), f"{name}: {found.get(name)} instead of {wanted[name]}")


def _close(found: Mapping[str, float], wanted: Mapping[str, float], name: str) -> bool:
    return name in found and abs(found[name] - wanted[name]) <= 1e-9 * wanted[name]


def _totals(traffic: Traffic) -> dict[str, float]:
    calls = [call for call in traffic.calls.values() if names.DUPLICATE not in call.attributes]

    def sum_of(attribute: str) -> float:
        values = [call.attributes.get(attribute) for call in calls]
        return sum(value for value in values if isinstance(value, int | float))

    return {
        "requests": len(calls),
        "errors": sum(call.failed for call in calls),
        "input": sum_of(names.USAGE_INPUT),
        "output": sum_of(names.USAGE_OUTPUT),
        "cost": sum_of(names.USAGE_COST),
    }
