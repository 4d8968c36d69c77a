"""What detectors look at: files, variables, the name of the host, and HTTP services of the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import orjson

__all__ = ["Facts", "NotHereError"]

MOST_BYTES = 1 << 20
"""Of an answer: metadata services give a few kilobytes."""


class NotHereError(Exception):
    """This is no such place: nothing answers, or a file that would be there is not. The message says what."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The machine. Tests give it another root and environment."""

    session: aiohttp.ClientSession
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")

    def read(self, path: str) -> str | None:
        """Return a file of at most a megabyte, without the line's end; ``None`` where there is none."""
        try:
            with (self.root / path.lstrip("/")).open("rb") as file:
                return file.read(MOST_BYTES).decode(errors="replace").strip()
        except OSError:
            return None

    async def get(self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> str:
        """Return what a service of the machine answers. Raises :class:`NotHereError` if nothing does."""
        try:
            async with self.session.request(method, url, headers=headers, allow_redirects=False) as answer:
                body = await answer.content.read(MOST_BYTES)
                if answer.status != HTTPStatus.OK:
                    msg = f"{url} answers {answer.status}"
                    raise NotHereError(msg)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            msg = f"nothing answers at {url} ({type(error).__name__})"
            raise NotHereError(msg) from error
        return body.decode(errors="replace").strip()

    async def get_json(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return a JSON object. Raises :class:`NotHereError` if it is none: someone else answers there."""
        try:
            found = orjson.loads(await self.get(url, headers))
        except orjson.JSONDecodeError as error:
            msg = f"{url} does not answer with JSON"
            raise NotHereError(msg) from error
        if not isinstance(found, dict):
            msg = f"{url} does not answer with an object"
            raise NotHereError(msg)
        return found
