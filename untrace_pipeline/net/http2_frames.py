"""Frames of HTTP/2 (RFC 9113, section 6): names, building, and reading the ones that are more than bytes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

__all__ = [
    "DEFAULT_WINDOW",
    "HEAD_BYTES",
    "MAX_PAYLOAD",
    "MAX_WINDOW",
    "PREFACE",
    "SETTING_BYTES",
    "ErrorCode",
    "Flag",
    "FrameType",
    "Http2Error",
    "Setting",
    "StreamError",
    "build",
    "build_goaway",
    "build_reset",
    "build_settings",
    "build_window_update",
    "check_goaway",
    "check_priority",
    "read_settings",
    "read_word",
    "unpad",
    "without_priority",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
MAX_PAYLOAD = 16384
"""SETTINGS_MAX_FRAME_SIZE, ours and the least that any peer takes."""
_LARGEST_PAYLOAD = 2**24 - 1
DEFAULT_WINDOW = 65535
MAX_WINDOW = 2**31 - 1
SETTING_BYTES = 6
_PRIORITY_BYTES = 5
"""Dependency and weight."""
_ON_ITSELF = "a stream that depends on itself"


class FrameType(IntEnum):
    """Section 6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag:
    """Bits of the flags; ACK and END_STREAM are the same bit of different frames."""

    END_STREAM = 0x1
    ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Setting(IntEnum):
    """Section 6.5.2, the ones that matter to a server."""

    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Http2Error(Exception):
    """The connection cannot go on; goes to the client in GOAWAY."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamError(Http2Error):
    """One stream cannot go on; goes to the client in RST_STREAM."""


def build(kind: FrameType, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return b"%b%b%b%b" % (len(payload).to_bytes(3, "big"), bytes((kind, flags)), stream.to_bytes(4, "big"), payload)


def build_goaway(last_stream: int, code: ErrorCode, message: str = "") -> bytes:
    """Return a GOAWAY frame."""
    payload = last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + message.encode()
    return build(FrameType.GOAWAY, 0, 0, payload)


def build_reset(stream: int, code: ErrorCode) -> bytes:
    """Return an RST_STREAM frame."""
    return build(FrameType.RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def build_window_update(stream: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return build(FrameType.WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def build_settings(settings: dict[Setting, int]) -> bytes:
    """Return a SETTINGS frame."""
    payload = b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings.items())
    return build(FrameType.SETTINGS, 0, 0, payload)


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Return identifiers and values that are allowed; unknown ones too. Raises :class:`Http2Error`."""
    if len(payload) % SETTING_BYTES:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
    for at in range(0, len(payload), SETTING_BYTES):
        key, value = int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")
        if key == Setting.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE too large")
        if key == Setting.ENABLE_PUSH and value > 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
        if key == Setting.MAX_FRAME_SIZE and not MAX_PAYLOAD <= value <= _LARGEST_PAYLOAD:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE out of range")
        yield key, value


def unpad(payload: bytes) -> bytes:
    """Return the content of a padded frame (6.1). Raises :class:`Http2Error`."""
    if not payload or payload[0] >= len(payload):
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def without_priority(stream: int, payload: bytes) -> bytes:
    """Return the block fragment of a HEADERS frame behind its priority fields (6.2). Raises :class:`Http2Error`."""
    if len(payload) < _PRIORITY_BYTES:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
    if _dependency(payload) == stream:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, _ON_ITSELF)
    return payload[_PRIORITY_BYTES:]


def check_priority(stream: int, payload: bytes) -> None:
    """Check a PRIORITY frame (6.3). Raises :class:`Http2Error`."""
    if not stream:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PRIORITY without a stream")
    if len(payload) != _PRIORITY_BYTES:
        raise StreamError(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of a wrong size")
    if _dependency(payload) == stream:
        raise StreamError(ErrorCode.PROTOCOL_ERROR, _ON_ITSELF)


def _dependency(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big") & MAX_WINDOW


def check_goaway(stream: int, payload: bytes) -> None:
    """Check a GOAWAY frame (6.8). Raises :class:`Http2Error`."""
    if stream:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
    if len(payload) < 8:  # noqa: PLR2004  last stream and error code
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY of a wrong size")


def read_word(payload: bytes, name: str) -> int:
    """Return the 31-bit number that is the whole payload. Raises :class:`Http2Error`."""
    if len(payload) != 4:  # noqa: PLR2004
        msg = f"{name} of a wrong size"
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, msg)
    return int.from_bytes(payload, "big") & MAX_WINDOW
