"""What the header fields of a request must be (RFC 9113, 8.2 and 8.3); the rest is a malformed request."""

from __future__ import annotations

import re

from untrace_pipeline.net.hpack import HeaderList
from untrace_pipeline.net.http2_frames import ErrorCode, Http2Error, StreamError

__all__ = ["check_characters", "check_request", "check_trailers"]

# What is to be looked at in a field, by name; a pseudo-header is a bit of its own.
_METHOD, _SCHEME, _PATH, _AUTHORITY = 1, 2, 4, 8
_LAST_PSEUDO = _AUTHORITY
_TE, _LENGTH, _FORBIDDEN = 16, 17, 18
_PLAIN = 0
_REQUIRED = _METHOD | _SCHEME | _PATH
_KINDS = {
    b":method": _METHOD,
    b":scheme": _SCHEME,
    b":path": _PATH,
    b":authority": _AUTHORITY,
    b"te": _TE,
    b"content-length": _LENGTH,
    b"connection": _FORBIDDEN,
    b"keep-alive": _FORBIDDEN,
    b"proxy-connection": _FORBIDDEN,
    b"transfer-encoding": _FORBIDDEN,
    b"upgrade": _FORBIDDEN,
    # Names that every gRPC client sends, known to be well-formed.
    b"content-type": _PLAIN,
    b"user-agent": _PLAIN,
    b"grpc-accept-encoding": _PLAIN,
    b"grpc-encoding": _PLAIN,
    b"grpc-timeout": _PLAIN,
    b"authorization": _PLAIN,
}
_NAME = re.compile(rb":?[^\x00-\x20A-Z:\x7f-\xff]+")
_bad_in_value = re.compile(rb"[\x00\r\n]").search
"""White space at the ends is let through, though RFC 9113 has no room for it: gRPC's protocol has."""
_MAX_LENGTH_DIGITS = 18


def check_characters(literals: HeaderList) -> None:
    """Check names and values that a client spelled out, which covers those that it repeats later.

    Raises :class:`Http2Error` and not for the stream only, because what is wrong is in the connection's table now.
    """
    for name, value in literals:
        if (name not in _KINDS and not _NAME.fullmatch(name)) or _bad_in_value(value):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a character that no header has")


def check_request(headers: HeaderList) -> int:
    """Return the content length, -1 if it is not given. Raises :class:`StreamError` for a malformed request."""
    seen, regular, length = 0, False, -1
    for name, value in headers:
        kind = _KINDS.get(name)
        if not kind:
            regular = True
            if kind is None and name.startswith(b":"):
                raise _malformed("an unknown pseudo-header")
        elif kind <= _LAST_PSEUDO:
            if regular or seen & kind:
                raise _malformed("a pseudo-header twice, or after a regular one")
            if not value and kind == _PATH:
                raise _malformed("an empty :path")
            seen |= kind
        else:
            regular = True
            if kind != _TE or value != b"trailers":  # what gRPC clients send
                _check_special(kind, name, value)
            if kind == _LENGTH:
                length = _read_length(value, length)
    if seen & _REQUIRED != _REQUIRED:
        _check_connect(headers, seen)
    return length


def check_trailers(headers: HeaderList | None) -> None:
    """Check the fields behind a message; ``None`` if they were too large. Raises :class:`StreamError`."""
    for name, value in headers or ():
        kind = _KINDS.get(name)
        if kind is None and name.startswith(b":"):
            raise _malformed("an unknown pseudo-header")
        if kind and kind > _LAST_PSEUDO:
            _check_special(kind, name, value)
        elif kind:
            raise _malformed("a pseudo-header in trailers")


def _malformed(message: str) -> StreamError:
    return StreamError(ErrorCode.PROTOCOL_ERROR, message)


def _check_special(kind: int, name: bytes, value: bytes) -> None:
    if kind == _FORBIDDEN:
        msg = f"{name.decode()} means nothing in HTTP/2"
        raise _malformed(msg)
    if kind == _TE and value.lower() != b"trailers":
        raise _malformed("te other than trailers")


def _read_length(value: bytes, before: int) -> int:
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise _malformed("content-length is no number")
    length = int(value)
    if before not in {-1, length}:
        raise _malformed("two values of content-length")
    return length


def _check_connect(headers: HeaderList, seen: int) -> None:
    """Let a CONNECT pass, which names an authority and nothing else (8.5)."""
    if seen != _METHOD | _AUTHORITY or dict(headers)[b":method"] != b"CONNECT":
        raise _malformed("a request without :method, :scheme or :path")
