"""Basic authentication, from both sides."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from pydantic import ValidationError

from untrace_pipeline.api import ClientAuthenticator, Code, Kind, PermanentError, ServerAuthenticator, StartError
from untrace_pipeline.testing import StubHost, make_settings
from untrace_plugins.extensions.basic_auth import FACTORY
from untrace_plugins.extensions.basic_auth import extension as module

BCRYPT = bcrypt.hashpw(b"password", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
SHA1 = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
APR1 = "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"


async def started(**options: Any) -> Any:
    """Return a running extension."""
    config = FACTORY.config.model_validate(options)
    extension = FACTORY.create(config, make_settings(Kind.EXTENSION, "basic_auth", signals=()))
    await extension.start(StubHost())
    return extension


def header(user: str, password: str) -> dict[str, tuple[str, ...]]:
    """Return the metadata of a request with credentials."""
    return {"authorization": (f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}",)}


@pytest.mark.parametrize(
    ("entry", "password"),
    [(BCRYPT, "password"), (SHA1, "password"), (APR1, "myPassword"), ("password", "password")],
    ids=["bcrypt", "sha1", "apr1", "plain"],
)
async def test_right_password_of_every_kind(entry: str, password: str) -> None:
    """Entries of every kind that ``htpasswd`` writes let the right password in, and no other."""
    server = await started(htpasswd={"inline": f"# people\n\nann:{entry}\n"})
    assert isinstance(server, ServerAuthenticator)
    assert not isinstance(server, ClientAuthenticator)
    credentials = await server.authenticate(header("ann", password))
    assert credentials.attributes == {"username": "ann", "subject": "ann"}
    with pytest.raises(PermanentError, match="credentials are wrong") as refusal:
        await server.authenticate(header("ann", "other"))
    assert refusal.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"authorization": ("Bearer token",)},
        {"authorization": ("Basic %%%",)},
        {"authorization": ("Basic " + base64.b64encode(b"nocolon").decode(),)},
        {"authorization": ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(),)},
        {"authorization": ("Basic " + "QUFB" * 2000,)},
        header("nobody", "password"),
        header("ann", "x" * 100),
        header("ann", "nul\0byte"),
        header("ann", ""),
        header("broken", "x"),
    ],
)
async def test_everything_else_is_refused(metadata: dict[str, tuple[str, ...]]) -> None:
    """Missing, malformed and wrong credentials are UNAUTHENTICATED, and the answer does not repeat them."""
    server = await started(htpasswd={"inline": f"ann:{BCRYPT}\nbroken:$2y$10$short"})
    with pytest.raises(PermanentError) as refusal:
        await server.authenticate(metadata)
    assert refusal.value.code is Code.UNAUTHENTICATED
    assert "nul" not in str(refusal.value)


async def test_long_password_is_cut_as_htpasswd_cuts_it() -> None:
    """A password beyond bcrypt's 72 bytes is right when its first 72 are."""
    password = "x" * 80
    entry = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    server = await started(htpasswd={"inline": f"ann:{entry}"})
    await server.authenticate(header("ann", password))


async def test_right_password_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request with the same credentials costs no hash; what is remembered is bounded."""
    calls = []
    monkeypatch.setattr(module, "_verify", lambda password, _entry: calls.append(password) or True)
    monkeypatch.setattr(module, "REMEMBERED", 2)
    server = await started(htpasswd={"inline": "a:x"})
    for user in ("a", "a", "b", "c", "c", "a"):
        await server.authenticate(header(user, "x"))
    assert len(calls) == 4


async def test_changed_file_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user taken out of the file cannot come in any more, although the password was remembered."""
    monkeypatch.setattr("untrace_pipeline.net.secret_file.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("untrace_pipeline.api.watched_file.SETTLE_SECONDS", 0.0)
    path = tmp_path / "htpasswd"
    path.write_text(f"ann:{SHA1}\n")
    server = await started(htpasswd={"file": str(path), "inline": f"bob:{SHA1}"})
    await server.authenticate(header("ann", "password"))
    path.write_text(f"eve:{SHA1}\nbob:other\n")
    with pytest.raises(PermanentError):
        await server.authenticate(header("ann", "password"))
    await server.authenticate(header("eve", "password"))
    await server.authenticate(header("bob", "password"))
    path.unlink()
    await server.authenticate(header("eve", "password"))
    await server.shutdown()


async def test_client_sends_what_server_takes(tmp_path: Path) -> None:
    """What the client half adds is what the server half checks; passwords from files lose their line end."""
    (tmp_path / "password").write_text("password\n")
    client = await started(client_auth={"username": "ann", "password_file": str(tmp_path / "password")})
    assert isinstance(client, ClientAuthenticator)
    assert not isinstance(client, ServerAuthenticator)
    server = await started(htpasswd={"inline": f"ann:{SHA1}"})
    sent = {name: (value,) for name, value in (await client.headers()).items()}
    assert (await server.authenticate(sent)).attributes["username"] == "ann"
    await client.shutdown()


@pytest.mark.parametrize("side", [{"htpasswd": {"file": "none"}}, {"client_auth": {"username_file": "none"}}])
async def test_missing_file_is_a_start_error(side: dict[str, Any], tmp_path: Path) -> None:
    """A file that is not there is named at start."""
    with pytest.raises(StartError, match="cannot read none: No such file"):
        await started(**side)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"htpasswd": {"inline": "a:b"}, "client_auth": {"username": "a"}},
        {"htpasswd": {}},
        {"client_auth": {"password": "x"}},
        {"client_auth": {"username": "a:b", "password": "x"}},
    ],
)
def test_incomplete_or_double_options_are_refused(options: dict[str, Any]) -> None:
    """One side, completely."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)
