"""Connections that the supervisor hands from process to process."""

from __future__ import annotations

import logging
import socket

import pytest

from untrace_pipeline.supervisor.introductions import introduce, introduction_pair, take_introduction


def test_many_at_once() -> None:
    """A worker of many is introduced to all others before it takes the first; each connection works, in order."""
    ours, theirs = introduction_pair()
    with ours, theirs:
        far_ends = []
        for index in range(300):
            near, far = socket.socketpair()
            far_ends.append(far)
            with near:
                introduce(ours, index, near)
        for index, far in enumerate(far_ends):
            found = take_introduction(theirs)
            assert found is not None
            number, end = found
            with far, end:
                assert number == index
                end.sendall(b"hello")
                assert far.recv(10) == b"hello"
        assert take_introduction(theirs) is None


def test_the_end() -> None:
    """When the supervisor is gone, that is said, again and again."""
    ours, theirs = introduction_pair()
    ours.close()
    with theirs:
        for _ in range(2):
            with pytest.raises(EOFError):
                take_introduction(theirs)


def test_a_worker_that_is_gone() -> None:
    """Nothing happens: its place is about to be taken by another, which is introduced anew."""
    ours, theirs = introduction_pair()
    theirs.close()
    near, far = socket.socketpair()
    with ours, near, far:
        introduce(ours, 1, near)


def test_a_worker_that_takes_none(caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the supervisor is not held up."""
    ours, theirs = introduction_pair()
    near, far = socket.socketpair()
    with ours, theirs, near, far, caplog.at_level(logging.ERROR):
        for _ in range(20_000):
            introduce(ours, 7, near)
            if caplog.records:
                break
        assert "worker 7 cannot send to it" in caplog.text
        while take_introduction_closing(theirs):
            pass


def take_introduction_closing(end: socket.socket) -> bool:
    """Take one and close it; false if there is none."""
    found = take_introduction(end)
    if found is not None:
        found[1].close()
    return found is not None
