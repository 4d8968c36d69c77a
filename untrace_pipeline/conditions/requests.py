"""Values of the request that carried a batch: headers, client address, what the authenticator said."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from untrace_pipeline.data import Context, Value

__all__ = ["client_address", "context_value", "metadata_values"]


def metadata_values(name: str) -> Callable[[Context], tuple[str, ...]]:
    """Return a reader of all values of a header or gRPC metadata key, in any case."""
    key = name.lower()
    return lambda context: context.metadata.get(key, ())


def client_address(context: Context) -> str:
    """Return the client's IP address without its port; what is no ``ip:port`` comes back as it is (``unix``)."""
    host, colon, _ = context.peer.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare)) if colon else context.peer
    except ValueError:
        return context.peer


def context_value(name: str) -> Callable[[Context], Value]:
    """Return a reader of ``metadata.<header>``, ``auth.<attribute>``, ``client.address`` or a bare header name.

    Several values are joined with ``;``, as in the Collector's ``from_context``. ``None`` where there is none.
    """
    if name == "client.address":
        return client_address
    if name.startswith("auth."):
        return _auth_attribute(name.removeprefix("auth."))
    values = metadata_values(name.removeprefix("metadata."))
    return lambda context: ";".join(found) if (found := values(context)) else None


def _auth_attribute(name: str) -> Callable[[Context], Value]:
    def reader(context: Context) -> Value:
        value = context.auth.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
            return ";".join(value)
        return None

    return reader
