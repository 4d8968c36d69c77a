"""Platforms that cannot run here: servers that go by the rules of their makers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.support.destinations.fields import READS
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer
from tests.support.llm_calls import SpanView
from tests.support.proofs.place import AS_IS, Place, Stored, stored
from untrace_plugins.genai import names

__all__ = ["ContractPlace"]

T = TypeVar("T")


class ContractPlace(Place):
    """A platform of `tests.support.destinations`; its server has an event loop and a thread of its own."""

    def __init__(self, platform: str) -> None:
        self.name = platform
        self._platform = PLATFORMS[platform]
        paths = "|".join(self._platform.rules.paths)
        self.exports = f"^({paths})$"
        self.reads = READS.get(platform, AS_IS)
        self.splits = not self._platform.one_by_one
        self._server = ContractServer(self._platform.rules)

    @property
    def peer(self) -> str:
        return "contract"

    @property
    def url(self) -> str:
        return self._server.url

    def options(self, url: str) -> dict[str, Any]:
        return {**self._platform.options, "endpoint": url + self._platform.base}

    def read(self) -> list[Stored]:
        return [span for one in list(self._server.received) for span in stored(one.batch)]

    def takes(self, span: SpanView) -> bool:
        if self._platform.wants is not None:
            return self._platform.wants(span.attributes)
        ignored = self._platform.rules.ignored
        return ignored is None or names.DIALECT in span.attributes or not ignored(span.attributes)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self._server.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._server.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
