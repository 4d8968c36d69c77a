"""Keys of objects: where and when from the options, the last part from the content. Pure."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from datetime import datetime

from untrace_pipeline.data import Batch, Signal, attribute
from untrace_pipeline.data.fields import Field, Level
from untrace_pipeline.delivery import Request
from untrace_pipeline.errors import DecodeError
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig, zone_of

__all__ = ["Keys", "arrival"]

_STRANGE = re.compile(r"[^\w.=@+-]+")
_LONGEST_VALUE, _LONGEST_PART = 200, 60
"""In characters of up to 4 bytes: names of files have 255 bytes at most, keys of S3 1,024."""
_MASK_48, _MASK_12, _MASK_62 = (1 << 48) - 1, (1 << 12) - 1, (1 << 62) - 1

_TIME_OF = {
    Signal.TRACES: "start_time_unix_nano",
    Signal.METRICS: "time_unix_nano",
    Signal.LOGS: "observed_time_unix_nano",
}


class Keys:
    """Makes keys as the options say; the same request always has the same ones."""

    def __init__(self, config: ObjectStoreConfig) -> None:
        self._config = config
        self._zone = zone_of(config.partition_timezone)

    def parts(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """Yield what goes to the same place, with the prefix that says which."""
        name, usual = self._config.prefix_from_attribute, self._config.prefix
        if not name:
            yield usual, batch
            return
        # A handle of its own: what is decoded here must not stay in memory with the request.
        apart = Batch(batch.signal, batch.to_otlp(), batch.context)
        found = apart.column(attribute(name, Level.RESOURCE), Level.ITEM)
        prefixes = [clean(value) or usual if isinstance(value, str) else usual for value in found]
        for prefix, part in apart.partition(prefixes).items():
            yield str(prefix), part

    def key(self, request: Request, prefix: str, extension: str) -> str:
        """Return the key of what a request has for one prefix."""
        config, since = self._config, arrival(request)
        signal = request.batch.signal
        place = datetime.fromtimestamp(since, self._zone).strftime(config.partition_format.format(signal=signal))
        name = f"{config.file_prefix}{signal}_{_unique(since, f'{request.key}/{prefix}')}{extension}"
        return "/".join(
            part for whole in (config.base_prefix, prefix, place, name) for part in whole.split("/") if part
        )


def clean(value: str) -> str:
    """Return a value as a part of a key: slashes part it further, and nothing in it leads elsewhere."""
    parts = value[:_LONGEST_VALUE].split("/")
    return "/".join(filter(None, (_STRANGE.sub("_", part)[:_LONGEST_PART].strip(".") for part in parts)))


def arrival(request: Request) -> float:
    """Return when the oldest part of a request arrived, seconds since the Unix epoch.

    Never the time of asking: another attempt, also of the next process, must come to the same. Where nobody knows, the
    time of the first item.
    """
    times = [entry.batch.context.received_at for entry in request.entries] or [request.batch.context.received_at]
    known = [time for time in times if time > 0]
    return min(known) if known else _time_of_first(request.batch)


def _time_of_first(batch: Batch) -> float:
    try:
        found = batch.columns([Field(Level.ITEM, _TIME_OF[batch.signal])], rows=[0])[0][0]
    except DecodeError:
        return 0.0
    return found / 1e9 if isinstance(found, int) else 0.0


def _unique(since: float, content: str) -> str:
    """Return a UUID of version 7 whose random part is a hash: names sort by time, and are the same for the same."""
    digest = int.from_bytes(hashlib.blake2b(content.encode(), digest_size=16).digest(), "big")
    stamp = int(since * 1000) & _MASK_48
    number = stamp << 80 | 7 << 76 | (digest >> 62 & _MASK_12) << 64 | 2 << 62 | digest & _MASK_62
    return str(uuid.UUID(int=number))
