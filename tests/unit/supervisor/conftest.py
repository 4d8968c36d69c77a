"""Workers without processes, for each test of the supervisor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.workers import Workshop
from untrace_pipeline.testing import run_with_fake_clock


@pytest.fixture
def play() -> Callable[[Callable[[Workshop], Awaitable[None]]], None]:
    """Run a scene with a workshop of its own, on a clock that jumps."""

    def run(scene: Callable[[Workshop], Awaitable[None]]) -> None:
        async def main() -> None:
            workshop = Workshop()
            try:
                await scene(workshop)
            finally:
                await workshop.close()

        run_with_fake_clock(main())

    return run
