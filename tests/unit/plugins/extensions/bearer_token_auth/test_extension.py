"""Bearer tokens, from both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.api import ClientAuthenticator, Code, Kind, PermanentError, ServerAuthenticator, StartError
from untrace_pipeline.testing import StubHost, make_settings
from untrace_plugins.extensions.bearer_token_auth import FACTORY


async def started(**options: Any) -> Any:
    """Return a running extension."""
    config = FACTORY.config.model_validate(options)
    extension = FACTORY.create(config, make_settings(Kind.EXTENSION, "bearer_token_auth", signals=()))
    await extension.start(StubHost())
    return extension


@pytest.mark.parametrize(
    ("options", "metadata"),
    [
        ({"token": "secret"}, {"authorization": ("Bearer secret",)}),
        ({"token": "secret"}, {"authorization": ("bearer  secret ",)}),
        ({"token": "secret", "scheme": "Token"}, {"authorization": ("Token secret",)}),
        ({"token": "secret", "scheme": "", "header": "X-Api-Key"}, {"x-api-key": ("secret",)}),
        ({"tokens": ["old", "new"]}, {"authorization": ("Bearer new",)}),
    ],
)
async def test_right_token(options: dict[str, Any], metadata: dict[str, tuple[str, ...]]) -> None:
    """Any configured token lets in, in the configured header and scheme."""
    await (await started(**options)).authenticate(metadata)


async def test_which_token_it_was() -> None:
    """However it is spelt, one token is one account, and the account does not tell the token."""
    server = await started(tokens=["first", "second"])
    values = ("Bearer first", "bearer   first ", "Bearer second")
    one, same, other = [(await server.authenticate({"authorization": (value,)})).account for value in values]
    assert one == same != other
    assert "first" not in one
    assert (await (await started(token="first")).authenticate({"authorization": (values[0],)})).account != one


@pytest.mark.parametrize(
    "metadata",
    [{}, {"authorization": ("Bearer wrong",)}, {"authorization": ("Basic secret",)}, {"authorization": ("secret",)}],
)
async def test_everything_else_is_refused(metadata: dict[str, tuple[str, ...]]) -> None:
    """A missing or wrong token is UNAUTHENTICATED."""
    server = await started(token="secret")
    with pytest.raises(PermanentError) as refusal:
        await server.authenticate(metadata)
    assert refusal.value.code is Code.UNAUTHENTICATED
    assert server.challenge == "Bearer"


async def test_file_wins_and_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens come from the file, one per line; a change is in force at once; an emptied file changes nothing."""
    monkeypatch.setattr("untrace_pipeline.net.secret_file.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("untrace_pipeline.api.watched_file.SETTLE_SECONDS", 0.0)
    path = tmp_path / "tokens"
    path.write_text("first\nsecond\n")
    both = await started(token="ignored", filename=str(path))
    assert isinstance(both, ServerAuthenticator)
    assert isinstance(both, ClientAuthenticator)
    assert await both.headers() == {"authorization": "Bearer first"}
    await both.authenticate({"authorization": ("Bearer second",)})
    path.write_text("third")
    assert await both.headers() == {"authorization": "Bearer third"}
    with pytest.raises(PermanentError):
        await both.authenticate({"authorization": ("Bearer second",)})
    path.write_text("")
    await both.authenticate({"authorization": ("Bearer third",)})
    await both.shutdown()


async def test_unusable_file_is_a_start_error(tmp_path: Path) -> None:
    """A missing or empty file stops the start, and says so."""
    with pytest.raises(StartError, match="No such file"):
        await started(filename=str(tmp_path / "none"))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(StartError, match="no token"):
        await started(filename=str(tmp_path / "empty"))


@pytest.mark.parametrize("options", [{}, {"token": "a", "tokens": ["b"]}, {"token": "a", "header": ""}])
def test_unclear_options_are_refused(options: dict[str, Any]) -> None:
    """There is exactly one source of tokens."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)


def test_tokens_are_never_shown() -> None:
    """Neither ``repr`` nor a dump has the token."""
    config = FACTORY.config.model_validate({"token": "hush", "tokens": []})
    assert "hush" not in repr(config)
    assert "hush" not in config.model_dump_json()
