"""HTTP Basic authentication (RFC 7617): checks clients against htpasswd entries, or adds credentials to requests.

One instance does one of both. A right password is hashed once and then remembered for the life of the process (as a
digest); wrong ones are hashed in a thread, one at a time, so that guessing does not slow down the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import ExtensionFactory, Settings, Stability
from untrace_plugins.extensions.basic_auth.config import BasicAuthConfig

if TYPE_CHECKING:
    from untrace_plugins.extensions.basic_auth.extension import BasicAuthClient, BasicAuthServer

__all__ = ["FACTORY"]


def _create(config: BasicAuthConfig, settings: Settings) -> BasicAuthServer | BasicAuthClient:
    from untrace_plugins.extensions.basic_auth.extension import (  # noqa: PLC0415  loads the hash functions
        BasicAuthClient,
        BasicAuthServer,
    )

    if config.htpasswd is not None:
        return BasicAuthServer(config.htpasswd, settings)
    assert config.client_auth is not None
    return BasicAuthClient(config.client_auth, settings)


FACTORY = ExtensionFactory(
    type_name="basic_auth",
    aliases=("basicauth",),
    config=BasicAuthConfig,
    description="checks (htpasswd) or sends user and password: HTTP Basic authentication",
    create=_create,
    stability=Stability.BETA,
)
