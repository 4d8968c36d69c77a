"""The thread that writes dead letters: how it ends."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from untrace_pipeline.delivery.dead_letters.encoding import LetterEncoding
from untrace_pipeline.delivery.dead_letters.file import LetterFile
from untrace_pipeline.delivery.dead_letters.writer import Writer

PATIENCE = 30.0


def make(path: Path) -> Writer:
    return Writer(LetterFile(path / "letters.db"), LetterEncoding(), logging.getLogger("test"), lambda _: 10.0)


def test_two_that_close_at_once(tmp_path: Path) -> None:
    """Both return when the thread has ended, after what was submitted; a later change begins a new one."""
    writer, begun, go_on = make(tmp_path), threading.Event(), threading.Event()

    def work(_: object) -> str:
        begun.set()
        assert go_on.wait(PATIENCE)
        return "done"

    change = writer.submit(work, make=True)
    assert begun.wait(PATIENCE)
    closing = [threading.Thread(target=writer.close, daemon=True) for _ in range(2)]
    for thread in closing:
        thread.start()
    go_on.set()
    for thread in closing:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert change.result(0) == "done"
    assert writer.submit(lambda _: "again", make=True).result(PATIENCE) == "again"
    writer.close()
