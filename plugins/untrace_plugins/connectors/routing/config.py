"""Options of the routing connector."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, PipelineId, Remark, Surroundings
from untrace_pipeline.conditions import Condition, ConditionSource, ErrorMode, compile_condition, group_level
from untrace_pipeline.data import Level, Signal
from untrace_pipeline.errors import ConditionError, ConfigError
from untrace_plugins.connectors.routing.rules_config import RulesConfig, is_pipeline, unusable
from untrace_plugins.connectors.routing.rules_file import combined

__all__ = ["Action", "RouteConfig", "RouteContext", "RoutingConfig"]

_STATEMENT = re.compile(r"\s*route\(\s*\)\s*(?:where\b|\Z)")


class Action(enum.StrEnum):
    """Whether what a route takes is still there for the routes after it."""

    MOVE = "move"
    COPY = "copy"


class RouteContext(enum.StrEnum):
    """What a condition is asked of."""

    INFERRED = ""
    RESOURCE = "resource"
    SPAN = "span"
    METRIC = "metric"
    DATAPOINT = "datapoint"
    LOG = "log"
    REQUEST = "request"
    OTELCOL = "otelcol"


_SIGNALS = {
    RouteContext.SPAN: Signal.TRACES,
    RouteContext.LOG: Signal.LOGS,
    RouteContext.METRIC: Signal.METRICS,
    RouteContext.DATAPOINT: Signal.METRICS,
}


def _pipeline(text: str) -> str:
    return str(PipelineId.parse(text))


Pipeline = Annotated[str, AfterValidator(_pipeline)]


class RouteConfig(ConfigModel):
    """One route: a condition, and where that goes which satisfies it."""

    context: RouteContext = RouteContext.INFERRED
    """What the condition is asked of: ``resource`` (routes whole resources), ``span``, ``metric``, ``datapoint``,
    ``log``, or the ``request`` (``otelcol``) alone. Without it: the innermost context that the paths name, and
    ``resource`` if they name none."""
    condition: ConditionSource | None = None
    """OTTL, such as ``span.attributes["tier"] == "gold"`` or ``request["X-Tenant"] == "acme"``; or our own form."""
    statement: str = ""
    """The older way: ``route() where <condition>``; ``route()`` alone takes everything."""
    action: Action = Action.MOVE
    """``move``: what is taken is gone for later routes. ``copy``: later routes see it too."""
    pipelines: list[Pipeline] = Field(min_length=1)
    """Pipelines that get what the route takes."""
    fallback_pipelines: list[Pipeline] = []
    """Pipelines that get it instead when one of these refuses; without any, those of the connector."""

    @model_validator(mode="after")
    def _compiles(self) -> RouteConfig:
        if (self.condition is None) == (not self.statement):
            msg = "a route needs either a condition or a statement"
            raise ValueError(msg)
        if self.statement and self.context is RouteContext.REQUEST:
            msg = "the context request takes a condition, not a statement"
            raise ValueError(msg)
        signals = {PipelineId.parse(pipeline).signal for pipeline in self.pipelines}
        only = _SIGNALS.get(self.context)
        if only is not None and signals != {only}:
            msg = f"a {self.context} can only go to pipelines of {only}"
            raise ValueError(msg)
        for signal in sorted(signals):
            self.compile(signal)
        return self

    def compile(self, signal: Signal) -> Condition:
        """Return the condition for a signal. Raises :class:`ConditionError`."""
        source = self._source()
        condition = compile_condition(source, signal, self._level(source, signal))
        if self.context in {RouteContext.REQUEST, RouteContext.OTELCOL} and condition.fields:
            msg = f"the context {self.context} knows only the request: request[…], otelcol.…"
            raise ConditionError(msg)
        return condition

    def _source(self) -> ConditionSource:
        if self.condition is not None:
            return self.condition
        found = _STATEMENT.match(self.statement)
        if found is None:
            msg = f"{self.statement!r}: a statement is written route() or route() where <condition>"
            raise ConditionError(msg)
        # Blanks in place of what stood before: positions in error messages stay true.
        return " " * found.end() + self.statement[found.end() :] if found.end() < len(self.statement) else "true"

    def _level(self, source: ConditionSource, signal: Signal) -> Level:
        if self.context in {RouteContext.REQUEST, RouteContext.OTELCOL}:
            return Level.ITEM
        if self.context is not RouteContext.INFERRED:
            return group_level([source], self.context, signal)
        try:
            return group_level([source], "", signal)
        except ConditionError:
            return Level.RESOURCE  # paths without a context, as older configurations have them


class RoutingConfig(ComponentConfig, RulesConfig):
    """Sends data to the pipelines of a ``table``, as the Collector does, or by rules: ``rules`` or ``rules_file``."""

    table: list[RouteConfig] = []
    """Routes, asked in order; the first that matches takes the item."""
    default_pipelines: list[Pipeline] = []
    """Pipelines that get what no route of the table took; without any it is dropped, and counted."""
    fallback_pipelines: list[Pipeline] = []
    """Pipelines that get what the pipelines of a route, or the default ones, refuse; a route may have its own.
    Example: ``[traces/backup]``."""
    rules_file: str = ""
    """YAML or JSON file that the rules stand in, instead of ``rules``; what it leaves out is as said here. It is read
    anew when it changes, without a reload of anything else."""
    reload_interval: Duration = Field(1.0, gt=0)
    """How often ``rules_file`` is looked at."""
    error_mode: ErrorMode = ErrorMode.IGNORE
    """Where a condition has no answer for an item: ``ignore`` counts as no match and logs, ``silent`` does not log,
    ``propagate`` refuses the whole request permanently."""

    @model_validator(mode="after")
    def _one_way(self) -> RoutingConfig:
        given = [name for name in ("table", "rules", "rules_file") if getattr(self, name)]
        if len(given) != 1:
            msg = f"{' and '.join(given)}: use one of them" if given else "table, rules or rules_file is needed"
            raise ValueError(msg)
        strange = self.model_fields_set & (set(RulesConfig.model_fields) if self.table else _OF_THE_TABLE)
        if strange:
            msg = f"{', '.join(sorted(strange))} cannot stand beside {given[0]}"
            raise ValueError(msg)
        return self

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the pipelines that are named, by option."""
        named: dict[str, tuple[str, ...]] = {}
        for place, route in enumerate(self.table):
            named[f"table.{place}.pipelines"] = tuple(route.pipelines)
            named[f"table.{place}.fallback_pipelines"] = tuple(route.fallback_pipelines)
        named["default_pipelines"] = tuple(self.default_pipelines)
        named["fallback_pipelines"] = tuple(self.fallback_pipelines)
        for option, name in self.destinations():
            if is_pipeline(name):
                named[option] = (*named.get(option, ()), name)
        return named

    def review(self, surroundings: Surroundings) -> Iterator[Remark]:
        """Say which rules cannot work, and which can never match; those of the file too."""
        if not self.rules_file:
            yield from unusable(self, surroundings)
            yield from self.doubts(self)
            return
        try:
            rules = combined(self, surroundings.read(self.rules_file, RulesConfig))
        except ConfigError as error:
            yield Remark("rules_file", f"the rules cannot be used:\n{error}", fatal=True)
            return
        for remark in (*unusable(rules, surroundings), *self.doubts(rules)):
            place = surroundings.place(self.rules_file, remark.option)
            yield Remark("rules_file", f"{place}: {remark.message}", remark.expected, remark.fatal)

    @staticmethod
    def doubts(rules: RulesConfig) -> list[Remark]:
        """Return what works, and is probably not meant."""
        from untrace_plugins.connectors.routing.lint import lint  # noqa: PLC0415  only where there are rules

        return list(lint(rules))


_OF_THE_TABLE = {"default_pipelines", "fallback_pipelines"}
