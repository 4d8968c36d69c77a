"""Options of object stores: what is accepted, and what is said of the rest."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.stores import Provider, StoreConfig, open_store

KEYS = {"access_key_id": "a", "secret_access_key": "b"}


@pytest.mark.parametrize(
    ("url", "provider", "bucket", "base"),
    [
        ("s3://traces", Provider.S3, "traces", ""),
        ("s3://traces/", Provider.S3, "traces", ""),
        ("s3://traces/a/b/", Provider.S3, "traces", "a/b"),
        ("gs://my.traces/a%20b", Provider.GCS, "my.traces", "a b"),
        ("az://traces/x", Provider.AZURE, "traces", "x"),
        ("file:///var/lib/a%20b", Provider.DIRECTORY, "", "/var/lib/a b"),
    ],
)
def test_urls(url: str, provider: Provider, bucket: str, base: str) -> None:
    """The scheme says who keeps the objects, the rest where."""
    config = StoreConfig.model_validate({"url": url, "azure": {"account": "a"}})
    assert (config.provider, config.bucket, config.base) == (provider, bucket, base)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "traces"}, "s3://bucket/prefix"),
        ({"url": "https://bucket.s3.amazonaws.com"}, "s3://bucket/prefix"),
        ({"url": "s3:///a"}, "s3://bucket/prefix"),
        ({"url": "s3://key:secret@bucket"}, "s3://bucket/prefix"),
        ({"url": "s3://bucket?region=x"}, "s3://bucket/prefix"),
        ({"url": "file://relative/path"}, "file:///directory"),
        ({"url": "az://c"}, "az:// needs azure.account"),
        ({"url": "az://c", "azure": {"account_key": "YQ=="}}, "account_key needs account"),
        ({"url": "az://c", "azure": {"account": "a", "account_key": "no base64!"}}, "which is base64"),
        ({"url": "az://c", "azure": {"account": "a", "account_key": "YQ==", "sas_token": "b"}}, "either account_key"),
        ({"url": "gs://b", "gcs": {"anonymous": True, "access_token": "t"}}, "one of credentials_file"),
        ({"url": "s3://b", "s3": {"endpoint": "minio:9000"}}, "a URL"),
        ({"url": "s3://b", "s3": {"tags": {str(n): "" for n in range(11)}}}, "at most 10"),
        ({"url": "s3://b", "part_size": "1MiB"}, "part_size"),
        ({"url": "file:///a", "file": {"file_permissions": "999"}}, "file_permissions"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    """Each mistake has a message that says what would be right, and quotes no secret."""
    with pytest.raises(ValidationError) as raised:
        StoreConfig.model_validate(options)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("bucket", "s3", "expected"),
    [
        ("b", {}, "https://b.s3.us-east-1.amazonaws.com"),
        ("b", {"region": "cn-north-1"}, "https://b.s3.cn-north-1.amazonaws.com.cn"),
        ("my.bucket", {"region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com/my.bucket"),
        ("b", {"endpoint": "http://minio:9000/"}, "http://minio:9000/b"),
        ("b", {"endpoint": "http://minio:9000", "force_path_style": False}, "http://b.minio:9000"),
        ("b", {"force_path_style": True}, "https://s3.us-east-1.amazonaws.com/b"),
    ],
)
def test_addresses_of_s3(monkeypatch: pytest.MonkeyPatch, bucket: str, s3: dict[str, Any], expected: str) -> None:
    """The bucket is in the host name where it can be, in the path where it has to be."""
    from untrace_plugins.stores.s3 import _address  # noqa: PLC0415

    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert _address(StoreConfig.model_validate({"url": f"s3://{bucket}/x", "s3": s3})) == expected


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("s3://b/base", "s3://b/base/k/1.json"),
        ("s3://b", "s3://b/k/1.json"),
        ("gs://b/base", "gs://b/base/k/1.json"),
        ("az://c/base", "https://a.blob.core.windows.net/c/base/k/1.json"),
        ("file:///d", "file:///d/k/1.json"),
    ],
)
def test_places(url: str, where: str) -> None:
    """An object has a URL that can be written down."""
    options = {"url": url, "s3": KEYS, "gcs": {"anonymous": True}, "azure": {"account": "a", "sas_token": "sig=x"}}
    assert open_store(StoreConfig.model_validate(options), logging.getLogger(__name__)).locate("k/1.json") == where
