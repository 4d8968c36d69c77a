"""A file whose content may be exchanged: what is told when it cannot be read."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest

from untrace_pipeline.net.secret_file import SecretFile


def test_failures_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is away for long keeps its content and fills no log; a new failure, or the next one, is told."""
    caplog.set_level(logging.INFO)
    path = tmp_path / "token"
    path.write_text("first")
    file = SecretFile(str(path), logging.getLogger("component"), itertools.count(0, 2).__next__)
    file.open()
    path.unlink()
    assert [file.read() for _ in range(20)] == ["first"] * 20
    path.write_bytes(b"\xff\xff")
    assert [file.read() for _ in range(20)] == ["first"] * 20
    path.write_text("second")
    assert [file.read(), file.read()][-1] == "second"
    path.unlink()
    assert file.read() == "second"
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO", "WARNING"]
