"""Encryption of attributes, column by column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate

from untrace_pipeline.api import Settings
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value, attribute
from untrace_plugins.processors.encrypt.config import EncryptConfig
from untrace_plugins.sealing.keys import Keys
from untrace_plugins.sealing.values import Sealer, is_sealed

__all__ = ["Encrypt"]

_LEVELS = {
    Signal.TRACES: (Level.RESOURCE, Level.SCOPE, Level.ITEM, Level.EVENT, Level.LINK),
    Signal.LOGS: (Level.RESOURCE, Level.SCOPE, Level.ITEM),
    Signal.METRICS: (Level.RESOURCE, Level.SCOPE, Level.ITEM),
}
_BODY = Field(Level.ITEM, "body")


class Encrypt:
    """A transform. Reads the keys when it is created; raises :class:`StartError` if it cannot."""

    def __init__(self, config: EncryptConfig, settings: Settings) -> None:
        self._sealer = Sealer(Keys.load(config, "encrypt"))
        globs = [key for key in config.attributes if any(sign in key for sign in "*?[")]
        self._keys = [key for key in config.attributes if key not in globs]
        self._glob = re.compile("|".join(map(translate, globs))).match if globs else None
        self._body = config.body
        self._values = settings.meter.counter("processor_encrypt_values")

    def process(self, batch: Batch) -> Batch:
        """Encrypt the chosen values of all levels."""
        for level in _LEVELS[batch.signal]:
            if batch.row_count(level):
                fields = [attribute(key, level) for key in self._keys_at(batch, level)]
                for field, values in zip(fields, batch.columns(fields, level) if fields else (), strict=True):
                    self._seal(batch, field, values)
        if self._body and batch.signal is Signal.LOGS:
            self._seal(batch, _BODY, batch.column(_BODY))
        return batch

    def _keys_at(self, batch: Batch, level: Level) -> list[str]:
        if self._glob is None:
            return self._keys
        maps = batch.column(Field(level, ATTRIBUTES))
        present = dict.fromkeys(key for found in maps if isinstance(found, dict) for key in found)
        return [*self._keys, *(key for key in present if key not in self._keys and self._glob(key))]

    def _seal(self, batch: Batch, field: Field, values: Sequence[Value]) -> None:
        chosen = {
            row: as_string(value)
            for row, value in enumerate(values)
            if value is not None and not (isinstance(value, str) and is_sealed(value))
        }
        if chosen:
            batch.set(field, [self._sealer.seal(text) for text in chosen.values()], list(chosen))
            self._values.add(len(chosen))
