"""Bearer tokens (RFC 6750): checks that clients know one, or adds one to requests.

Comparing takes the same time for every token; tokens from a file are exchanged without a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import ExtensionFactory, Settings, Stability
from untrace_plugins.extensions.bearer_token_auth.config import BearerTokenAuthConfig

if TYPE_CHECKING:
    from untrace_plugins.extensions.bearer_token_auth.extension import BearerTokenAuth

__all__ = ["FACTORY"]


def _create(config: BearerTokenAuthConfig, settings: Settings) -> BearerTokenAuth:
    from untrace_plugins.extensions.bearer_token_auth.extension import BearerTokenAuth  # noqa: PLC0415

    return BearerTokenAuth(config, settings)


FACTORY = ExtensionFactory(
    type_name="bearer_token_auth",
    aliases=("bearertokenauth",),
    config=BearerTokenAuthConfig,
    description="checks or sends bearer tokens",
    create=_create,
    stability=Stability.BETA,
)
