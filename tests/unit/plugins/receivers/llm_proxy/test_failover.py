"""Which upstream is asked, how often, with which key; and what its circuit does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.llm_upstream import LlmUpstream
from tests.support.proxying import proxying
from untrace_pipeline.api import Status
from untrace_plugins.genai import names

CHAT = "/v1/chat/completions"
HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
KEY = {"Authorization": "Bearer sk-client"}


@pytest.fixture
def two() -> Iterator[tuple[LlmUpstream, LlmUpstream]]:
    with ExitStack() as stack:
        yield stack.enter_context(LlmUpstream()), stack.enter_context(LlmUpstream())


def options(
    first: LlmUpstream, second: LlmUpstream, backup: dict[str, Any] | None = None, **route: Any
) -> dict[str, Any]:
    """Return a proxy with a route over two upstreams."""
    return {
        "upstreams": {
            "openai": {"base_url": first.url, "first_byte_timeout": "300ms"},
            "openai/backup": {"base_url": second.url, **(backup or {})},
        },
        "routes": [{"path": CHAT, "upstreams": ["openai", "openai/backup"], **route}],
    }


@pytest.mark.parametrize("fault", ["status_429", "status_500", "status_503", "reset", "hang", "garbage"])
async def test_next_upstream_is_asked(two: tuple[LlmUpstream, LlmUpstream], fault: str) -> None:
    """What fails before its first byte is answered by the next upstream; the span names it and has both attempts."""
    first, second = two
    first.script([fault])
    async with proxying(**options(first, second)) as proxy:
        answer = await proxy.ask(CHAT, HELLO, headers=KEY)
        (span,) = await proxy.spans(1)
    assert answer.status == 200
    assert answer.body == second.reply().body
    attributes = span.attributes
    assert (attributes[names.PROXY_UPSTREAM], attributes[names.PROXY_ATTEMPTS]) == ("openai/backup", 2)
    assert attributes[names.SERVER_PORT] == second.port
    assert "error.type" not in attributes
    assert second.last.body == first.last.body


async def test_statuses_of_a_route(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """``retry_on`` says which answers are not the last word."""
    first, second = two
    first.script(["status_503", "status_404"])
    async with proxying(**options(first, second, retry_on=[404])) as proxy:
        answers = [await proxy.ask(CHAT, HELLO, headers=KEY) for _ in range(2)]
        await proxy.spans(2)
    assert [answer.status for answer in answers] == [503, 200]
    assert len(second.requests) == 1


async def test_answer_that_has_begun_stands(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """Nothing is repeated once the client has seen a byte."""
    first, second = two
    first.script(["reset_mid"])
    async with proxying(**options(first, second)) as proxy:
        answer = await proxy.ask(CHAT, HELLO)
    assert not answer.complete
    assert not second.requests


async def test_other_errors_stand(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """A request that is wrong is wrong everywhere."""
    first, second = two
    first.script(["status_400"])
    async with proxying(**options(first, second)) as proxy:
        assert (await proxy.ask(CHAT, HELLO)).status == 400
    assert not second.requests


async def test_last_failure_is_the_answer(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """Where all fail, the client gets the last answer as it came."""
    first, second = two
    first.script(["status_500"])
    second.script(["status_429"])
    async with proxying(**options(first, second)) as proxy:
        answer = await proxy.ask(CHAT, HELLO)
        (span,) = await proxy.spans(1)
    assert answer.status == 429
    assert answer.json["error"]
    assert span.attributes["error.type"] == "rate_limit_exceeded"


async def test_retries_before_the_next(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """``retries`` are per upstream, with the pause that it wishes for, if that is short enough."""
    first, second = two
    first.script(["status_500", "status_503", "status_502"])
    async with proxying(**options(first, second, retries=2)) as proxy:
        assert (await proxy.ask(CHAT, HELLO)).status == 200
    assert (len(first.requests), len(second.requests)) == (3, 1)


async def test_wish_to_wait_is_honoured(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """An upstream that wants more time than ``max_retry_delay`` is not asked again; the next one is."""
    first, second = two
    first.script(["status_429"])
    async with proxying(**options(first, second, retries=3, max_retry_delay="10ms")) as proxy:
        assert (await proxy.ask(CHAT, HELLO)).status == 200
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_circuit_passes_over_and_refuses(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """An open circuit sends calls on; where all are open the client is told when to come back."""
    first, second = two
    circuit = {"min_requests": 2, "open_duration": "60s"}
    given = options(first, second, {"circuit_breaker": circuit})
    given["upstreams"]["openai"]["circuit_breaker"] = circuit
    async with proxying(**given) as proxy:
        first.script(["status_500"] * 2)
        for _ in range(3):
            assert (await proxy.ask(CHAT, HELLO)).status == 200
        assert (len(first.requests), len(second.requests)) == (2, 3)
        assert proxy.count("llm_proxy_circuit_state", upstream="openai") == 2
        left_alone = "upstreams that are left alone, because most calls failed: openai"
        assert proxy.running.host.reports[-1] == (Status.RECOVERABLE_ERROR, left_alone)
        second.script(["status_503"] * 3)
        for _ in range(3):
            assert (await proxy.ask(CHAT, HELLO)).status == 503
        answer = await proxy.ask(CHAT, HELLO)
        await proxy.spans(7)
        assert proxy.count("llm_proxy_calls", upstream="openai", outcome="circuit_open") == 1
    assert answer.header("x-untrace-error") == "circuit_open"
    assert 1 <= int(answer.header("retry-after") or 0) <= 60
    assert len(second.requests) == 6


async def test_weights_split_the_calls(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """Each upstream gets its share first; one of weight 0 only helps out."""
    first, second = two
    asked: Counter[str] = Counter()
    async with proxying(**options(first, second, weights={"openai": 1, "openai/backup": 1})) as proxy:
        for _ in range(60):
            await proxy.ask(CHAT, HELLO)
    asked = Counter(first=len(first.requests), second=len(second.requests))
    assert min(asked.values()) > 10
    async with proxying(**options(first, second, weights={"openai/backup": 1})) as proxy:
        second.script(["status_500"])
        await proxy.ask(CHAT, HELLO)
        await proxy.ask(CHAT, HELLO)
    assert (len(first.requests), len(second.requests)) == (asked["first"] + 1, asked["second"] + 2)


async def test_azure_as_backup(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """Azure gets its own path, version and key; the client's key stays with the provider that it belongs to."""
    first, second = two
    first.script(["status_500", "status_500"])
    azure = {"kind": "azure_openai", "api_key": "az-key\n", "deployments": {"gpt-4o-mini": "mini"}}
    given = options(first, second, azure)
    given["routes"].append({"path": "/v1/responses", "upstreams": ["openai", "openai/backup"]})
    async with proxying(**given) as proxy:
        await proxy.ask(CHAT, HELLO, headers=KEY)
        assert second.last.target == "/openai/deployments/mini/chat/completions?api-version=2024-10-21"
        await proxy.ask("/v1/responses", {"model": "gpt-4o-mini", "input": "Hello"}, headers=KEY)
        assert second.last.target == "/openai/v1/responses"
        spans = await proxy.spans(2)
    assert second.last.header("api-key") == "az-key"
    assert second.last.header("authorization") is None
    assert {span.attributes[names.PROVIDER] for span in spans} == {"azure.ai.openai"}


async def test_openai_as_backup_of_azure(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """And the other way."""
    first, second = two
    first.script(["status_500"])
    given = options(first, second, {"api_key": "sk-own"})
    given["upstreams"]["azure_openai"] = given["upstreams"].pop("openai")
    path = "/openai/deployments/mini/chat/completions"
    given["routes"] = [{"path": path, "upstreams": ["azure_openai", "openai/backup"]}]
    async with proxying(**given) as proxy:
        await proxy.ask(f"{path}?api-version=1", HELLO, headers={"api-key": "az"})
    assert second.last.path == CHAT
    assert second.last.header("authorization") == "Bearer sk-own"
    assert second.last.header("api-key") is None


@pytest.mark.parametrize(
    ("kind", "path", "header", "value"),
    [
        ("openai", CHAT, "authorization", "Bearer own"),
        ("azure_openai", "/openai/v1/chat/completions", "api-key", "own"),
        ("anthropic", "/v1/messages", "x-api-key", "own"),
        ("cohere", "/v2/chat", "authorization", "Bearer own"),
        ("gemini", "/v1beta/models/gemini-2.5-flash:generateContent", "x-goog-api-key", "own"),
    ],
)
async def test_own_key_replaces_the_clients(
    two: tuple[LlmUpstream, LlmUpstream], kind: str, path: str, header: str, value: str
) -> None:
    """In the form that the kind wants; no trace of the client's, wherever it stood."""
    upstream, _ = two
    sent = {"Authorization": "Bearer theirs", "x-api-key": "theirs", "api-key": "theirs", "x-goog-api-key": "theirs"}
    async with proxying(upstreams={kind: {"base_url": upstream.url, "api_key": "own"}}) as proxy:
        await proxy.ask(f"{path}?key=theirs&alt=json", HELLO, headers=sent)
    seen = {name.lower(): value for name, value in upstream.last.headers}
    assert seen[header] == value
    assert "theirs" not in f"{upstream.last.headers}{upstream.last.target}"
    assert upstream.last.target.endswith("?alt=json")


async def test_clients_key_is_passed_on(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """Without a key of its own an upstream gets the client's, in the query, too."""
    upstream, _ = two
    path = "/v1beta/models/gemini-2.5-flash:generateContent?key=theirs"
    async with proxying(upstream) as proxy:
        await proxy.ask(path, HELLO)
        assert upstream.last.target == path
        await proxy.ask(CHAT, HELLO, headers=KEY)
        assert upstream.last.header("authorization") == "Bearer sk-client"


async def test_clients_key_can_be_dropped(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """``client_keys: drop`` lets no key through."""
    upstream, _ = two
    async with proxying(upstream, client_keys="drop") as proxy:
        await proxy.ask(CHAT, HELLO, headers=KEY)
    assert upstream.last.header("authorization") is None


async def test_headers_of_an_upstream(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """They are set, also where the client sent others."""
    upstream, _ = two
    upstreams = {"openai": {"base_url": upstream.url, "headers": {"OpenAI-Organization": "org-1"}}}
    async with proxying(upstreams=upstreams) as proxy:
        await proxy.ask(CHAT, HELLO, headers={"openai-organization": "org-2"})
    assert [value for name, value in upstream.last.headers if name.lower() == "openai-organization"] == ["org-1"]


async def test_path_without_an_upstream(two: tuple[LlmUpstream, LlmUpstream]) -> None:
    """The answer says what there is."""
    upstream, _ = two
    upstreams = {"openai": {"base_url": upstream.url}, "cohere": {"base_url": upstream.url}}
    async with proxying(upstreams=upstreams) as proxy:
        answer = await proxy.ask("/v1/messages", HELLO)
    assert answer.status == 404
    expected = "untrace-pipeline: no upstream speaks the API of /v1/messages (anthropic); there: openai, cohere"
    assert answer.json["error"]["message"] == expected
