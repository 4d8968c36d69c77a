"""The example `configs/rest-and-webhooks.yaml` as a process: JSON and webhooks in, files and webhooks out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.http_peer import HttpPeer
from tests.support.peers import Daemon
from tests.support.webhooks import signature_headers
from untrace_plugins.signing.schemes import SCHEMES

pytestmark = [pytest.mark.e2e, pytest.mark.once]

EXAMPLE = Path(__file__).resolve().parents[2] / "configs" / "rest-and-webhooks.yaml"
KEY, SECRET = "tr_live_canary_7d1f", "canary-github-91aa"
TRACE: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "request": {"prompt": "Hi"}}


def example(directory: Path, hook: str) -> dict[str, Any]:
    """Return the example; only where it listens, and where files and failures go, are others."""
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    config["receivers"]["untrace"]["endpoint"] = "127.0.0.1:${env:REST_PORT}"
    config["receivers"]["webhook"]["endpoint"] = "127.0.0.1:${env:HOOK_PORT}"
    for name in ("spans", "events"):
        config["exporters"][f"file/{name}"]["path"] = str(directory / f"{name}.jsonl")
    config["exporters"]["webhook/failures"]["endpoint"] = f"{hook}/failures"
    config["service"]["telemetry"] = {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}}
    return config


async def call(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    """Send a request."""
    sent = {"content-type": "application/json", **headers}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as answer:
        return answer.status, await answer.json()


async def test_example(tmp_path: Path) -> None:
    """Traces and events arrive where the example says, failures go out, and no secret is anywhere."""
    async with HttpPeer() as hook:
        environment = {"UNTRACE_KEY": KEY, "GITHUB_SECRET": SECRET}
        async with Daemon(example(tmp_path, hook.url), directory=tmp_path, env=environment) as daemon:
            rest, github = (f"http://{daemon.endpoint(port)}" for port in ("REST_PORT", "HOOK_PORT"))
            key = {"x-untrace-key": KEY}
            assert (await call(f"{rest}/v1/traces", json.dumps(TRACE).encode(), {}))[0] == 401
            failed = json.dumps({"traces": [TRACE, {**TRACE, "error": {"message": "overloaded"}}, {}]}).encode()
            for _ in range(2):
                status, said = await call(f"{rest}/v1/traces/batch", failed, {**key, "x-idempotency-key": "k"})
                assert (status, said["accepted"], said["rejected"]) == (202, 2, 1)
            status, said = await call(
                f"{rest}/v1/traces", json.dumps(TRACE).encode(), {**key, "x-untrace-dry-run": "1"}
            )
            assert (status, said["status"]) == (200, "dry_run")
            assert "exporter file/spans: 1 span" in said["remarks"]
            body = b'{"action":"opened"}'
            headers = dict(signature_headers(SCHEMES["github"], SECRET, body, 0)) | {"x-github-event": "issues"}
            assert await call(f"{github}/webhooks/github", body, headers) == (200, {"accepted": 1, "ignored": 0})
            assert (await call(f"{github}/webhooks/github", b"{}", headers))[0] == 401
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{daemon.endpoint('METRICS_PORT')}/metrics") as page,
            ):
                metrics = await page.text()
        assert [json.loads(asked.body) for asked in hook.asked] == [{"text": "gpt-4o failed for acme: overloaded"}]
    spans, events = ((tmp_path / name).read_text() for name in ("spans.jsonl", "events.jsonl"))
    assert spans.count('"spanId"') == 2
    assert spans.count("gen_ai.request.model") == 2
    assert events.count('"issues"') == 1
    assert 'receiver_rejected_traces_total{receiver="untrace"' in metrics
    everything = [spans, events, metrics, (tmp_path / "output.log").read_text(), *(str(asked) for asked in hook.asked)]
    assert not any(secret in text for secret in (KEY, SECRET) for text in everything)
