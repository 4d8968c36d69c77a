"""Credentials from everywhere that AWS puts them, and signatures with them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.logs import own_logging
from tests.support.metadata_server import metadata_server
from untrace_pipeline.config.model import LogsConfig
from untrace_pipeline.errors import Code, RetryableError
from untrace_pipeline.telemetry.logs import configure_logs
from untrace_plugins.clouds.aws import Signer
from untrace_plugins.clouds.config import AwsConfig

pytestmark = pytest.mark.once
URL = "https://kinesis.eu-central-1.amazonaws.com/"


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An environment without credentials, regions and files."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return iter([None])


async def signed(signer: Signer) -> dict[str, str]:
    headers = await signer.headers("POST", URL, {"content-type": "application/x-amz-json-1.1"}, b"{}")
    return {name.lower(): value for name, value in headers.items()}


async def key_of(signer: Signer) -> str:
    found = re.search(r"Credential=([^/]+)/", (await signed(signer))["authorization"])
    assert found
    return found[1]


def signer(**options: Any) -> Signer:
    return Signer(AwsConfig.model_validate(options), "kinesis")


async def test_fixed_keys() -> None:
    """Keys of the options sign for the region and the service, and the token goes along."""
    options = {
        "access_key_id": "AKID",
        "secret_access_key": "secret",
        "session_token": "token",
        "region": "eu-central-1",
    }
    headers = await signed(signer(**options))
    assert re.match(
        r"AWS4-HMAC-SHA256 Credential=AKID/\d{8}/eu-central-1/kinesis/aws4_request, "
        r"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$",
        headers["authorization"],
    )
    assert headers["x-amz-security-token"] == "token"


async def test_details_of_the_library_stay_out_of_the_log(tmp_path: Path) -> None:
    """At the level of details the library would write the token that it signs."""
    with own_logging():
        configure_logs(LogsConfig.model_validate({"level": "debug", "output_paths": [str(tmp_path / "log")]}), {})
        keys = {"access_key_id": "AKID", "secret_access_key": "secret", "session_token": "the-token"}
        await signed(signer(**keys))
        logging.getLogger("untrace_pipeline").debug("heard")
    text = (tmp_path / "log").read_text()
    assert "heard" in text
    assert "the-token" not in text


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and region of the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert "AKENV/" in (await signed(signer()))["authorization"]
    assert "/ap-south-1/kinesis/" in (await signed(signer()))["authorization"]


async def test_profile_and_renewal(tmp_path: Path) -> None:
    """A profile of the shared files; a file that was exchanged is read again when the old key is refused."""
    file = tmp_path / "credentials"
    file.write_text("[team]\naws_access_key_id = AKFILE\naws_secret_access_key = secret\n")
    one = signer(profile="team")
    assert await key_of(one) == "AKFILE"
    file.write_text(file.read_text().replace("AKFILE", "AKOTHER"))
    assert await key_of(one) == "AKFILE"
    one.renew()
    assert await key_of(one) == "AKOTHER"


async def test_instance_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """The role of the instance, asked for with a token (IMDSv2)."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    place = "/latest/meta-data/iam/security-credentials/"
    ends = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    role = {"Code": "Success", "AccessKeyId": "AKROLE", "SecretAccessKey": "s", "Token": "t", "Expiration": ends}
    answers: dict[str, Any] = {"/latest/api/token": "imds", place: "writer", f"{place}writer": role}
    async with metadata_server(answers) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        assert await key_of(signer()) == "AKROLE"
        assert ("PUT", "/latest/api/token") in [(method, path) for method, path, _ in server.asked]


async def test_none() -> None:
    """Without credentials the data waits, and the message says where they were looked for."""
    with pytest.raises(RetryableError, match="no AWS credentials: none configured") as raised:
        await signed(signer())
    assert raised.value.code is Code.UNAUTHENTICATED
    with pytest.raises(RetryableError, match=r"no AWS credentials: The config profile .gone. could not be found"):
        await signed(signer(profile="gone"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"access_key_id": "a"}, "belong together"),
        ({"secret_access_key": "a"}, "belong together"),
        ({"session_token": "a"}, "session_token needs"),
        ({"access_key_id": "a", "secret_access_key": "b", "profile": "c"}, "either access_key_id or profile"),
    ],
)
def test_options_that_contradict(options: dict[str, str], message: str) -> None:
    """What cannot be meant is an error."""
    with pytest.raises(ValidationError, match=message):
        AwsConfig.model_validate(options)
