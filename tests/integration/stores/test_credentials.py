"""Who we are for three clouds, before stores that check it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.buckets import SOMEBODY, AzureBucket, GcsBucket, S3Bucket, ask
from tests.support.faulty_server import Fault, FaultyServer
from tests.support.metadata_server import metadata_server
from tests.support.peers import Azurite, FakeGcs, Moto, peer_or_skip
from untrace_pipeline.errors import RetryableError
from untrace_pipeline.testing import StubHost
from untrace_plugins.stores import ObjectStore, StoreConfig, StoredObject, open_store

pytestmark = pytest.mark.once
LARGE = bytes(6 * 2**20)


@asynccontextmanager
async def opened(options: Mapping[str, Any]) -> AsyncIterator[ObjectStore]:
    store = open_store(StoreConfig.model_validate({"part_size": "5MiB", **options}), logging.getLogger(__name__))
    await store.start(StubHost())
    try:
        yield store
    finally:
        await store.close()


# ------------------------------------------------------------------------ AWS


class StrictMoto(Moto):
    """Moto that checks signatures and rights, after the free actions that make a user and a bucket."""

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "INITIAL_NO_AUTH_ACTION_COUNT": "4"}


@pytest.fixture(scope="module")
def strict() -> Iterator[tuple[str, dict[str, str]]]:
    """A bucket that takes signed requests alone, and a key that may write there."""
    with peer_or_skip():
        server = StrictMoto()
        server.__enter__()
    try:
        iam = {
            "content-type": "application/x-www-form-urlencoded",
            "authorization": SOMEBODY["authorization"].replace("/s3/", "/iam/"),
        }
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        for action in ("CreateUser", f"PutUserPolicy&PolicyName=p&PolicyDocument={quote(json.dumps(policy))}"):
            ask("POST", server.url, f"Action={action}&Version=2010-05-08&UserName=u".encode(), iam)
        made = ask("POST", server.url, b"Action=CreateAccessKey&Version=2010-05-08&UserName=u", iam)[0].decode()
        key = {
            option: made.partition(f"<{tag}>")[2].partition("<")[0]
            for option, tag in (("access_key_id", "AccessKeyId"), ("secret_access_key", "SecretAccessKey"))
        }
        S3Bucket(server.url, "strict")
        yield server.url, key
    finally:
        server.__exit__(None, None, None)


async def test_signature_is_right(strict: tuple[str, dict[str, str]]) -> None:
    """A store that checks signatures takes ours: strange keys, queries, headers and parts included."""
    url, key = strict
    s3 = {"endpoint": url, "tags": {"a b": "c+d"}, **key}
    async with opened({"url": "s3://strict/base", "s3": s3}) as store:
        assert await store.put(StoredObject("y=1/ü b/(x)~*'!@&$,;:+.json", b"{}", "application/json", "gzip"))
        assert await store.put(StoredObject("empty", b""))
        assert await store.put(StoredObject("large", LARGE))


async def test_wrong_secret(strict: tuple[str, dict[str, str]]) -> None:
    """A wrong secret is refused, which shows that the store looks; the data would wait."""
    url, key = strict
    async with opened({"url": "s3://strict", "s3": {"endpoint": url, **key, "secret_access_key": "wrong"}}) as store:
        with pytest.raises(RetryableError, match="HTTP 403 SignatureDoesNotMatch"):
            await store.put(StoredObject("x", b""))


async def test_role(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed with the given keys, and its own sign the requests."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.url)
    bucket = S3Bucket(moto.url, f"b{uuid.uuid4().hex[:12]}")
    with FaultyServer(moto.url) as front:
        role = {"role_arn": "arn:aws:iam::123456789012:role/writer", "external_id": "untrace", "endpoint": front.url}
        async with opened(bucket.options | {"s3": bucket.options["s3"] | role}) as store:
            assert await store.put(StoredObject("x", b"1"))
        (seen,) = front.seen
    assert "testing-key-id" not in seen.headers["authorization"]
    assert seen.headers["x-amz-security-token"]


async def test_expired_token_is_exchanged(s3: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``ExpiredToken`` credentials are read again."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    text = "[team]\naws_access_key_id = {}\naws_secret_access_key = s\naws_session_token = t\n"
    file.write_text(text.format("AKOLD"))
    with FaultyServer(s3.url.rpartition("/")[0]) as front:
        front.faults.append(Fault(400, b"<Error><Code>ExpiredToken</Code></Error>"))
        options = {"url": s3.options["url"], "s3": {"endpoint": front.url, "profile": "team"}}
        async with opened(options) as store:
            with pytest.raises(RetryableError, match="ExpiredToken"):
                await store.put(StoredObject("x", b"1"))
            file.write_text(text.format("AKNEW"))
            assert await store.put(StoredObject("x", b"1"))
        assert ["AKOLD" in front.seen[0].headers["authorization"], "AKNEW" in front.seen[1].headers["authorization"]]


# --------------------------------------------------------------------- Google


@pytest.mark.parametrize("size", [1, len(LARGE)], ids=str)
async def test_service_account(fake_gcs: FakeGcs, tmp_path: Path, size: int) -> None:
    """A service account gets a token for its key, and shows it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    bucket = GcsBucket(fake_gcs.url, f"b{uuid.uuid4().hex[:12]}")
    with FaultyServer() as tokens, FaultyServer(fake_gcs.url) as front:
        answer = {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
        tokens.faults.append(Fault(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}))
        account = {"type": "service_account", "client_email": "w@p.iam.gserviceaccount.com", "private_key": pem}
        account |= {"private_key_id": "1", "project_id": "p", "token_uri": f"{tokens.url}/token"}
        (tmp_path / "account.json").write_text(json.dumps(account))
        gcs = {"endpoint": front.url, "credentials_file": str(tmp_path / "account.json")}
        async with opened({"url": bucket.options["url"], "gcs": gcs}) as store:
            assert await store.put(StoredObject("x", bytes(size)))
        assert len(tokens.seen) == 1
        assert {seen.headers["authorization"] for seen in front.seen} == {"Bearer ya29.token"}


async def test_token_of_google(fake_gcs: FakeGcs) -> None:
    """A given token is shown as it is."""
    bucket = GcsBucket(fake_gcs.url, f"b{uuid.uuid4().hex[:12]}")
    with FaultyServer(fake_gcs.url) as front:
        gcs = {"endpoint": front.url, "access_token": "given"}
        async with opened({"url": bucket.options["url"], "gcs": gcs}) as store:
            assert await store.put(StoredObject("x", b"1"))
        assert front.seen[0].headers["authorization"] == "Bearer given"


# ---------------------------------------------------------------------- Azure


def account_sas(key: str, permissions: str = "rwc") -> str:
    """Return a shared access signature of the account (Azure Storage, "Create an account SAS")."""
    fields = {
        "sp": permissions,
        "ss": "b",
        "srt": "co",
        "st": "",
        "se": "2099-01-01T00:00:00Z",
        "sip": "",
        "spr": "",
        "sv": "2021-12-02",
        "ses": "",
    }
    text = "\n".join([Azurite.account, *fields.values(), ""])
    proof = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in {**fields, "sig": proof}.items() if value)


@pytest.mark.parametrize("size", [1, len(LARGE)], ids=str)
async def test_sas(azurite: Azurite, size: int) -> None:
    """A shared access signature is enough, and is in no URL that others are given."""
    bucket = AzureBucket(azurite.url, f"b{uuid.uuid4().hex[:12]}")
    azure = {"endpoint": bucket.options["azure"]["endpoint"], "sas_token": account_sas(Azurite.key)}
    async with opened({"url": bucket.options["url"], "azure": azure}) as store:
        assert await store.put(StoredObject("x y", bytes(size)))
        assert "sig" not in store.locate("x y")
    assert len(bucket.read("base/x y")) == size


async def test_wrong_sas(azurite: Azurite) -> None:
    """A refusal says why, without the signature."""
    bucket = AzureBucket(azurite.url, f"b{uuid.uuid4().hex[:12]}")
    sas = account_sas(base64.b64encode(b"other").decode())
    azure = {"endpoint": bucket.options["azure"]["endpoint"], "sas_token": sas}
    async with opened({"url": bucket.options["url"], "azure": azure}) as store:
        with pytest.raises(RetryableError, match=r"HTTP 403 Auth(orization|entication)Fail") as raised:
            await store.put(StoredObject("x", b"1"))
    assert sas.rpartition("sig=")[2] not in str(raised.value)


async def test_managed_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a platform gives identities, a token of it is shown."""
    path = "/msi?api-version=2019-08-01&resource=https://storage.azure.com"
    answer = {"access_token": "ey.token", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
    async with metadata_server({path: answer}) as identity:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.url}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        with FaultyServer() as blobs:
            options = {"url": "az://c", "azure": {"account": "a", "endpoint": blobs.url}}
            async with opened(options) as store:
                assert await store.put(StoredObject("x", b"1"))
            assert blobs.seen[0].headers["authorization"] == "Bearer ey.token"
            assert blobs.seen[0].headers["x-ms-date"]
