"""The file that rules stand in: read when it changes, and only what is right takes effect."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from untrace_pipeline.api import Host
from untrace_plugins.connectors.routing.rules_config import RulesConfig

__all__ = ["RulesFile", "combined"]

SETTLE_SECONDS = 0.1
"""How long a new content must stay the same: editors write in several steps, the first of which empties the file."""


class RulesFile:
    """Knows what of the file was looked at last."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = ""

    def read(self, host: Host) -> RulesConfig:
        """Return what stands in it now. Raises :class:`ConfigError`."""
        before = self._digest()
        try:
            return host.read_options(self._path, RulesConfig)
        finally:  # written meanwhile: nobody knows which of both was read
            self._seen = before if self._digest() == before else ""

    async def changed(self) -> bool:
        """Return whether its content is another than what was read last; an absent file has another one too."""
        return await asyncio.to_thread(self._digest) != self._seen

    async def settled(self) -> bool:
        """Return whether its content is another one, and whoever writes it has finished: half of it may be valid."""
        found = await asyncio.to_thread(self._digest)
        if found == self._seen:
            return False
        await asyncio.sleep(SETTLE_SECONDS)
        return await asyncio.to_thread(self._digest) == found

    def _digest(self) -> str:
        try:
            return hashlib.sha256(Path(self._path).read_bytes()).hexdigest()
        except OSError as error:
            return f"unreadable: {error.errno}"


def combined(inline: RulesConfig, file: RulesConfig) -> RulesConfig:
    """Return the rules of a file, with the options of the connector where the file says nothing."""
    given = {name: getattr(inline, name) for name in RulesConfig.model_fields if name in inline.model_fields_set}
    return file.model_copy(update={name: value for name, value in given.items() if name not in file.model_fields_set})
