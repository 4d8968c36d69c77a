"""Keys of attributes that say what their value is."""

from __future__ import annotations

__all__ = ["IDENTIFIERS", "IDENTITIES", "IDENTITY", "IDENTITY_TRIGGERS", "TRIGGERS"]

IDENTIFIERS = frozenset(
    {
        "gen_ai.prompt.name",
        "gen_ai.prompt.version",
        "gen_ai.response.id",
        "gen_ai.tool.call.id",
        "service.version",
        "service.instance.id",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
    }
)
"""What joins data of several sources and holds no content: it stays as it is."""

IDENTITY = "identity"
"""Name, for policies and metrics, of what a mode finds by key."""
IDENTITIES = frozenset(
    {
        "user.id",
        "user.name",
        "user.full_name",
        "user.email",
        "enduser.id",
        "enduser.pseudo.id",
        "langfuse.user.id",
        "ai.telemetry.metadata.userId",
        "traceloop.association.properties.user_id",
    }
)
"""Keys whose values name a person, whatever their form: each mode treats them whole."""

TRIGGERS = (
    r"(?i:passw|passphrase|passcode|secret|credential|api[._-]?key|(?:auth|access|refresh|bearer)[._-]?token)",
    r"(?i:[._](?:pwd|pin|ssn|dob))",
)
"""Patterns of keys that say what their value is, where it has no form of its own."""
IDENTITY_TRIGGERS = (r"user[._](?:id|name|full_name|email|pseudo\.id)", r"\.userId")
"""The same for those that name a person."""
