"""LLM calls that keep coming, over OTLP/HTTP, while a test looks at what is made of them."""

from __future__ import annotations

import http.client
import itertools
import threading
from types import TracebackType
from typing import Self

from tests.support.llm_spans import llm_request

__all__ = ["LlmFeed"]

CALLS = 40
PAUSE_SECONDS = 0.2


class LlmFeed:
    """Sends requests from a thread: `with LlmFeed("127.0.0.1:4318"): …`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llm feed")
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        assert self._error is None, self._error

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        headers = {"content-type": "application/x-protobuf"}
        try:
            for seed in itertools.count():
                connection.request("POST", "/v1/traces", llm_request(CALLS, seed), headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
                if self._stop.wait(PAUSE_SECONDS):
                    return
        except Exception as error:  # noqa: BLE001  raised by the test's thread
            self._error = error
        finally:
            connection.close()
