"""OTLP/gRPC: the three Export methods on the gRPC server."""

from __future__ import annotations

import logging

from untrace_pipeline.api import Code
from untrace_pipeline.data import Context, Signal
from untrace_pipeline.net.grpc_server import GrpcCall, GrpcError, GrpcMethod, GrpcServer
from untrace_plugins.otlp.service import OK, Answer, Encoding, OtlpService
from untrace_plugins.otlp.status import status_bytes, success_bytes
from untrace_plugins.receivers.otlp.config import OtlpGrpcConfig

__all__ = ["METHODS", "make_grpc_server"]

METHODS = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_SUCCESS = b""
"""An ``Export*ServiceResponse`` without ``partial_success``: everything was taken."""


def make_grpc_server(config: OtlpGrpcConfig, service: OtlpService, logger: logging.Logger) -> GrpcServer:
    """Return a server that is not started yet."""
    methods = {name: _method(signal, service, config.include_metadata) for signal, name in METHODS.items()}
    return GrpcServer(config, methods, logger)


def _method(signal: Signal, service: OtlpService, include_metadata: bool) -> GrpcMethod:
    async def export(body: bytes, call: GrpcCall) -> bytes:
        context = _context(call, include_metadata)
        answer = await service.export(signal, Encoding.PROTOBUF, body, context)
        if answer is OK:
            return _SUCCESS
        if answer.code is Code.OK:
            return success_bytes(answer)
        raise _error(answer)

    def admit(byte_size: int) -> GrpcError | None:
        refusal = service.refusal(signal, byte_size)
        return None if refusal is None else _error(refusal)

    return GrpcMethod(export, admit)


def _context(call: GrpcCall, include_metadata: bool) -> Context:
    who = call.credentials
    if include_metadata:
        return Context(call.metadata(), who.attributes, who.tenant, call.peer, "grpc")
    return Context(auth=who.attributes, tenant=who.tenant, peer=call.peer, transport="grpc")


def _error(answer: Answer) -> GrpcError:
    return GrpcError(answer.code, answer.message, status_bytes(answer))
