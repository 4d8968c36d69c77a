"""Prometheus: what is written to it, and what it comes for."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tests.support.peers import Prometheus, free_port
from tests.support.proofs.place import MetricPlace
from tests.support.proofs.versions import pinned
from tests.support.wait import wait_until

__all__ = ["RemoteWritePlace", "ScrapingPlace"]

_QUERIES = {
    "requests": "sum(llm_requests_total)",
    "errors": "sum(llm_errors_total)",
    "input": 'sum(llm_tokens_total{gen_ai_token_type="input"})',
    "output": 'sum(llm_tokens_total{gen_ai_token_type="output"})',
    "cost": "sum(llm_cost_total)",
}


class _Prometheus(MetricPlace):
    def __init__(self, config: Mapping[str, Any], *arguments: str) -> None:
        self._config, self._arguments = config, arguments
        self._server: Prometheus | None = None

    @property
    def peer(self) -> str:
        _, minor, patch = pinned("prometheus", "github.com/prometheus/prometheus").split(".")
        return f"Prometheus 3.{int(minor) - 300}.{patch}"  # the module is 0.3xx where the release is 3.x

    def read(self) -> Mapping[str, float]:
        assert self._server is not None
        answers = {name: self._server.query(query) for name, query in _QUERIES.items()}
        return {name: float(found[0]["value"][1]) for name, found in answers.items() if found}

    def __enter__(self) -> Self:
        self._server = Prometheus(self._config, *self._arguments)
        self._server.__enter__()
        wait_until(lambda: self._server and self._server.ask("status/buildinfo"), self._server, seconds=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.__exit__(kind, error, trace)


class RemoteWritePlace(_Prometheus):
    """Samples are written."""

    name = "prometheus_remote_write"
    exports = r"^/api/v1/write$"

    def __init__(self) -> None:
        super().__init__({}, "--web.enable-remote-write-receiver")

    @property
    def url(self) -> str:
        assert self._server is not None
        return str(self._server.url)

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": f"{url}/api/v1/write"}


class ScrapingPlace(_Prometheus):
    """Samples are fetched."""

    name = "prometheus"
    delivers = False

    def __init__(self) -> None:
        self._page = f"127.0.0.1:{free_port()}"
        scrape = {"job_name": "proofs", "scrape_interval": "1s", "static_configs": [{"targets": [self._page]}]}
        super().__init__({"scrape_configs": [scrape]})

    @property
    def url(self) -> str:
        return ""

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": self._page}
