"""A file is read again when it has another content that is written whole."""

import os
import time
from pathlib import Path

import pytest

from untrace_pipeline.api import WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a first content, written long ago."""
    path = tmp_path / "watched"
    _write(path, "first")
    return path


def _write(path: Path, content: str, *, age: float = 60.0) -> None:
    path.write_text(content)
    os.utime(path, (time.time() - age, time.time() - age))


def test_new_content_is_told_once(path: Path) -> None:
    """What was read is no news; another content is, one time."""
    file = WatchedFile(str(path))
    assert file.read() == b"first"
    assert file.poll() is None
    _write(path, "second", age=50)
    assert file.poll() == b"second"
    assert file.poll() is None


def test_touched_file_is_no_news(path: Path) -> None:
    """The same content with another time is the same content."""
    file = WatchedFile(str(path))
    file.read()
    os.utime(path, (1, 1))
    assert file.poll() is None


def test_file_that_is_being_written_is_waited_for(path: Path) -> None:
    """A file that was changed just now may be half written: it is believed once it has stayed the same for a while."""
    now = [0.0]
    file = WatchedFile(str(path), lambda: now[0])
    file.read()
    _write(path, "", age=-60)  # a time that says nothing: the clock of whoever writes is ahead
    assert file.poll() is None
    now[0] += 1
    _write(path, "sec", age=-61)
    assert file.poll() is None
    _write(path, "second", age=-62)
    assert file.poll() is None
    now[0] += 1
    assert file.poll() == b"second"


def test_failure_is_told_once(path: Path) -> None:
    """A file that is away for long is reported once, and again when it comes and goes."""
    file = WatchedFile(str(path))
    file.read()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.poll()
    assert [file.poll() for _ in range(3)] == [None] * 3
    _write(path, "second")
    assert file.poll() == b"second"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.poll()


def test_pipe_is_refused(tmp_path: Path) -> None:
    """What would hold whoever opens it is not opened."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        WatchedFile(str(tmp_path / "pipe")).read()
