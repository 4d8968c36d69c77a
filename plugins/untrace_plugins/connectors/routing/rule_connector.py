"""The routing connector with rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from untrace_pipeline.api import (
    Consumer,
    Counter,
    Explanation,
    Host,
    PermanentError,
    PipelineId,
    Settings,
    StartError,
    Status,
)
from untrace_pipeline.conditions import ErrorMode
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import ConfigError
from untrace_plugins.connectors.delivering import Delivery
from untrace_plugins.connectors.routing.config import RoutingConfig
from untrace_plugins.connectors.routing.destinations import Doors
from untrace_plugins.connectors.routing.rules import SignalRules
from untrace_plugins.connectors.routing.rules_config import RulesConfig
from untrace_plugins.connectors.routing.rules_file import RulesFile, combined

__all__ = ["RuleConnector"]


class RuleConnector:
    """Sends each trace where the rules say. A set of rules is exchanged as a whole, between two batches."""

    def __init__(self, config: RoutingConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._config = config
        self._settings = settings
        self._outputs = outputs
        self._delivery = Delivery(settings)
        self._logger = settings.logger
        self._file = RulesFile(config.rules_file) if config.rules_file else None
        self._rules: Mapping[Signal, SignalRules] = {}
        self._host: Host | None = None
        self._watch: asyncio.Task[None] | None = None
        self._by_rule: dict[tuple[Signal, str], Counter] = {}
        meter = settings.meter
        self._sampled, self._no_route = (
            {signal: meter.counter("dropped_items", signal=signal, reason=reason) for signal in settings.signals}
            for reason in ("sampled", "no_route")
        )
        self._reloads = {
            outcome: meter.counter("connector_routing_rules_reloads", outcome=outcome)
            for outcome in ("success", "failure")
        }

    async def start(self, host: Host) -> None:
        """Compile the rules, and follow their file. Raises :class:`StartError` for rules that cannot work."""
        self._host = host
        try:
            self._rules = await self._prepared(self._compiled(host))
        except ConfigError as error:
            msg = f"the rules cannot be used:\n{error}"
            raise StartError(msg) from error
        if self._file is not None:
            self._tell_loaded()
            self._watch = host.spawn(self._follow(), name="rules file")

    async def shutdown(self) -> None:
        """Follow the file no longer."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    async def consume(self, batch: Batch) -> None:
        """Route the batch.

        Raises what the pipelines raise (see ``delivering``), and :class:`PermanentError` where a condition has no
        answer and ``error_mode`` is ``propagate``.
        """
        if not batch.item_count:
            return
        signal = batch.signal
        if batch.context.dry_run:
            batch.context.remarks.extend(f"{one.subject}: {one.outcome}" for one in self.explain(batch))
        routed = self._rules[signal].route(batch, self._report)
        if routed.deliveries:
            await self._delivery.deliver(routed.deliveries)
        # Counted once the rest is accepted: a batch that is refused comes again.
        for rule, items in routed.taken.items() if not batch.context.dry_run else ():
            self._taken(signal, rule).add(items)
        if routed.sampled:
            self._sampled[signal].add(routed.sampled)
        if routed.no_route:
            self._no_route[signal].add(routed.no_route)

    def _taken(self, signal: Signal, rule: str) -> Counter:
        counter = self._by_rule.get((signal, rule))
        if counter is None:
            counter = self._settings.meter.counter("connector_routing_rule_items", signal=signal, rule=rule)
            self._by_rule[signal, rule] = counter
        return counter

    def explain(self, batch: Batch) -> Sequence[Explanation]:
        """Return which rules take what of a batch, and why."""
        from untrace_plugins.connectors.routing.explain import explain  # noqa: PLC0415  only when somebody asks

        return list(explain(self._rules[batch.signal], batch))

    # ------------------------------------------------------------------ rules

    def _compiled(self, host: Host) -> dict[SignalRules, Doors]:
        """Return the rules of now, by signal. Raises :class:`ConfigError` or :class:`StartError`."""
        rules: RulesConfig = self._config
        if self._file is not None:
            rules = combined(self._config, self._file.read(host))
        doors = [Doors(signal, self._outputs, host, self._settings) for signal in sorted(self._settings.signals)]
        return {SignalRules(rules, one.signal, one): one for one in doors}

    @staticmethod
    async def _prepared(compiled: Mapping[SignalRules, Doors]) -> dict[Signal, SignalRules]:
        """Start the transformations. Raises :class:`StartError`."""
        for doors in compiled.values():
            for way in doors.ways:
                await way.prepare()
        return {rules.signal: rules for rules in compiled}

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._config.reload_interval)
            if self._file is not None and await self._file.settled():
                await self.refresh()

    async def refresh(self) -> None:
        """Take over the rules of the file if it has changed; if they are wrong, keep those that are there."""
        assert self._file is not None
        assert self._host is not None
        if not await self._file.changed():
            return
        try:
            self._rules = await self._prepared(await asyncio.to_thread(self._compiled, self._host))
        except (ConfigError, StartError) as error:
            self._reloads["failure"].add()
            message = f"the rules in {self._config.rules_file} are wrong, those from before stay in use:\n{error}"
            self._logger.error("%s", message)  # noqa: TRY400  the message says it all
            self._host.report(Status.RECOVERABLE_ERROR, message)
        else:
            self._reloads["success"].add()
            self._tell_loaded()
            self._host.report(Status.OK, "the rules were loaded anew")

    def _tell_loaded(self) -> None:
        rules = next(iter(self._rules.values())).config
        version = f" of version {rules.version}" if rules.version else ""
        self._logger.info("%d rules%s from %s", len(rules.in_order()), version, self._config.rules_file)
        for remark in self._config.doubts(rules):
            self._logger.warning("%s: %s", remark.option, remark.message)

    def _report(self, trouble: str) -> None:
        if self._config.error_mode is ErrorMode.PROPAGATE:
            msg = f"a condition has no answer: {trouble}"
            raise PermanentError(msg)
        if self._config.error_mode is ErrorMode.IGNORE:
            self._logger.warning("a condition has no answer and counts as not met: %s", trouble)
