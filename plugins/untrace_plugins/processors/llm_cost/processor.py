"""The cost processor."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_pipeline.net.secret_file import CHECK_SECONDS
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import Cost, cost_columns
from untrace_plugins.genai.pricing import Found, Prices, Request
from untrace_plugins.processors.llm_cost.config import LlmCostConfig, Reported
from untrace_plugins.processors.llm_cost.prices import ConfiguredPrices
from untrace_plugins.processors.llm_cost.reported import reported_costs
from untrace_plugins.processors.llm_cost.speed import Pace, add_speed
from untrace_plugins.processors.llm_cost.usage import Status, read_usage

__all__ = ["LlmCost"]

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
_DONE: Final = frozenset({Status.OK, Status.REPORTED})
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
        self._statuses = {one: settings.meter.counter("processor_llm_cost_spans", status=one.value) for one in Status}
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
            verdicts, calls = _sorted_out(batch, rows)
            self._judge(batch, calls, verdicts)
            if self._derive and calls:
                add_speed(batch, [*calls], [call.pace for call in calls.values()], self._invalid_durations)
            self._write(batch, verdicts)
        return batch

    def _judge(self, batch: Batch, calls: dict[int, _Call], verdicts: _Verdicts) -> None:
        """Find the cost of each call, in the order that the option says."""
        left = calls
        if self._reported is Reported.PREFER:
            left = verdicts.take_reported(batch, left)
        left = verdicts.take_priced(left, self._prices.current())
        if self._reported is Reported.FALLBACK:
            verdicts.take_reported(batch, left)

    def _write(self, batch: Batch, verdicts: _Verdicts) -> None:
        statuses, costs = verdicts.statuses, verdicts.costs
        if statuses:
            batch.set(_STATUS, [status.value for status in statuses.values()], [*statuses])
        rows, amounts = [*costs], [*costs.values()]
        for form in self._forms if rows else ():
            for name, column in cost_columns(amounts, form).items():
                if any(value is not None for value in column):
                    batch.set(attribute(name), column, rows)
        for status, count in Counter(statuses.values()).items():
            self._statuses[status].add(count)
        for (provider, model), total in verdicts.totals.items():
            self._meter.counter("processor_llm_cost_usd", provider=provider, model=model).add(total)


class _Call(NamedTuple):
    """What a span says of its call, as it stands there."""

    whom: _Row
    used: _Row
    pace: Pace


def _sorted_out(batch: Batch, rows: Sequence[int]) -> tuple[_Verdicts, dict[int, _Call]]:
    """Return what is known of duplicates, and the calls that are to be priced, by row."""
    columns = batch.columns([*_STATE, *_CALL, *_USAGE], Level.ITEM, rows)
    state, whom, used = columns[:5], columns[5:12], columns[12:]
    verdicts, calls = _Verdicts(), {}
    for row, (done, duplicate, start, end, first), call, tokens in zip(
        rows, zip(*state, strict=True), zip(*whom, strict=True), zip(*used, strict=True), strict=True
    ):
        if duplicate is True:
            verdicts.statuses[row] = Status.DUPLICATE
        elif done is None or not (isinstance(done, str) and done in _DONE):
            calls[row] = _Call(call, tokens, Pace(start, end, tokens[1], first))
    return verdicts, calls


class _Verdicts:
    """What is known of the costs of one batch."""

    def __init__(self) -> None:
        self.statuses: dict[int, Status] = {}
        self.costs: dict[int, Cost] = {}
        self.totals: dict[tuple[str, str], float] = defaultdict(float)
        """US dollars by provider and model, under names of which there are only so many."""

    def take_reported(self, batch: Batch, calls: dict[int, _Call]) -> dict[int, _Call]:
        """Take the costs that instrumentations reported; returns the calls that have none."""
        left = {}
        for row, cost in zip(calls, reported_costs(batch, [*calls]) if calls else (), strict=True):
            if cost is None:
                left[row] = calls[row]
            else:
                self.statuses[row], self.costs[row] = Status.REPORTED, cost
                self.totals["reported", "reported"] += cost.total
        return left

    def take_priced(self, calls: dict[int, _Call], prices: Prices) -> dict[int, _Call]:
        """Price what the calls used; returns the calls that have no price."""
        left = {}
        known: dict[_Row, Found | Status] = {}
        for row, call in calls.items():
            self.statuses[row] = status = self._price(row, call, prices, known)
            if status is not Status.OK:
                left[row] = call
        return left

    def _price(self, row: int, call: _Call, prices: Prices, known: dict[_Row, Found | Status]) -> Status:
        usage = read_usage(call.used)
        if isinstance(usage, Status):
            return usage
        try:
            found = known[call.whom]
        except KeyError:
            found = known[call.whom] = _look_up(call.whom, prices)
        except TypeError:  # a list where a string should be
            found = _look_up(call.whom, prices)
        if isinstance(found, Status):
            return found
        tariff = found.schedule.at(call.pace.start)
        if tariff is None:
            return Status.UNKNOWN_MODEL
        cost = self.costs[row] = tariff.price(usage)
        self.totals[found.provider, found.model] += cost.total
        return Status.OK


def _look_up(whom: _Row, prices: Prices) -> Found | Status:
    provider, answered, asked, tier, other_tier, wanted_tier, server = [
        value if isinstance(value, str) and value else None for value in whom
    ]
    if answered is None and asked is None:
        return Status.NO_MODEL
    found = prices.find(Request(provider, answered, asked, tier or other_tier or wanted_tier, server))
    return Status.UNKNOWN_MODEL if found is None else found
