"""What may still come on streams that are closed."""

from __future__ import annotations

import pytest

from untrace_pipeline.net.http2_frames import ErrorCode, Http2Error
from untrace_pipeline.net.http2_history import MAX_CUT, StreamHistory


def refused(history: StreamHistory, id: int) -> ErrorCode:
    """Return why a late frame is an error."""
    with pytest.raises(Http2Error) as caught:
        history.check_late(id, ended=False)
    return caught.value.code


def test_what_we_cut_short_may_go_on_to_its_end() -> None:
    """Until the client has ended the stream, frames on it are no error."""
    history = StreamHistory()
    assert history.open(1)
    history.cut(1)
    history.check_late(1, ended=False)
    history.check_late(1, ended=True)
    assert refused(history, 1) is ErrorCode.STREAM_CLOSED


def test_numbers_only_grow() -> None:
    """A skipped number is used up, even numbers are the server's, and a stream is opened once."""
    history = StreamHistory()
    assert history.open(5)
    assert not history.open(3)
    assert refused(history, 3) is ErrorCode.PROTOCOL_ERROR
    assert refused(history, 5) is ErrorCode.STREAM_CLOSED
    assert refused(history, 7) is ErrorCode.PROTOCOL_ERROR
    with pytest.raises(Http2Error):
        history.open(6)


def test_memory_is_bounded_and_forgiving() -> None:
    """Of too many streams cut short the oldest are forgotten, and what comes on them is no error."""
    history = StreamHistory()
    for number in range(1, 4 * MAX_CUT, 2):
        assert history.open(number)
        history.cut(number)
    history.check_late(1, ended=False)
    assert len(history._cut) == MAX_CUT
