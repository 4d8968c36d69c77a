"""What becomes of a gRPC server's options."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from untrace_pipeline.net.grpc_settings import GrpcServerConfig


def test_options_become_channel_arguments() -> None:
    """Every option that the C core understands reaches it, in its unit."""
    config = GrpcServerConfig.model_validate(
        {
            "max_recv_msg_size_mib": 1,
            "max_concurrent_streams": 7,
            "read_buffer_size": 524288,
            "keepalive": {
                "server_parameters": {
                    "max_connection_idle": "11s",
                    "max_connection_age": "12s",
                    "max_connection_age_grace": "13s",
                    "time": "30s",
                    "timeout": "5s",
                },
                "enforcement_policy": {"min_time": "10s", "permit_without_stream": True},
            },
        }
    )
    assert dict(config.channel_arguments()) == {
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": 1024 * 1024,
        "grpc.max_concurrent_streams": 7,
        "grpc.max_connection_idle_ms": 11_000,
        "grpc.max_connection_age_ms": 12_000,
        "grpc.max_connection_age_grace_ms": 13_000,
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.http2.min_ping_interval_without_data_ms": 10_000,
        "grpc.keepalive_permit_without_calls": 1,
    }


def test_defaults_leave_the_library_alone() -> None:
    """Without options only the size limit of 64 MiB, exclusive ports and strict pings are set."""
    assert dict(GrpcServerConfig().channel_arguments()) == {
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": 64 * 1024 * 1024,
        "grpc.keepalive_permit_without_calls": 0,
    }


def test_tls_that_grpc_cannot_do_is_refused() -> None:
    """An option about security is never ignored in silence."""
    with pytest.raises(ValidationError, match=r"tls\.min_version"):
        GrpcServerConfig.model_validate({"tls": {"cert_file": "c", "key_file": "k", "min_version": "1.3"}})
