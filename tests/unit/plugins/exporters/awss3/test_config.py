"""The Collector's configuration of S3 means the same here."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.exporters import running
from tests.support.faulty_server import FaultyServer
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.awss3 import FACTORY
from untrace_plugins.exporters.awss3.config import AwsS3Config
from untrace_plugins.exporters.object_store.config import Compression, Format

PLACE = {"region": "eu-central-1", "s3_bucket": "databucket"}


def test_configuration_of_the_collector() -> None:
    """Every option has its counterpart."""
    uploader = {
        "s3_prefix": "metric",
        "s3_base_prefix": "environment/prod",
        "s3_partition_format": "%Y/%m/%d/%H/%M",
        "s3_partition_timezone": "Europe/Berlin",
        "file_prefix": "f",
        "endpoint": "minio:9000",
        "role_arn": "arn:aws:iam::1:role/r",
        "s3_force_path_style": True,
        "disable_ssl": True,
        "acl": "private",
        "storage_class": "GLACIER",
        "compression": "gzip",
        "retry_mode": "adaptive",
        "retry_max_attempts": 5,
        "retry_max_backoff": "30s",
        "unique_key_func_name": "uuidv7",
    }
    config = AwsS3Config.model_validate(
        {
            "s3uploader": PLACE | uploader,
            "marshaler": "otlp_proto",
            "resource_attrs_to_s3": {"s3_prefix": "com.awss3.prefix"},
            "sending_queue": {"enabled": True, "num_consumers": 10, "queue_size": 100},
            "timeout": "20s",
        }
    )
    same = config.as_object_store()
    assert (same.url, same.base_prefix, same.prefix, same.file_prefix) == (
        "s3://databucket",
        "environment/prod",
        "metric",
        "f",
    )
    assert (same.format, same.compression) == (Format.OTLP_PROTO, Compression.GZIP)
    assert (same.partition_format, same.partition_timezone) == ("%Y/%m/%d/%H/%M", "Europe/Berlin")
    assert (same.s3.region, same.s3.endpoint, same.s3.role_arn) == (
        "eu-central-1",
        "http://minio:9000",
        "arn:aws:iam::1:role/r",
    )
    assert (same.s3.acl, same.s3.storage_class, same.s3.force_path_style) == ("private", "GLACIER", True)
    assert (same.prefix_from_attribute, same.timeout) == ("com.awss3.prefix", 20.0)
    assert same.sending_queue is config.sending_queue


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "s3uploader"),
        ({"s3uploader": {}}, "s3_bucket"),
        ({"s3uploader": PLACE | {"compression": "snappy"}}, "compression"),
        ({"s3uploader": PLACE | {"s3_partition_format": "{"}}, "a format of strftime"),
        ({"s3uploader": PLACE | {"s3_partition_timezone": "Mars"}}, "the name of a time zone"),
        ({"s3uploader": PLACE, "marshaler": "sumo_ic"}, "'otlp_json' or 'otlp_proto'"),
        ({"s3uploader": PLACE, "resource_attrs_to_s3": {"s3_bucket": "b"}}, "use a routing connector"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    """Each mistake has a message that says what would be right."""
    with pytest.raises(ValidationError) as raised:
        AwsS3Config.model_validate(options)
    assert message in str(raised.value)


async def test_without_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the Collector, accepted means stored, one object per request, at the path that was asked for."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with FaultyServer() as s3:
        place = PLACE | {"endpoint": s3.url, "s3_force_path_style": True, "s3_partition_format": "p"}
        async with running(FACTORY, {"s3uploader": place}) as exporter:
            await exporter.consume(make_batch(items=2))
            assert [one.path.rpartition("_")[0] for one in s3.seen] == ["/databucket/p/traces"]
            await exporter.consume(make_batch(items=3))
            assert len(s3.seen) == 2
