"""The cost processor."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import Cost, cost_attributes
from untrace_plugins.genai.pricing import Prices, Request
from untrace_plugins.processors.llm_cost.config import LlmCostConfig, Reported
from untrace_plugins.processors.llm_cost.prices import ConfiguredPrices
from untrace_plugins.processors.llm_cost.reported import reported_costs
from untrace_plugins.processors.llm_cost.speed import add_speed
from untrace_plugins.processors.llm_cost.usage import Status, read_usage

__all__ = ["LlmCost"]

_OPERATION: Final = attribute(names.OPERATION)
_STATUS: Final = attribute(names.COST_STATUS)
_DUPLICATE: Final = attribute(names.DUPLICATE)
_CALL: Final = [
    attribute(names.PROVIDER),
    attribute(names.RESPONSE_MODEL),
    attribute(names.REQUEST_MODEL),
    attribute(names.OPENAI_RESPONSE_SERVICE_TIER),
    attribute(names.OPENAI_REQUEST_SERVICE_TIER),
    attribute("anthropic.response.service_tier"),
    attribute(names.SERVER_ADDRESS),
]
_USAGE: Final = [attribute(name) for name in names.USAGE]
_START: Final = Field(Level.ITEM, "start_time_unix_nano")
_Row: TypeAlias = tuple[Value, ...]
_DONE: Final = frozenset({Status.OK, Status.REPORTED})
"""What another daemon, or an earlier processor, has priced stays as it is."""


class LlmCost:
    """Prices the calls of a batch, column by column. A pure step, but for a price file that is looked at."""

    def __init__(self, config: LlmCostConfig, settings: Settings) -> None:
        self._prices = ConfiguredPrices(config, settings)
        self._reported = config.reported
        self._forms = config.write
        self._derive = config.derive
        self._meter = settings.meter
        self._statuses = {one: settings.meter.counter("processor_llm_cost_spans", status=one.value) for one in Status}
        self._invalid_durations = settings.meter.counter("processor_llm_cost_invalid_durations")

    async def start(self, host: Host) -> None:
        """Load prices. Raises :class:`StartError` for a price file that cannot be used."""
        await asyncio.to_thread(self._prices.load)

    async def shutdown(self) -> None:
        """Nothing is open."""

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch with the costs of its calls; no span is ever dropped."""
        operations = batch.column(_OPERATION)
        rows = [row for row, one in enumerate(operations) if isinstance(one, str) and one in names.LLM_CALLS]
        if rows:
            done, duplicates = batch.columns([_STATUS, _DUPLICATE], Level.ITEM, rows)
            counting = [
                row
                for row, status, duplicate in zip(rows, done, duplicates, strict=True)
                if duplicate is not True and not (isinstance(status, str) and status in _DONE)
            ]
            verdicts = _Verdicts([row for row, duplicate in zip(rows, duplicates, strict=True) if duplicate is True])
            if counting:
                self._judge(batch, counting, verdicts)
                if self._derive:
                    add_speed(batch, counting, self._invalid_durations)
            self._write(batch, verdicts)
        return batch

    def _judge(self, batch: Batch, rows: Sequence[int], verdicts: _Verdicts) -> None:
        """Find the cost of each row, in the order that the option says."""
        left = rows
        if self._reported is Reported.PREFER:
            left = verdicts.take_reported(batch, left)
        left = verdicts.take_priced(batch, left, self._prices.current())
        if self._reported is Reported.FALLBACK:
            verdicts.take_reported(batch, left)

    def _write(self, batch: Batch, verdicts: _Verdicts) -> None:
        statuses = verdicts.statuses
        if statuses:
            batch.set(_STATUS, [status.value for status in statuses.values()], [*statuses])
        columns: dict[str, dict[int, Value]] = defaultdict(dict)
        for row, cost in verdicts.costs.items():
            for form in self._forms:
                for name, value in cost_attributes(cost, form).items():
                    columns[name][row] = value
        for name, column in columns.items():
            batch.set(attribute(name), [*column.values()], [*column])
        for status, count in Counter(statuses.values()).items():
            self._statuses[status].add(count)
        for (provider, model), total in verdicts.totals.items():
            self._meter.counter("processor_llm_cost_usd", provider=provider, model=model).add(total)


class _Verdicts:
    """What is known of the calls of one batch."""

    def __init__(self, duplicates: Iterable[int]) -> None:
        self.statuses: dict[int, Status] = dict.fromkeys(duplicates, Status.DUPLICATE)
        self.costs: dict[int, Cost] = {}
        self.totals: dict[tuple[str, str], float] = defaultdict(float)
        """US dollars by provider and model, under names of which there are only so many."""

    def take_reported(self, batch: Batch, rows: Sequence[int]) -> list[int]:
        """Take the costs that instrumentations reported; returns the rows that have none."""
        if not rows:
            return []
        found = reported_costs(batch, rows)
        for row, cost in zip(rows, found, strict=True):
            if cost is not None:
                self.statuses[row], self.costs[row] = Status.REPORTED, cost
                self.totals["reported", "reported"] += cost.total
        return [row for row, cost in zip(rows, found, strict=True) if cost is None]

    def take_priced(self, batch: Batch, rows: Sequence[int], prices: Prices) -> list[int]:
        """Price what the calls used; returns the rows that have no price."""
        if not rows:
            return []
        calls = zip(*batch.columns(_CALL, Level.ITEM, rows), strict=True)
        counts = zip(*batch.columns(_USAGE, Level.ITEM, rows), strict=True)
        starts = batch.columns([_START], Level.ITEM, rows)[0]
        left = []
        for row, call, used, start in zip(rows, calls, counts, starts, strict=True):
            self.statuses[row] = status = self._price(row, call, used, start, prices)
            if status is not Status.OK:
                left.append(row)
        return left

    def _price(self, row: int, call: _Row, used: _Row, start: Value, prices: Prices) -> Status:
        usage = read_usage(used)
        if isinstance(usage, Status):
            return usage
        request = _request(call)
        if request.response_model is None and request.request_model is None:
            return Status.NO_MODEL
        found = prices.find(request)
        tariff = found.schedule.at(start) if found is not None and isinstance(start, int) else None
        if found is None or tariff is None:
            return Status.UNKNOWN_MODEL
        cost = self.costs[row] = tariff.price(usage)
        self.totals[found.provider, found.model] += cost.total
        return Status.OK


def _request(call: _Row) -> Request:
    provider, answered, asked, tier, wanted_tier, other_tier, server = [
        value if isinstance(value, str) and value else None for value in call
    ]
    return Request(provider, answered, asked, tier or other_tier or wanted_tier, server)
