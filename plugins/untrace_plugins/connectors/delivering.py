"""What connectors share: several batches to several pipelines, with one answer for the caller.

The answer is that of a fan-out (docs/decisions/0001-fan-out.md), although each pipeline may get another part of the
request: the caller can only send the whole of it again. So when a pipeline's queues were full while another pipeline
accepted its part, the caller is told *accepted* and the refused part is counted as dropped, for the exporter whose
queue was full; any other refusal goes up.
"""

from __future__ import annotations

from collections.abc import Sequence

from untrace_pipeline.api import Part, QueueFullError, Settings, consume_all, count_overflow

__all__ = ["Delivery"]


class Delivery:
    """Passes parts of a request on and speaks for all of them."""

    def __init__(self, settings: Settings) -> None:
        self._meter = settings.meter
        self._logger = settings.logger
        self._own = f"{settings.id.kind.singular}:{settings.id}"

    async def deliver(self, parts: Sequence[Part]) -> None:
        """Pass every part on and wait for all. Each part must have its own handle. Raises :class:`ConsumeError`."""
        signal = parts[0][1].signal

        def dropped(error: QueueFullError, items: int) -> None:
            for name, count in sorted((error.refused or {self._own: items}).items()):
                count_overflow(self._meter, name, signal, count)
                what = signal.counted(count)
                self._logger.error("%s dropped by %s: %s, while others accepted", what, name, error)

        await consume_all(parts, dropped)
