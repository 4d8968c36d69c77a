"""``auth`` of a server: which extension checks who a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import Field

from untrace_pipeline.api.auth import Credentials, ServerAuthenticator
from untrace_pipeline.api.component import Host
from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.data import Context
from untrace_pipeline.errors import ConsumeError, StartError
from untrace_pipeline.net.http_message import HttpError, Request, metadata
from untrace_pipeline.net.refusal import status_of

__all__ = ["ServerAuthConfig", "check_request", "find_server_authenticator", "sender_of"]


_NOBODY = Credentials()


class ServerAuthConfig(ConfigModel):
    """``auth`` of a server."""

    authenticator: str = Field(min_length=1)
    """Id of the extension that checks each request. Example: ``basic_auth``."""


def find_server_authenticator(host: Host, auth: ServerAuthConfig | None) -> ServerAuthenticator | None:
    """Return the extension that ``auth`` names. Raises :class:`StartError` if it cannot check requests."""
    if auth is None:
        return None
    extension = host.extension(auth.authenticator)
    if not isinstance(extension, ServerAuthenticator):
        msg = f"extension {auth.authenticator} cannot authenticate requests: give it server credentials"
        raise StartError(msg)
    return extension


async def sender_of(
    request: Request,
    authenticator: ServerAuthenticator | None,
    *,
    include_metadata: bool = False,
    hidden: frozenset[str] = frozenset(),
) -> Context:
    """Return who a request comes from, with its headers if asked. Raises :class:`HttpError`: 401 or 403.

    ``hidden``: headers that hold credentials, and go no further.
    """
    headers = metadata(request.headers) if include_metadata or authenticator is not None else {}
    who = _NOBODY if authenticator is None else await _authenticate(authenticator, headers)
    if include_metadata:
        kept = {name: values for name, values in headers.items() if name not in hidden} if hidden else headers
        return Context(kept, who.attributes, who.tenant, request.peer, "http")
    return Context(auth=who.attributes, tenant=who.tenant, peer=request.peer, transport="http")


async def _authenticate(authenticator: ServerAuthenticator, headers: Mapping[str, tuple[str, ...]]) -> Credentials:
    try:
        return await authenticator.authenticate(headers)
    except ConsumeError as error:
        status = status_of(error.code, retryable=False)
        challenge = (("www-authenticate", authenticator.challenge),) if status is HTTPStatus.UNAUTHORIZED else ()
        raise HttpError(status, str(error), challenge) from error


async def check_request(request: Request, authenticator: ServerAuthenticator | None) -> None:
    """Check who a request for a page comes from, if anybody does. Raises :class:`HttpError` 401."""
    if authenticator is None:
        return
    try:
        await authenticator.authenticate(metadata(request.headers))
    except ConsumeError as error:
        raise HttpError(HTTPStatus.UNAUTHORIZED, str(error)) from error
