"""The hostile tests run on the event loop that the daemon uses, and over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.support.transports import served_by

__all__ = ["served_by"]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the loop of the daemon."""
    return {"uvloop": uvloop.new_event_loop}
