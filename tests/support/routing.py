"""A routing connector with rules, between spans of LLM calls and sinks: for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from untrace_pipeline.api import Kind, PipelineId
from untrace_pipeline.cli.items import request_of
from untrace_pipeline.config.test_blocks import SpanItem
from untrace_pipeline.data import Batch, Context, Field, Level, Signal
from untrace_pipeline.testing import RecordingMeter, Sink, StubHost, make_settings
from untrace_plugins.connectors.routing import FACTORY

__all__ = ["RuleRouter", "calls", "rule"]

NAMES = ("a", "b", "c", "rest")
_NAME = Field(Level.ITEM, "name")


def rule(id: str, *conditions: Any, to: Sequence[Any] = ("a",), **more: Any) -> dict[str, Any]:
    """Return a rule whose conditions must all hold."""
    actions = {"destinations": list(to), **more.pop("actions", {})}
    return {"id": id, "conditions": {"all": list(conditions)}, "actions": actions, **more}


def calls(*spans: Mapping[str, Any], context: Context | None = None) -> Batch:
    """Return spans as a batch, in the short form of config tests."""
    items = [SpanItem.model_validate(span) for span in spans]
    data = orjson.dumps(request_of(Signal.TRACES, items))
    return Batch.from_json(Signal.TRACES, data, context or Context())


class RuleRouter:
    """The connector with a sink behind each pipeline; ``async with`` starts and stops it."""

    def __init__(
        self,
        *rules: Mapping[str, Any],
        signal: Signal = Signal.TRACES,
        sinks: Mapping[str, Sink] | None = None,
        host: StubHost | None = None,
        **options: Any,
    ) -> None:
        given = {"rules": list(rules)} if rules else {}
        self.config = FACTORY.config.model_validate({**given, **options})
        self.sinks: dict[str, Sink] = {name: Sink() for name in NAMES} | dict(sinks or {})
        self.meter = RecordingMeter()
        self.host = host or StubHost()
        outputs = {PipelineId(signal, name): sink for name, sink in self.sinks.items()}
        settings = make_settings(Kind.CONNECTOR, "routing", signals=[signal], meter=self.meter)
        self.connector: Any = FACTORY.create(self.config, settings, outputs)

    async def __aenter__(self) -> RuleRouter:
        await self.connector.start(self.host)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.connector.shutdown()

    async def route(self, batch: Batch) -> dict[str, list[Any]]:
        """Return the names of the items that each pipeline got, sorted."""
        before = {name: len(sink.batches) for name, sink in self.sinks.items()}
        await self.connector.consume(batch)
        return {
            name: found
            for name, sink in self.sinks.items()
            if (found := sorted(one for got in sink.batches[before[name] :] for one in got.column(_NAME)))  # type: ignore[type-var]
        }
