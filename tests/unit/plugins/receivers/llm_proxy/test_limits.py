"""What each key may use, and who may call at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.support.llm_upstream import LlmUpstream
from tests.support.proxying import proxying
from untrace_pipeline.api import Credentials, Kind, PermanentError
from untrace_pipeline.errors import Code
from untrace_pipeline.net.http_message import Request
from untrace_pipeline.testing import make_settings
from untrace_plugins.extensions.bearer_token_auth import FACTORY as BEARER
from untrace_plugins.genai.pricing import Request as Priced
from untrace_plugins.genai.pricing import Usage
from untrace_plugins.genai.providers.span import Spent
from untrace_plugins.receivers.llm_proxy.limits import Limits
from untrace_plugins.receivers.llm_proxy.limits_config import LimitConfig
from untrace_plugins.receivers.llm_proxy.refusals import ProxyError

CHAT = "/v1/chat/completions"
HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
NOBODY = Credentials()


class Clock:
    """Seconds that a test lets pass."""

    now = 1000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def of(**headers: str) -> Request:
    return Request(
        [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()], 0, "1.2.3.4:5"
    )


def limits(clock: Clock, *given: dict[str, object], has_auth: bool = False) -> Limits:
    return Limits([LimitConfig.model_validate(one) for one in given], has_auth=has_auth, clock=clock)


def test_windows() -> None:
    """So many requests per window and key; the answer says when the next one begins."""
    clock = Clock()
    counted = limits(clock, {"window": "10s", "requests": 2})
    mine, yours = of(authorization="Bearer a"), of(authorization="Bearer b")
    counted.admit(mine, NOBODY)
    clock.advance(4)
    counted.admit(mine, NOBODY)
    with pytest.raises(
        ProxyError, match="this key has used its 2 requests per 10 s; it may call again in 6 s"
    ) as refused:
        counted.admit(mine, NOBODY)
    assert refused.value.headers == (("retry-after", "6"),)
    counted.admit(yours, NOBODY)
    clock.advance(6)
    counted.admit(mine, NOBODY)


def test_refused_calls_count_nowhere() -> None:
    """A call that one limit refuses does not use up another."""
    clock = Clock()
    counted = limits(clock, {"window": "1s", "requests": 1}, {"window": "1h", "requests": 2})
    for _ in range(5):
        with pytest.raises(ProxyError):
            counted.admit(of(), NOBODY) or counted.admit(of(), NOBODY)
    clock.advance(1)
    counted.admit(of(), NOBODY)


def test_who_a_key_is() -> None:
    """Whom the server knows, else our key, else the provider's, else the address; never the key itself."""
    counted = limits(Clock(), {"tokens": 1})
    same = [of(x_untrace_key="k", authorization="Bearer 1"), of(x_untrace_key="k", authorization="Bearer 2")]
    assert len({counted.admit(one, NOBODY) for one in same}) == 1
    keys = [counted.admit(of(authorization="Bearer sk-secret"), NOBODY), counted.admit(of(), NOBODY)]
    keys += [counted.admit(of(), Credentials({"subject": "me"})), counted.admit(of(), Credentials(tenant="t"))]
    assert len(set(keys)) == 4
    assert not [key for key in keys if "secret" in key]


def test_who_a_key_is_with_auth() -> None:
    """Whom that found, be it only a token, else the address; no header that it may not have looked at."""
    counted = limits(Clock(), {"tokens": 1}, has_auth=True)
    headers: list[dict[str, str]] = [{}, {"x_untrace_key": "k"}, {"authorization": "Bearer 1"}, {"x_api_key": "k"}]
    for who in (NOBODY, Credentials(account="1"), Credentials({"subject": "me"}), Credentials(tenant="t")):
        assert len({counted.admit(of(**one), who) for one in headers}) == 1
    found = [NOBODY, *(Credentials(account=one) for one in ("1", "2"))]
    assert len({counted.admit(of(), who) for who in found}) == 3
    elsewhere = Request([], 0, "1.2.3.5:5")
    assert counted.admit(elsewhere, NOBODY) != counted.admit(of(), NOBODY)


@pytest.mark.parametrize(("limit", "text"), [({"tokens": 100}, "100 tokens"), ({"dollars": 0.01}, r"0\.01 US dollars")])
def test_usage_refuses_the_next_call(limit: dict[str, object], text: str) -> None:
    """Tokens and dollars are known at the end of a call."""
    clock = Clock()
    counted = limits(clock, {"window": "1h", **limit})
    key = counted.admit(of(), NOBODY)
    spent = Spent(Priced("openai", "gpt-4o-mini", None, None, "api.openai.com"), Usage(50_000, 20_000))
    counted.spend(key, spent, 1_760_000_000_000_000_000)
    with pytest.raises(ProxyError, match=text):
        counted.admit(of(), NOBODY)
    counted.spend(key, Spent(spent.request, None), 0)
    clock.advance(3600)
    counted.admit(of(), NOBODY)


# ------------------------------------------------------------- through the proxy


@pytest.fixture
def upstream() -> Iterator[LlmUpstream]:
    with LlmUpstream() as running:
        yield running


@pytest.mark.parametrize("capture", ["full", "none"])
async def test_tokens_of_calls_are_counted(upstream: LlmUpstream, capture: str) -> None:
    """Also of streams and where nothing is captured; the client is refused in the provider's words."""
    async with proxying(upstream, capture=capture, limits=[{"window": "1h", "tokens": 1}]) as proxy:
        first = await proxy.ask(CHAT, {**HELLO, "stream": True, "stream_options": {"include_usage": True}})
        await proxy.spans(1)
        second = await proxy.ask(CHAT, HELLO)
        other = await proxy.ask(CHAT, HELLO, headers={"x-untrace-key": "other"})
    assert (first.status, second.status, other.status) == (200, 429, 200)
    assert second.json["error"]["code"] == "rate_limit_exceeded"
    assert int(second.header("retry-after") or 0) > 3500
    assert len(upstream.requests) == 2


class Guard:
    """Lets one token in."""

    challenge = "Bearer"

    async def start(self, _host: object) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Credentials:
        if metadata.get("authorization") != ("Bearer ours",):
            raise PermanentError("wrong token", code=Code.UNAUTHENTICATED)
        return Credentials({"subject": "me"}, "tenant-1")


async def test_clients_can_be_asked_who_they_are(upstream: LlmUpstream) -> None:
    """Without a token of ours nothing is sent on; with it, the provider sees the daemon's key only."""
    options = {
        "upstreams": {"openai": {"base_url": upstream.url, "api_key": "sk-own"}},
        "auth": {"authenticator": "guard"},
    }
    async with proxying(None, extensions={"guard": Guard()}, **options) as proxy:
        refused = await proxy.ask(CHAT, HELLO, headers={"Authorization": "Bearer theirs"})
        assert not upstream.requests
        answer = await proxy.ask(CHAT, HELLO, headers={"Authorization": "Bearer ours"})
        await proxy.spans(1)
        (batch,) = proxy.running.sink.batches
    assert (refused.status, refused.header("www-authenticate")) == (401, "Bearer")
    assert answer.status == 200
    assert upstream.last.header("authorization") == "Bearer sk-own"
    assert (batch.context.tenant, batch.context.auth) == ("tenant-1", {"subject": "me"})


async def test_other_keys_do_not_evade_limits(upstream: LlmUpstream) -> None:
    """What was not checked, and other spellings of the same token, begin no new account; another token does."""
    config = BEARER.config.model_validate({"tokens": ["ours", "too"]})
    bearer = BEARER.create(config, make_settings(Kind.EXTENSION, "bearer_token_auth", signals=()))
    options = {"auth": {"authenticator": "bearer_token_auth"}, "limits": [{"window": "1h", "requests": 1}]}
    more = ({"X-Untrace-Key": "1"}, {"X-Untrace-Key": "2"}, {"X-Api-Key": "3"}, {"Authorization": "bearer   ours"})
    async with proxying(upstream, extensions={"bearer_token_auth": bearer}, **options) as proxy:
        sent = [{"Authorization": "Bearer ours", **headers} for headers in more]
        statuses = [(await proxy.ask(CHAT, HELLO, headers=headers)).status for headers in sent]
        other = await proxy.ask(CHAT, HELLO, headers={"Authorization": "Bearer too"})
    assert (statuses, other.status) == ([200, 429, 429, 429], 200)


async def test_usage_that_is_guessed(upstream: LlmUpstream) -> None:
    """With ``estimate_usage`` a stream that reports no tokens has some, marked as a guess; what is reported stays."""
    stream = {**HELLO, "stream": True}
    async with proxying(upstream) as proxy:
        await proxy.ask(CHAT, stream)
        (silent,) = await proxy.spans(1)
        await proxy.ask(CHAT, HELLO)
        told = (await proxy.spans(2))[1]
    async with proxying(upstream, estimate_usage=True) as proxy:
        await proxy.ask(CHAT, stream)
        (guessed,) = await proxy.spans(1)
        await proxy.ask(CHAT, HELLO)
        kept = (await proxy.spans(2))[1]
    names = ("untrace.usage.estimated", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    assert not any(name in silent.attributes for name in names)
    assert guessed.attributes[names[0]] is True
    guesses = [guessed.attributes[name] for name in names[1:]]
    assert all(isinstance(guess, int) and guess > 0 for guess in guesses)
    assert names[0] not in kept.attributes
    assert [kept.attributes[name] for name in names[1:]] == [told.attributes[name] for name in names[1:]]


async def test_usage_that_was_not_asked_for(upstream: LlmUpstream) -> None:
    """With ``inject_usage`` the span knows the tokens of a stream, and the client sees the stream that it asked for."""
    stream = {**HELLO, "stream": True}
    async with proxying(upstream) as plain:
        expected = await plain.ask(CHAT, stream)
    async with proxying(upstream, inject_usage=True) as proxy:
        answer = await proxy.ask(CHAT, stream, headers={"Accept-Encoding": "gzip"})
        (span,) = await proxy.spans(1)
    assert b'"include_usage":true' in upstream.last.body
    assert upstream.last.header("accept-encoding") is None
    assert span.attributes["gen_ai.usage.input_tokens"]
    assert b'"choices":[],"usage"' not in answer.body
    assert answer.body.count(b"data: ") == expected.body.count(b"data: ")
