"""The daemon with the LLM proxy between clients and a stand-in for the providers; its spans go to a sink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.llm_proxy import proxy_config
from tests.support.llm_upstream import LlmUpstream
from tests.support.peers import Daemon
from tests.support.span_sink import SpanSink


@pytest.fixture(scope="module")
def upstream() -> Iterator[LlmUpstream]:
    """All providers."""
    with LlmUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def sink() -> Iterator[SpanSink]:
    """Where spans go."""
    with SpanSink() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream: LlmUpstream, sink: SpanSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The daemon, as it is configured without any option."""
    directory: Path = tmp_path_factory.mktemp("proxy")
    with Daemon(proxy_config(upstream.url, sink.url), directory=directory) as daemon:
        yield daemon
