"""Options of rules: inline, and in a file of their own, in snake case or in camel case."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api import ConfigModel, PipelineId, Remark, Surroundings
from untrace_pipeline.conditions import Condition, ConditionConfig, ConditionSource, compile_condition, locate_core
from untrace_pipeline.data import Level, Signal
from untrace_pipeline.errors import ConditionError

__all__ = [
    "By",
    "Destination",
    "DestinationConfig",
    "Match",
    "RuleConfig",
    "RulesConfig",
    "SamplingConfig",
    "is_pipeline",
    "name_of",
    "pipeline_of",
    "unusable",
]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WHOLE = 100.0
_ROUNDING = 1e-6


class By(enum.StrEnum):
    """What is sent one way as a whole."""

    TRACE = "trace"
    SPAN = "span"
    REQUEST = "request"


class Match(enum.StrEnum):
    """How many rules may take a trace."""

    FIRST = "first"
    ALL = "all"


class _Spelled(ConfigModel):
    """Takes the names of its options in camel case too, as the papers write them."""

    @model_validator(mode="before")
    @classmethod
    def _in_snake_case(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        names = {key: _CAMEL.sub("_", key).lower() for key in given if isinstance(key, str)}
        return {names[key] if names.get(key) in cls.model_fields else key: value for key, value in given.items()}


def _checked(name: str) -> str:
    if is_pipeline(name):
        return str(PipelineId.parse(name))
    if not name.strip() or "/" in name:
        msg = "a pipeline, such as traces/langfuse, or its name alone: langfuse"
        raise ValueError(msg)
    return name.strip()


Name = Annotated[str, AfterValidator(_checked)]


class DestinationConfig(_Spelled):
    """A destination that gets a share."""

    name: Name
    """A pipeline that has this connector as receiver: ``traces/langfuse``; or its name alone, for those of all signals:
    ``langfuse``."""
    percentage: float | None = Field(None, gt=0, le=_WHOLE)
    """Share of the traces, decided by the trace id; of the destinations of a rule that have one, each trace goes to
    one. Without it the destination gets everything."""


Destination = Name | DestinationConfig
"""By its name, or with a share."""


class SamplingConfig(_Spelled):
    """How much is kept."""

    rate: float = Field(ge=0, le=1)
    """Share that is kept, ``0.001`` … ``1``, decided by the trace id: a trace is kept or dropped whole, here and in
    every other consistent sampler. What is kept carries the threshold in ``tracestate``."""


class ConditionsConfig(ConfigModel):
    """Conditions of a rule: all lists that are given must hold; without any, the rule takes everything."""

    all: list[ConditionSource] = []
    """Every one of these holds."""
    any: list[ConditionSource] = []
    """One of these holds."""
    not_: ConditionSource | None = Field(None, alias="not")
    """This does not hold."""

    def sources(self) -> list[ConditionSource]:
        """Return conditions that must all hold."""
        found = list(self.all)
        if self.any:
            found.append(ConditionConfig(any=self.any))
        if self.not_ is not None:
            found.append(ConditionConfig.model_validate({"not": self.not_}))
        return found

    def source(self) -> ConditionSource:
        """Return them as one condition."""
        found = self.sources()
        return found[0] if len(found) == 1 else ConditionConfig(all=found) if found else "true"


class ActionsConfig(_Spelled):
    """What happens to the traces that a rule takes."""

    destinations: list[Destination] = Field(min_length=1)
    """Where they go: to all of these at once, and to one of those that have a ``percentage``."""
    transformations: list[str] = []
    """Processors of the configuration, by id, that what goes to these destinations passes first, in order:
    ``[redaction/strict]``; not those that hold back what they get, such as ``tail_sampling``."""
    sampling: SamplingConfig | None = None
    """Keep only a share; without it, what ``sampling`` of all rules says."""
    metadata: dict[str, Any] = {}
    """Added to the metadata of each span (``untrace.metadata``)."""
    fallback_destinations: list[Name] = []
    """Where that goes which a destination refuses; without any, those of all rules."""

    @model_validator(mode="after")
    def _shares(self) -> ActionsConfig:
        check_shares(self.destinations)
        return self


def check_shares(destinations: list[Destination]) -> None:
    """Raise ``ValueError`` for shares that leave traces without a destination, or that are more than there is."""
    shares = [one.percentage for one in destinations if isinstance(one, DestinationConfig) and one.percentage]
    if not shares:
        return
    total = sum(shares)
    if total > _WHOLE + _ROUNDING:
        msg = f"the percentages add up to {total:g}: 100 is all there is"
        raise ValueError(msg)
    if total < _WHOLE - _ROUNDING and len(shares) == len(destinations):
        msg = f"the percentages add up to {total:g}: the rest of the traces would have no destination"
        raise ValueError(msg)


class RuleConfig(_Spelled):
    """One rule: which traces, and what happens to them."""

    id: str = Field(min_length=1)
    """Names the rule in messages and metrics; unique."""
    name: str = ""
    """For people."""
    description: str = ""
    """For people."""
    enabled: bool = True
    """``false``: the rule is passed over."""
    priority: float = Field(0, allow_inf_nan=False)
    """Rules with a higher one are asked first; equal ones in the order of the list."""
    conditions: ConditionsConfig = ConditionsConfig()
    """Which traces; without any, all. A list means ``all``."""
    actions: ActionsConfig
    """What happens to them. Its options may stand in the rule itself too."""

    @model_validator(mode="before")
    @classmethod
    def _in_either_form(cls, given: Any) -> Any:
        """Take the form of the papers' router too: a list of conditions, and the actions beside them."""
        if not isinstance(given, dict):
            return given
        rule = dict(given)
        if isinstance(rule.get("conditions"), list):
            rule["conditions"] = {"all": rule["conditions"]}
        beside = {
            key: rule.pop(key) for key in list(rule) if _CAMEL.sub("_", key).lower() in ActionsConfig.model_fields
        }
        if beside and "actions" in rule:
            msg = f"{', '.join(beside)}: either in actions or in the rule itself"
            raise ValueError(msg)
        return {**rule, "actions": beside} if beside else rule

    @model_validator(mode="after")
    def _compiles(self) -> RuleConfig:
        names = [name_of(one) for one in self.actions.destinations]
        signals = [one for one in Signal if any(pipeline_of(name, one) is not None for name in names)]
        troubles = [self._trouble(signal) for signal in signals]
        if all(troubles):
            raise next(filter(None, troubles))
        return self

    def _trouble(self, signal: Signal) -> ConditionError | None:
        try:
            self.compile(signal)
        except ConditionError as error:
            return error
        return None

    def compile(self, signal: Signal) -> Condition:
        """Return the condition for items of a signal. Raises :class:`ConditionError` if it cannot be asked of them."""
        return compile_condition(self.conditions.source(), signal, Level.ITEM, locate_core)


def name_of(destination: Destination) -> str:
    """Return the name of a destination."""
    return destination if isinstance(destination, str) else destination.name


def is_pipeline(name: str) -> bool:
    """Return whether a name of a destination is the id of a pipeline, not its name alone."""
    return name.partition("/")[0].strip() in set(Signal)


def pipeline_of(name: str, signal: Signal) -> PipelineId | None:
    """Return the pipeline of a signal that a name means: itself, or for a name alone the one that is called so."""
    if not is_pipeline(name):
        return PipelineId(signal, name)
    pipeline = PipelineId.parse(name)
    return pipeline if pipeline.signal is signal else None


class RulesConfig(_Spelled):
    """A set of rules; also the form of ``rules_file``."""

    version: str = ""
    """Of the rules; shown when they are loaded."""
    rules: list[RuleConfig] = []
    """Rules by which traces find their destinations, in the order of their priority."""
    match: Match = Match.FIRST
    """``first``: the first rule that matches takes a trace. ``all``: every rule that matches sends it to its
    destinations; to each destination once, as the rule with the highest priority says."""
    by: By = By.TRACE
    """What goes one way as a whole: all spans of a ``trace`` in a request, if one of them satisfies the conditions;
    each ``span`` by itself; or the whole ``request``."""
    default_destinations: list[Destination] = []
    """Where that goes which no rule takes; without any it is dropped, and counted."""
    sampling: SamplingConfig | None = None
    """Share that is kept of what a rule without ``sampling`` of its own, or no rule, takes."""
    fallback_destinations: list[Name] = []
    """Where that goes which a destination refuses, where the rule names none itself."""

    @model_validator(mode="before")
    @classmethod
    def _sampling_config(cls, given: Any) -> Any:
        """Take the papers' name of the common sampling."""
        if isinstance(given, dict) and "sampling" not in given:
            return {"sampling" if key in {"samplingConfig", "sampling_config"} else key: v for key, v in given.items()}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> RulesConfig:
        check_shares(self.default_destinations)
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                msg = f"there are two rules with the id {rule.id}"
                raise ValueError(msg)
            seen.add(rule.id)
        return self

    def in_order(self) -> list[RuleConfig]:
        """Return the rules that are enabled, in the order in which they are asked."""
        return sorted([rule for rule in self.rules if rule.enabled], key=lambda rule: -rule.priority)

    def destinations(self) -> Iterator[tuple[str, str]]:
        """Yield (option, name) of every destination."""
        for place, rule in enumerate(self.rules):
            where = f"rules.{place}.actions"
            yield from ((f"{where}.destinations", name_of(one)) for one in rule.actions.destinations)
            yield from ((f"{where}.fallback_destinations", name) for name in rule.actions.fallback_destinations)
        yield from (("default_destinations", name_of(one)) for one in self.default_destinations)
        yield from (("fallback_destinations", name) for name in self.fallback_destinations)


def unusable(rules: RulesConfig, surroundings: Surroundings) -> Iterator[Remark]:
    """Yield destinations and transformations that are not there."""
    outputs = surroundings.outputs
    for option, name in rules.destinations():
        if not any(pipeline_of(name, output.signal) == output for output in outputs):
            known = ", ".join(str(output) for output in outputs) or "a pipeline that has this connector as receiver"
            yield Remark(option, f"destination {name} is no pipeline that has this connector as receiver", known, True)
    for place, rule in enumerate(rules.rules):
        for name in rule.actions.transformations:
            if name not in surroundings.processors:
                known = ", ".join(surroundings.processors) or "a processor"
                message = f"transformation {name} is no configured processor, or one that holds back what it gets"
                yield Remark(f"rules.{place}.actions.transformations", message, known, True)
