"""Servers and clients: TLS with reload, authentication, limits, compression, gRPC and HTTP. Knows nothing of OTLP."""
