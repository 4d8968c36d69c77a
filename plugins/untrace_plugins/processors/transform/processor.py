"""The transform processor."""

from __future__ import annotations

from untrace_pipeline.api import Consumer, Host, PermanentError, Settings
from untrace_pipeline.conditions import ErrorMode
from untrace_pipeline.data import Batch
from untrace_pipeline.statements import StatementSequence, Trouble
from untrace_plugins.processors.transform.config import TransformConfig

__all__ = ["TransformProcessor"]


class TransformProcessor:
    """Runs groups of statements, one after the other, and passes the batch on."""

    def __init__(self, config: TransformConfig, settings: Settings, next: Consumer) -> None:
        self._next = next
        self._logger = settings.logger
        self._errors = settings.meter.counter("processor_transform_errors")
        self._groups = {
            signal: [(group.compile(signal), group.error_mode or config.error_mode) for group in config.groups(signal)]
            for signal in settings.signals
        }

    async def start(self, host: Host) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def consume(self, batch: Batch) -> None:
        """Change the batch and pass it on. Raises :class:`PermanentError` where ``error_mode`` is ``propagate``."""
        for sequence, mode in self._groups.get(batch.signal, ()):
            self._run(sequence, mode, batch)
        await self._next.consume(batch)

    def _run(self, sequence: StatementSequence, mode: ErrorMode, batch: Batch) -> None:
        troubles = sequence.run(batch)
        if troubles:
            self._errors.add(sum(trouble.rows for _, trouble in troubles))
            self._report(troubles, mode)

    def _report(self, troubles: list[tuple[str, Trouble]], mode: ErrorMode) -> None:
        text, first = troubles[0]
        if mode is ErrorMode.PROPAGATE:
            msg = f"a statement has no answer: {text}: {first.first}"
            raise PermanentError(msg)
        if mode is ErrorMode.IGNORE:
            others = f" (and {len(troubles) - 1} other statements)" if len(troubles) > 1 else ""
            self._logger.warning(
                "a statement has no answer for %d items, which stay as they are: %s: %s%s",
                first.rows,
                text,
                first.first,
                others,
            )
