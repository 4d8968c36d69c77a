"""Standard Webhooks: signing what is sent (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from untrace_plugins.signing.keys import SigningKey

__all__ = ["signed_headers"]


def signed_headers(keys: Sequence[SigningKey], id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Return the headers of a message; with several keys several signatures, so that either side may change its own.

    ``id`` is the same for all attempts, ``timestamp`` the seconds of this one. Without keys there is no signature.
    """
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    if keys:
        content = b"%b.%d.%b" % (id.encode(), timestamp, body)
        signatures = [f"{key.version},{base64.b64encode(key.sign(content)).decode()}" for key in keys]
        headers["webhook-signature"] = " ".join(signatures)
    return headers
