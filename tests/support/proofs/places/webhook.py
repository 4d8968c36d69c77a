"""A webhook, whose signatures are checked with the library of Standard Webhooks."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook

from tests.support.faulty_server import FaultyServer
from tests.support.proofs.place import SpanPlace, Stored
from tests.support.proofs.places.served import from_json

__all__ = ["WebhookPlace"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class WebhookPlace(SpanPlace):
    """Keeps what has a good signature."""

    name = "webhook"
    exports = "^/hook$"

    def __init__(self) -> None:
        self._server = FaultyServer()

    @property
    def peer(self) -> str:
        return "contract"

    @property
    def url(self) -> str:
        return self._server.url

    def options(self, url: str) -> dict[str, Any]:
        own = {"form": "otlp_json", "one_per_item": False, "secrets": [SECRET], "allow_private": True}
        return {"endpoint": f"{url}/hook", **own}

    def read(self) -> list[Stored]:
        for one in self._server.seen:
            Webhook(SECRET).verify(one.body, one.headers)
        return list(from_json(json.loads(one.body) for one in self._server.seen))

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)
