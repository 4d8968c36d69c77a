"""Bearer tokens: fetched when they are needed, kept while they are good."""

from __future__ import annotations

import asyncio

import pytest

from untrace_pipeline.errors import Code, RetryableError
from untrace_plugins.clouds.tokens import Fixed, Tokens

pytestmark = pytest.mark.once


class Library:
    """Gives numbered tokens that live an hour."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.given = 0
        self.error: Exception | None = None

    def fetch(self) -> tuple[str, float]:
        if self.error:
            raise self.error
        self.given += 1
        return f"token-{self.given}", self.now + 3600


async def proof(tokens: Tokens) -> str:
    return (await tokens.headers("PUT", "https://a/b", {"x": "1"}, b""))["authorization"]


async def test_kept_while_good() -> None:
    """One token serves until shortly before its end, also for many at once."""
    library = Library()
    tokens = Tokens(library.fetch, "Google", lambda: library.now)
    assert set(await asyncio.gather(*(proof(tokens) for _ in range(5)))) == {"Bearer token-1"}
    library.now += 3299
    assert await proof(tokens) == "Bearer token-1"
    library.now += 2
    assert await proof(tokens) == "Bearer token-2"


async def test_refused() -> None:
    """A token that was not taken is exchanged."""
    library = Library()
    tokens = Tokens(library.fetch, "Google", lambda: library.now)
    assert await proof(tokens) == "Bearer token-1"
    tokens.renew()
    assert await proof(tokens) == "Bearer token-2"


async def test_not_to_be_had() -> None:
    """Without a token the data waits, and the next request asks again."""
    library = Library()
    tokens = Tokens(library.fetch, "Google", lambda: library.now)
    library.error = ValueError("metadata server\nis away")
    with pytest.raises(RetryableError, match="no Google credentials: metadata server is away") as raised:
        await proof(tokens)
    assert raised.value.code is Code.UNAUTHENTICATED
    library.error = None
    assert await proof(tokens) == "Bearer token-1"


async def test_fixed() -> None:
    """Fixed headers are added to the others."""
    assert await Fixed(authorization="a").headers("PUT", "u", {"b": "c"}, b"") == {"b": "c", "authorization": "a"}
