"""Options of the ``untrace`` receiver, and who it lets in by an extension."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from tests.unit.plugins.receivers.untrace.client import MINIMAL
from untrace_pipeline.api import Code, Credentials, Kind, PermanentError
from untrace_pipeline.testing import Sink, StubHost, make_settings
from untrace_plugins.receivers.untrace import FACTORY
from untrace_plugins.receivers.untrace.config import UntraceReceiverConfig


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"keys": [{}]}, "either key or key_file"),
        ({"keys": [{"key": "canary", "key_file": "b"}]}, "either key or key_file"),
        ({"keys": [{"key": "  "}]}, "not empty"),
        ({"keys": [{"key": "canary", "allow": ["everything"]}]}, "allow"),
        ({"keys": [{"key": "canary"}], "auth": {"authenticator": "basic_auth"}}, "either keys or auth"),
        ({"idempotency": {"max_keys": 0}}, "max_keys"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], problem: str) -> None:
    """Each contradiction is told, and no key is quoted."""
    with pytest.raises(ValidationError) as caught:
        UntraceReceiverConfig.model_validate(options)
    assert problem in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({}, False),
        ({"endpoint": "0.0.0.0:4319"}, True),
        ({"endpoint": "0.0.0.0:4319", "keys": [{"key": "a"}]}, False),
        ({"endpoint": "unix:///run/x.sock"}, False),
    ],
)
def test_open_doors_are_remarked_on(options: dict[str, Any], warned: bool) -> None:
    """Who listens to all networks without asking for a key is warned."""
    config = UntraceReceiverConfig.model_validate(options)
    assert bool(list(config.review(None))) == warned  # type: ignore[arg-type]


class Doorman:
    """An extension that knows one token."""

    challenge = "Test"

    async def start(self, host: Any) -> None: ...

    async def shutdown(self) -> None: ...

    async def authenticate(self, metadata: Any) -> Credentials:
        if metadata.get("x-pass") != ("yes",):
            raise PermanentError("who is there?", code=Code.UNAUTHENTICATED)
        return Credentials({"subject": "somebody"}, "acme")


async def test_extension_says_who_sends() -> None:
    """An extension stands in place of keys: its tenant is that of the traces, its challenge that of the answer."""
    sink = Sink()
    options = {"endpoint": "127.0.0.1:0", "auth": {"authenticator": "doorman"}}
    settings = make_settings(Kind.RECEIVER, "untrace/test")
    receiver: Any = FACTORY.create(UntraceReceiverConfig.model_validate(options), settings, sink)
    await receiver.start(StubHost({"doorman": Doorman()}))
    try:
        async with aiohttp.ClientSession() as session:
            for headers, status in (({}, 401), ({"x-pass": "yes"}, 202)):
                url = f"http://{receiver.endpoint}/v1/traces"
                async with session.post(url, json=MINIMAL, headers=headers) as answer:
                    assert answer.status == status
                    assert answer.headers.get("www-authenticate") == ("Test" if status == 401 else None)
    finally:
        await receiver.shutdown()
    (batch,) = sink.batches
    assert (batch.context.tenant, batch.context.auth) == ("acme", {"subject": "somebody"})
