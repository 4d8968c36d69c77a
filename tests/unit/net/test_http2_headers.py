"""What header fields of a request must be."""

from __future__ import annotations

import pytest

from untrace_pipeline.net.hpack import HeaderList
from untrace_pipeline.net.http2_frames import Http2Error, StreamError
from untrace_pipeline.net.http2_headers import check_characters, check_request, check_trailers

PSEUDO: HeaderList = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), (b":authority", b"x")]


@pytest.mark.parametrize(
    "headers",
    [
        PSEUDO[:3],
        [*PSEUDO, (b"te", b"trailers"), (b"x-a", b""), (b"x-a", b"b")],
        [(b":method", b"CONNECT"), (b":authority", b"x")],
    ],
)
def test_well_formed(headers: HeaderList) -> None:
    """Order among pseudo-headers does not matter, nor does :authority have to be there."""
    assert check_request(headers) == -1
    assert check_request([*headers[:1][::-1], *headers[1:], (b"content-length", b"12")]) == 12


@pytest.mark.parametrize(
    "headers",
    [
        [],
        PSEUDO[1:],
        [*PSEUDO[:1], *PSEUDO[2:]],
        [*PSEUDO[:2], *PSEUDO[3:]],
        [*PSEUDO[:2], (b":path", b"")],
        [*PSEUDO, PSEUDO[3]],
        [(b"x", b"y"), *PSEUDO],
        [(b"te", b"trailers"), *PSEUDO],
        [*PSEUDO, (b":status", b"200")],
        [*PSEUDO, (b"te", b"trailers, gzip")],
        [*PSEUDO, (b"content-length", b"")],
        [*PSEUDO, (b"content-length", b"+1")],
        [*PSEUDO, (b"content-length", b"9" * 5000)],
        [*PSEUDO, (b"content-length", b"1"), (b"content-length", b"2")],
        [(b":method", b"CONNECT"), (b":path", b"/")],
        *([*PSEUDO, (name, b"x")] for name in (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade")),
    ],
)
def test_malformed(headers: HeaderList) -> None:
    """Each rule broken is an error of the stream."""
    with pytest.raises(StreamError):
        check_request(headers)


def test_trailers() -> None:
    """Trailers have names of their own and no pseudo-headers."""
    check_trailers(None)
    check_trailers([(b"grpc-status", b"0"), (b"content-type", b"x")])
    for header in (PSEUDO[0], (b":x", b"y"), (b"upgrade", b"x")):
        with pytest.raises(StreamError):
            check_trailers([header])


def test_characters() -> None:
    """Control characters and upper case end the connection; white space around a value does not."""
    check_characters([*PSEUDO, (b"x-a", b" b "), (b"x-bin", b"\xff")])
    for name, value in [(b"X", b""), (b"", b""), (b":", b""), (b"a:b", b""), (b"a b", b""), (b"\xff", b"")]:
        with pytest.raises(Http2Error):
            check_characters([(name, value)])
    for bad in (b"\0", b"\r", b"\n"):
        with pytest.raises(Http2Error):
            check_characters([(b"te", b"a" + bad + b"b")])
