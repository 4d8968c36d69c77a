"""Bodies of requests: asked for only where they are welcome, and read without their compression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from untrace_pipeline.errors import ConsumeError
from untrace_pipeline.net.decompression import ContentCoding, decompress_off_loop
from untrace_pipeline.net.http_message import HttpError, Request
from untrace_pipeline.net.refusal import http_refusal, status_of

__all__ = ["admit_body", "read_body"]


def admit_body(request: Request, admit: Callable[[int], None]) -> None:
    """Ask ``Intake.admit`` before the body is read, and again as it grows. Raises :class:`HttpError`."""

    def refusal(size: int) -> HttpError | None:
        try:
            admit(size)
        except ConsumeError as error:
            return http_refusal(error)
        return None

    if (refused := refusal(request.content_length or 0)) is not None:
        raise refused
    request.on_growth(refusal)


async def read_body(request: Request, algorithms: Sequence[str]) -> bytes:
    """Return the body; ``algorithms`` are the ``compression_algorithms`` of the server, ``""`` for none.

    Raises :class:`HttpError`: 413 for a body over the server's limit, also after decompression, 415 for another
    compression, 400 for a damaged one.
    """
    name = request.header("content-encoding").strip().lower()
    if name in {"", "identity"}:
        if "" not in algorithms:
            raise _unsupported(name, algorithms)
        return await request.read()
    if name not in algorithms:
        raise _unsupported(name, algorithms)
    try:
        return await decompress_off_loop(ContentCoding(name), await request.read(), request.limit)
    except ConsumeError as error:
        raise HttpError(status_of(error.code, retryable=False), str(error)) from error


def _unsupported(name: str, algorithms: Sequence[str]) -> HttpError:
    accepted = ", ".join(name or "identity" for name in algorithms)
    message = f"Content-Encoding {name[:50] or 'identity'!r} is not supported; supported: {accepted}"
    return HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, (("accept-encoding", accepted),))
