"""The transform processor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from untrace_pipeline.api import Consumer, Host, PermanentError, Settings, StartError
from untrace_pipeline.conditions import ErrorMode
from untrace_pipeline.data import Batch, Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.statements import StatementSequence, Step, Trouble, arrange
from untrace_plugins.processors.transform.calling import FunctionStage
from untrace_plugins.processors.transform.config import TransformConfig
from untrace_plugins.processors.transform.edits import compile_operation
from untrace_plugins.processors.transform.operations import OperationConfig
from untrace_plugins.processors.transform.table import Table

__all__ = ["TransformProcessor"]

Stage = tuple[StatementSequence | FunctionStage, ErrorMode]


class TransformProcessor:
    """Runs groups of statements, then the operations, and passes the batch on."""

    def __init__(self, config: TransformConfig, settings: Settings, next: Consumer) -> None:
        self._next = next
        self._id = settings.id
        self._logger = settings.logger
        self._errors = settings.meter.counter("processor_transform_errors")
        self._tables: list[Table] = []
        self._functions: list[FunctionStage] = []
        self._tasks: list[asyncio.Task[None]] = []
        try:
            self._stages = {signal: list(self._compiled(config, signal, settings)) for signal in settings.signals}
        except ConditionError as error:
            msg = f"processor {settings.id}: {error}"
            raise StartError(msg) from error

    async def start(self, host: Host) -> None:
        """Read the tables of lookups and start functions. Raises :class:`StartError`."""
        for table in self._tables:
            await asyncio.to_thread(table.load)
            self._tasks.append(host.spawn(table.watch(self._logger), name=f"{self._id} lookup"))
        for function in self._functions:
            await function.process.start()

    async def shutdown(self) -> None:
        """Stop watching files, and end the functions' processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for function in self._functions:
            await function.process.close()

    async def consume(self, batch: Batch) -> None:
        """Change the batch and pass it on. Raises :class:`PermanentError` where ``error_mode`` is ``propagate``."""
        for stage, mode in self._stages.get(batch.signal, ()):
            troubles = await stage.run(batch) if isinstance(stage, FunctionStage) else stage.run(batch)
            if troubles:
                self._errors.add(sum(trouble.rows for _, trouble in troubles))
                self._report(troubles, mode)
        await self._next.consume(batch)

    def _compiled(self, config: TransformConfig, signal: Signal, settings: Settings) -> Iterator[Stage]:
        """Yield what is run on a signal; neighbouring operations read and write their columns once."""
        for group in config.groups(signal):
            yield group.compile(signal), group.error_mode or config.error_mode
        steps: list[Step] = []
        for place, operation in enumerate(config.operations):
            if signal not in (operation.signals or Signal):
                continue
            if operation.function is None:
                steps.append(compile_operation(operation, place, signal, self._table(operation)))
                continue
            if steps:
                yield arrange(steps, Level.ITEM), config.error_mode
                steps = []
            self._functions.append(FunctionStage(operation, operation.function, signal, settings))
            yield self._functions[-1], config.error_mode
        if steps:
            yield arrange(steps, Level.ITEM), config.error_mode

    def _table(self, operation: OperationConfig) -> Table | None:
        if operation.lookup is None:
            return None
        self._tables.append(Table(operation.lookup))
        return self._tables[-1]

    def _report(self, troubles: list[tuple[str, Trouble]], mode: ErrorMode) -> None:
        text, first = troubles[0]
        if mode is ErrorMode.PROPAGATE:
            msg = f"there is no answer for an item: {text}: {first.first}"
            raise PermanentError(msg)
        if mode is ErrorMode.IGNORE:
            others = f" (and {len(troubles) - 1} more that had none)" if len(troubles) > 1 else ""
            self._logger.warning(
                "no answer for %d items, which stay as they are: %s: %s%s", first.rows, text, first.first, others
            )
