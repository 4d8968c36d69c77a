"""Signing webhooks as their senders do."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from untrace_plugins.signing.schemes import Encoding, Form, Scheme

__all__ = ["signature_headers"]


def signature_headers(scheme: Scheme, secret: str, body: bytes, at: int, id: str = "msg_1") -> Mapping[str, str]:
    """Return the headers that a sender adds, made of a shared secret."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if scheme.standard_keys else secret.encode()
    content = scheme.content.replace("{id}", id).replace("{timestamp}", str(at)).encode()
    digest = hmac.new(key, content.replace(b"{body}", body), getattr(hashlib, scheme.algorithm)).digest()
    text = digest.hex() if scheme.encoding is Encoding.HEX else base64.b64encode(digest).decode()
    match scheme.form:
        case Form.PAIRS:
            text = f"t={at},{scheme.prefix}={text}"
        case Form.VERSIONS:
            text = f"v1,{text}"
        case _:
            text = scheme.prefix + text
    found = {scheme.header: text, scheme.id_header: id, scheme.timestamp_header: str(at)}
    return {name: value for name, value in found.items() if name}
