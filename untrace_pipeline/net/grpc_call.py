"""One gRPC call on an HTTP/2 stream: its metadata, its message, its status (gRPC over HTTP/2, PROTOCOL-HTTP2.md)."""

from __future__ import annotations

import base64
from urllib.parse import quote_from_bytes

from untrace_pipeline.api.auth import Credentials
from untrace_pipeline.errors import Code, ConsumeError
from untrace_pipeline.net.decompression import ContentCoding, decompress_off_loop
from untrace_pipeline.net.hpack import encode_header
from untrace_pipeline.net.http2_stream import Stream

__all__ = [
    "PREFIX_BYTES",
    "GrpcCall",
    "GrpcError",
    "announced_size",
    "answer",
    "is_grpc",
    "read_head",
    "read_message",
    "refuse",
    "refuse_foreign",
]

PREFIX_BYTES = 5
"""Before each message: whether it is compressed, and its length."""
_ENCODINGS = {"gzip": ContentCoding.GZIP, "deflate": ContentCoding.DEFLATE, "zstd": ContentCoding.ZSTD}
_ACCEPTED = b"identity,gzip,deflate,zstd"
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_NO_CREDENTIALS = Credentials()

_STATUS_200 = b"\x88"  # entry 8 of HPACK's static table
_TYPE = encode_header(b"content-type", b"application/grpc")
_HEAD = _STATUS_200 + _TYPE
_OK = encode_header(b"grpc-status", b"0")
_NOT_GRPC = encode_header(b":status", b"415") + encode_header(b"content-type", b"text/plain; charset=utf-8")
_NOT_GRPC_TEXT = b"this endpoint speaks gRPC; OTLP/HTTP has an endpoint of its own\n"


class GrpcError(Exception):
    """Ends a call with a status; ``details`` is a serialized ``google.rpc.Status`` for the trailer."""

    def __init__(self, code: Code, message: str, details: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class GrpcCall:
    """What a handler may know about its call."""

    __slots__ = ("_stream", "credentials")

    def __init__(self, stream: Stream, credentials: Credentials = _NO_CREDENTIALS) -> None:
        self._stream = stream
        self.credentials = credentials

    def metadata(self) -> dict[str, tuple[str, ...]]:
        """Return the metadata by lower-case name, as on the wire: values of ``-bin`` names in base64."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self._stream.headers or ():
            if not name.startswith(b":"):
                key = name.decode("latin-1")
                found[key] = (*found.get(key, ()), value.decode("latin-1"))
        return found

    @property
    def peer(self) -> str:
        """``host:port`` of the client, or ``unix``."""
        return self._stream.connection.peer


def announced_size(stream: Stream) -> int | None:
    """Return the size of the message as its prefix says, ``None`` if that is not there yet."""
    return None if stream.size < PREFIX_BYTES else int.from_bytes(stream.chunks[0][1:PREFIX_BYTES], "big")


async def read_message(stream: Stream, encoding: str, limit: int) -> bytes:
    """Return the only message of a stream that has ended. Raises :class:`GrpcError`."""
    size = announced_size(stream)
    if size is None or size != stream.size - PREFIX_BYTES:
        raise GrpcError(Code.INVALID_ARGUMENT, "a unary call brings exactly one whole message")
    first, *more = stream.chunks
    stream.chunks = []
    body = first[PREFIX_BYTES:] if not more else b"".join((first[PREFIX_BYTES:], *more))
    if not first[0]:
        return body
    coding = _ENCODINGS.get(encoding)
    if coding is None:
        raise GrpcError(Code.INTERNAL, "the message is compressed, but grpc-encoding does not say how")
    try:
        return await decompress_off_loop(coding, body, limit)
    except ConsumeError as error:
        raise GrpcError(error.code, str(error)) from error


def read_head(stream: Stream) -> tuple[str, str]:
    """Return path and message encoding. Raises :class:`GrpcError` for a request that cannot be served."""
    if stream.headers is None:
        raise GrpcError(Code.RESOURCE_EXHAUSTED, "the metadata is larger than the limit of 64 KiB")
    head = dict(stream.headers)
    encoding = head.get(b"grpc-encoding", b"").decode("latin-1")
    if encoding not in _ENCODINGS and encoding not in {"", "identity"}:
        supported = _ACCEPTED.decode()
        raise GrpcError(Code.UNIMPLEMENTED, f"grpc-encoding {encoding[:50]!r} is not supported; supported: {supported}")
    return head.get(b":path", b"").decode("latin-1"), encoding


def is_grpc(stream: Stream) -> bool:
    """Whether the request is a gRPC call at all."""
    head = dict(stream.headers or ())
    fits = head.get(b"content-type", b"").startswith(b"application/grpc") and head.get(b":method") == b"POST"
    return stream.headers is None or fits


def answer(stream: Stream, message: bytes) -> None:
    """End a call with success and its response."""
    stream.connection.respond(stream, _HEAD, b"\x00%b%b" % (len(message).to_bytes(4, "big"), message), _OK)


def refuse(stream: Stream, error: GrpcError) -> None:
    """End a call with a status (Trailers-Only)."""
    head = [_HEAD, encode_header(b"grpc-status", str(int(error.code)).encode())]
    message = quote_from_bytes(str(error).encode(), safe=_PRINTABLE)
    head.append(encode_header(b"grpc-message", message.encode()))
    if error.code is Code.UNIMPLEMENTED:
        head.append(encode_header(b"grpc-accept-encoding", _ACCEPTED))
    if error.details:
        head.append(encode_header(b"grpc-status-details-bin", base64.b64encode(error.details).rstrip(b"=")))
    stream.connection.respond(stream, b"".join(head), b"", b"")


def refuse_foreign(stream: Stream) -> None:
    """End a request that is no gRPC call, as the protocol asks for: with an HTTP status."""
    stream.connection.respond(stream, _NOT_GRPC, _NOT_GRPC_TEXT, b"")
