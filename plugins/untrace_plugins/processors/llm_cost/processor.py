"""The cost processor."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress
from typing import Final, TypeAlias

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import Cost, cost_columns
from untrace_plugins.genai.pricing import Found, Prices, Request
from untrace_plugins.processors.llm_cost.config import LlmCostConfig, Reported
from untrace_plugins.processors.llm_cost.prices import ConfiguredPrices
from untrace_plugins.processors.llm_cost.reported import reported_costs
from untrace_plugins.processors.llm_cost.speed import Paces, add_speed
from untrace_plugins.processors.llm_cost.usage import Status, read_usage

__all__ = ["LlmCost"]

CHECK_SECONDS: Final = 1.0
"""How often the price file is looked at."""
_OPERATION: Final = attribute(names.OPERATION)
_STATUS: Final = attribute(names.COST_STATUS)
_STATE: Final = [
    _STATUS,
    attribute(names.DUPLICATE),
    Field(Level.ITEM, "start_time_unix_nano"),
    Field(Level.ITEM, "end_time_unix_nano"),
    attribute(names.RESPONSE_TIME_TO_FIRST_CHUNK),
]
_CALL: Final = [
    attribute(names.PROVIDER),
    attribute(names.RESPONSE_MODEL),
    attribute(names.REQUEST_MODEL),
    attribute(names.OPENAI_RESPONSE_SERVICE_TIER),
    attribute("anthropic.response.service_tier"),
    attribute(names.OPENAI_REQUEST_SERVICE_TIER),
    attribute(names.SERVER_ADDRESS),
]
_USAGE: Final = [attribute(name) for name in names.USAGE]
_Row: TypeAlias = tuple[Value, ...]
_OK: Final = Status.OK.value
_DONE: Final = frozenset({_OK, Status.REPORTED.value})
"""What another daemon, or an earlier processor, has priced stays as it is."""


class LlmCost:
    """Prices the calls of a batch, column by column. A pure step; a price file is looked at by a task beside it."""

    def __init__(self, config: LlmCostConfig, settings: Settings) -> None:
        self._prices = ConfiguredPrices(config, settings)
        self._watch: asyncio.Task[None] | None = None
        self._reported = config.reported
        self._forms = config.write
        self._derive = config.derive
        self._meter = settings.meter
        statuses = [status.value for status in Status]
        self._statuses = {one: settings.meter.counter("processor_llm_cost_spans", status=one) for one in statuses}
        self._invalid_durations = settings.meter.counter("processor_llm_cost_invalid_durations")

    async def start(self, host: Host) -> None:
        """Load prices, and watch the file. Raises :class:`StartError` for a price file that cannot be used."""
        await asyncio.to_thread(self._prices.load)
        if self._prices.watched:
            self._watch = host.spawn(self._keep_up(), name="price file")

    async def shutdown(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
            self._watch = None

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            book = await asyncio.to_thread(self._prices.changed)
            if book is not None:
                self._prices.use(book)

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch with the costs of its calls; no span is ever dropped."""
        operations = batch.column(_OPERATION)
        rows = [row for row, one in enumerate(operations) if isinstance(one, str) and one in names.LLM_CALLS]
        if rows:
            calls = _Calls(batch, rows)
            self._judge(batch, calls)
            if self._derive and calls.rows:
                add_speed(batch, calls.rows, calls.paces, self._invalid_durations)
            self._write(batch, calls)
        return batch

    def _judge(self, batch: Batch, calls: _Calls) -> None:
        """Find the cost of each call, in the order that the option says."""
        if self._reported is Reported.PREFER:
            calls.take_reported(batch, calls.rows)
        calls.take_priced(self._prices.current())
        if self._reported is Reported.FALLBACK:
            calls.take_reported(batch, [row for row in calls.rows if row not in calls.costs])

    def _write(self, batch: Batch, calls: _Calls) -> None:
        statuses, costs = calls.statuses, calls.costs
        if statuses:
            batch.set(_STATUS, [*statuses.values()], [*statuses])
        rows, amounts = [*costs], [*costs.values()]
        for form in self._forms if rows else ():
            for name, column in cost_columns(amounts, form).items():
                if column.count(None) < len(column):
                    batch.set(attribute(name), column, rows)
        for status, count in Counter(statuses.values()).items():
            self._statuses[status].add(count)
        for (provider, model), total in calls.totals.items():
            self._meter.counter("processor_llm_cost_usd", provider=provider, model=model).add(total)


class _Calls:
    """The calls of one batch: those that are to be priced, side by side, and what is known of all of them, by row."""

    def __init__(self, batch: Batch, rows: Sequence[int]) -> None:
        self.statuses: dict[int, str] = {}
        self.costs: dict[int, Cost] = {}
        self.totals: dict[tuple[str, str], float] = defaultdict(float)
        """US dollars by provider and model, under names of which there are only so many."""
        self.rows = rows
        columns = batch.columns([*_STATE, *_CALL, *_USAGE], Level.ITEM, rows)
        if columns[0].count(None) < len(rows) or columns[1].count(None) < len(rows):
            columns = self._without_done(columns)
        _, _, starts, ends, firsts = columns[:5]
        self._whom = list(zip(*columns[5:12], strict=True))
        self._used = list(zip(*columns[12:], strict=True))
        self._starts = starts
        self.paces: Paces = (starts, ends, columns[13], firsts)  # type: ignore[assignment]  # times are integers

    def _without_done(self, columns: list[list[Value]]) -> list[list[Value]]:
        """Mark duplicates, and leave them out with what has its cost already."""
        done = [isinstance(one, str) and one in _DONE for one in columns[0]]
        duplicate = [one is True for one in columns[1]]
        self.statuses = {row: Status.DUPLICATE.value for row, twice in zip(self.rows, duplicate, strict=True) if twice}
        left = [not (has or twice) for has, twice in zip(done, duplicate, strict=True)]
        self.rows = list(compress(self.rows, left))
        return [list(compress(column, left)) for column in columns]

    def take_reported(self, batch: Batch, rows: Sequence[int]) -> None:
        """Take the costs that instrumentations reported for these rows."""
        for row, cost in zip(rows, reported_costs(batch, rows) if rows else (), strict=True):
            if cost is not None:
                self.statuses[row], self.costs[row] = Status.REPORTED.value, cost
                self.totals["reported", "reported"] += cost.total

    def take_priced(self, prices: Prices) -> None:
        """Price what the calls used that have no cost yet."""
        known: dict[_Row, Found | Status] = {}
        for row, whom, used, start in zip(self.rows, self._whom, self._used, self._starts, strict=True):
            if row in self.costs:
                continue
            usage = read_usage(used)
            try:
                found = known[whom]
            except KeyError:
                found = known[whom] = _look_up(whom, prices)
            except TypeError:  # a list where a string should be
                found = _look_up(whom, prices)
            if isinstance(usage, Status) or isinstance(found, Status):
                self.statuses[row] = (usage if isinstance(usage, Status) else found).value  # type: ignore[union-attr]
                continue
            tariff = found.schedule.at(start)  # type: ignore[arg-type]  # times are integers
            if tariff is None:
                self.statuses[row] = Status.UNKNOWN_MODEL.value
                continue
            cost = tariff.price(usage)
            self.costs[row], self.statuses[row] = cost, _OK
            self.totals[found.provider, found.model] += cost.total


def _look_up(whom: _Row, prices: Prices) -> Found | Status:
    provider, answered, asked, tier, other_tier, wanted_tier, server = [
        value if isinstance(value, str) and value else None for value in whom
    ]
    if answered is None and asked is None:
        return Status.NO_MODEL
    found = prices.find(Request(provider, answered, asked, tier or other_tier or wanted_tier, server))
    return Status.UNKNOWN_MODEL if found is None else found
