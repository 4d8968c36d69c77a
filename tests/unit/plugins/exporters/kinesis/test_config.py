"""Options of the exporter ``kinesis``: the Collector's, and ours."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.exporters.kinesis.config import Compression, Encoding, KinesisConfig


def test_configuration_of_the_collector() -> None:
    """A configuration of the Collector's ``awskinesis`` means the same here."""
    config = KinesisConfig.model_validate(
        {
            "aws": {"stream_name": "raw-trace-stream", "region": "us-east-1", "role": "arn:aws:iam::1:role/test-role"},
            "encoding": {"name": "otlp", "compression": "zlib"},
            "max_records_per_batch": 100,
            "max_record_size": 1000000,
            "timeout": "5s",
        }
    )
    assert config.aws.endpoint == "https://kinesis.us-east-1.amazonaws.com"
    assert config.aws.role_in_force == "arn:aws:iam::1:role/test-role"
    assert (config.encoding.name, config.encoding.compression) == (Encoding.OTLP_PROTO, Compression.ZLIB)


@pytest.mark.parametrize(
    ("aws", "expected"),
    [
        ({"region": "cn-north-1"}, "https://kinesis.cn-north-1.amazonaws.com.cn"),
        ({"kinesis_endpoint": "http://localstack:4566/"}, "http://localstack:4566"),
    ],
)
def test_endpoints(aws: dict[str, Any], expected: str) -> None:
    """The region says where the stream is, unless there is an endpoint of one's own."""
    assert KinesisConfig.model_validate({"aws": aws | {"stream_name": "s"}}).aws.endpoint == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "aws"),
        ({"aws": {}}, "stream_name"),
        ({"aws": {"stream_name": "a b"}}, "stream_name"),
        ({"aws": {"stream_name": "s", "role": "a", "role_arn": "b"}}, "either role or role_arn"),
        ({"aws": {"stream_name": "s", "kinesis_endpoint": "localhost"}}, "a URL"),
        ({"aws": {"stream_name": "s"}, "max_records_per_batch": 501}, "max_records_per_batch"),
        ({"aws": {"stream_name": "s"}, "max_record_size": "11MiB"}, "max_record_size"),
        ({"aws": {"stream_name": "s"}, "max_record_size": "6MiB"}, "max_request_size must not be less"),
        ({"aws": {"stream_name": "s"}, "encoding": {"name": "zipkin_proto"}}, "'otlp_proto' or 'otlp_json'"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    """Each mistake has a message that says what would be right."""
    with pytest.raises(ValidationError) as raised:
        KinesisConfig.model_validate(options)
    assert message in str(raised.value)
