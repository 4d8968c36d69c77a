"""Every platform's exporter against a server that keeps that platform's rules."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.destinations.platforms import KEY, PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement
from tests.support.exporters import QUICK_RETRY, Running, running
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.registry import Registry
from untrace_pipeline.testing import make_batch

REGISTRY = Registry()
NAMES = sorted(PLATFORMS)
TAKERS = [name for name in NAMES if Signal.TRACES in REGISTRY.load(Kind.EXPORTER, name).signals]


def factory_of(name: str) -> ExporterFactory[Any]:
    found = REGISTRY.load(Kind.EXPORTER, name)
    assert isinstance(found, ExporterFactory)
    return found


def sending(name: str, server: ContractServer, **options: Any) -> AbstractAsyncContextManager[Running]:
    platform, factory = PLATFORMS[name], factory_of(name)
    own = {"endpoint": server.url + platform.base, "retry_on_failure": QUICK_RETRY, **platform.options, **options}
    return running(factory, own, signals=factory.signals)


def batches(factory: ExporterFactory[Any]) -> list[Batch]:
    """Return something of each signal that a platform takes."""
    made = {signal: make_batch(signal, 5) for signal in factory.signals}
    if Signal.TRACES in made:
        made[Signal.TRACES] = example_trace()
    return list(made.values())


def test_every_preset_has_its_contract() -> None:
    """Each type that is made of a file is held against rules that were written from elsewhere."""
    presets = {REGISTRY.load(one.kind, one.type_name).type_name for one in REGISTRY.installed() if one.is_preset}
    assert presets == PLATFORMS.keys()


@pytest.mark.parametrize("name", NAMES)
async def test_everything_arrives(name: str) -> None:
    """URL, headers, encoding, compression and form are what the platform takes: nothing is refused or ignored."""
    async with ContractServer(PLATFORMS[name].rules) as server, sending(name, server) as r:
        sent = batches(factory_of(name))
        for batch in sent:
            await r.consume(batch)
        await r.until_idle()
        assert server.refused == []
        assert server.item_count == sum(batch.item_count for batch in sent)
        assert server.ignored == 0
        assert r.dropped == {}


@pytest.mark.parametrize("name", [name for name in TAKERS if PLATFORMS[name].rules.credentials])
async def test_wrong_credentials_end_at_once(name: str) -> None:
    """No second attempt, and a reason."""
    rules = PLATFORMS[name].rules
    async with ContractServer(rules, Judgement(rules.unauthorized, b"no")) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [rules.unauthorized]
        assert r.dropped == {"permanent": 5}


@pytest.mark.parametrize("name", TAKERS)
async def test_busy_platforms_get_it_later(name: str) -> None:
    """429 and 503 lead to another attempt with the same bytes."""
    async with (
        ContractServer(PLATFORMS[name].rules, Judgement(429), Judgement(503)) as server,
        sending(name, server) as r,
    ):
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [429, 503]
        assert server.item_count == 5


@pytest.mark.parametrize("name", TAKERS)
async def test_too_large_is_cut_in_halves(name: str) -> None:
    """After 413 the halves arrive."""
    async with ContractServer(PLATFORMS[name].rules, Judgement(413)) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert server.refused == [413]
        assert [one.batch.item_count for one in server.received] in ([3, 2], [2, 3])


@pytest.mark.parametrize("name", [name for name in TAKERS if PLATFORMS[name].rules.max_bytes])
async def test_large_batches_fit_before_they_are_sent(name: str) -> None:
    """What exceeds a limit is split before, so that the platform never refuses it."""
    limit = PLATFORMS[name].rules.max_bytes
    one = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "note": "x" * 3000}
    batch = make_batch(items=limit // 3000 + 10, attributes=one)
    async with ContractServer(PLATFORMS[name].rules) as server, sending(name, server) as r:
        await r.consume(batch)
        await r.until_idle(30)
        assert server.refused == []
        assert server.item_count == batch.item_count
        assert len(server.received) > 1


@pytest.mark.parametrize("name", [name for name in TAKERS if KEY in PLATFORMS[name].options.values()])
async def test_no_secret_in_what_is_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs nor the options show a key, not even where a refusal quotes what was sent."""
    rules = PLATFORMS[name].rules
    said = f"bad key {KEY} {rules.credentials}".encode()
    async with ContractServer(rules, Judgement(400, said, "text/plain")) as server, sending(name, server) as r:
        await r.consume(example_trace())
        await r.until_idle()
        words = {word for value in rules.credentials.values() for word in value.split()}
        secrets = [KEY, *(word for word in words if len(word) > len("datadog") + 2)]
        shown = [caplog.text, repr(r.exporter._config)]
        assert "HTTP 400" in caplog.text
        assert not [secret for secret in secrets for text in shown if secret in text]
