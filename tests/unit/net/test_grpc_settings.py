"""What becomes of a gRPC server's options."""

from __future__ import annotations

import math

from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.http2_stream import Http2Limits


def test_options_become_limits() -> None:
    """Every option reaches the connection, in seconds."""
    config = GrpcServerConfig.model_validate(
        {
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
    assert config.limits(eager=False) == Http2Limits(
        max_streams=7,
        stream_window=65535,
        handshake=20.0,
        write=30.0,
        idle=11.0,
        age=12.0,
        age_grace=13.0,
        ping_after=30.0,
        ping_timeout=5.0,
        least_ping_interval=10.0,
        ping_without_streams=True,
    )


def test_defaults_are_those_of_grpc() -> None:
    """Connections live for ever, are probed every two hours, and clients may ping every five minutes."""
    limits = GrpcServerConfig().limits(eager=True)
    assert (limits.idle, limits.age, limits.age_grace) == (math.inf, math.inf, math.inf)
    assert (limits.ping_after, limits.ping_timeout, limits.least_ping_interval) == (7200.0, 20.0, 300.0)
    assert GrpcServerConfig().max_message_bytes == 64 * 1024 * 1024
