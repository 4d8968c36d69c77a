"""Questions to a platform that change nothing there: is it there, does it know us?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from untrace_pipeline.api import Host, ProbeResult
from untrace_pipeline.errors import ConsumeError, StartError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.net.http_client import HttpClient
from untrace_plugins.destinations.model import Probe
from untrace_plugins.destinations.templates import render
from untrace_plugins.exporters._otlp import JSON, PROTOBUF
from untrace_plugins.exporters.platform.config import PlatformConfig

__all__ = ["ask"]

TIMEOUT_SECONDS = 10.0
_BODIES = {"empty": (b"", PROTOBUF), "json": (b"{}", JSON)}


async def ask(config: PlatformConfig, host: Host, logger: logging.Logger) -> Sequence[ProbeResult]:
    """Ask what the platform's file knows, all at once."""
    told = config.destination
    probes = {"health": told.health, "credentials": told.credentials}
    questions = [_Question(what, probe, config) for what, probe in probes.items() if probe is not None]
    return await asyncio.gather(*(question.ask(host, logger) for question in questions))


class _Question:
    """One probe with the options filled in; asked over a connection of its own, because it is not compressed."""

    def __init__(self, what: str, probe: Probe, config: PlatformConfig) -> None:
        self._what = what
        self._probe = probe
        self._url = render(probe.url, config.values())
        self._meanings = config.destination.answers.meanings
        options = config.for_client() if probe.credentials else config.model_copy(update={"headers": {}})
        self._options = options.model_copy(update={"compression": Compression.NONE})

    async def ask(self, host: Host, logger: logging.Logger) -> ProbeResult:
        """Ask, and judge the answer."""
        if self._url is None:
            return self._result("the options do not say where to ask")
        client = HttpClient(self._options, logger, hidden=self._options.secrets())
        try:
            await client.start(host)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._exchange(client, self._url)
        except TimeoutError:
            return self._result(f"no answer within {TIMEOUT_SECONDS:.0f} s")
        except (ConsumeError, StartError) as error:
            return self._result(one_line(str(error)))
        finally:
            await client.close()
        ok = answer.status in self._probe.success
        meaning = None if ok else self._meanings.get(answer.status)
        return self._result(": ".join(filter(None, (f"HTTP {answer.status}", meaning))), ok=ok)

    async def _exchange(self, client: HttpClient, url: str) -> Answer:
        if not self._probe.send:
            return await client.request("GET", url)
        data, kind = _BODIES[self._probe.send]
        return await client.request("POST", url, data, {"Content-Type": kind})

    def _result(self, message: str, *, ok: bool = False) -> ProbeResult:
        return ProbeResult(self._what, ok, message)
