"""From options to the settings of librdkafka, and its log lines to ours."""

from __future__ import annotations

import logging
import time
from typing import Any

from untrace_pipeline.errors import StartError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.tls import ClientTlsConfig
from untrace_plugins.kafka.config import KafkaClientConfig

__all__ = ["LibraryLog", "client_settings"]

LOG_INTERVAL_SECONDS = 10.0
"""librdkafka repeats itself at each attempt to connect: one line of a kind in that time."""
RECONNECT_MAX_MS = 5000
"""Half of the library's: a broker that was restarted gets its clients back sooner."""


def client_settings(config: KafkaClientConfig) -> dict[str, Any]:
    """Return what producers and consumers have in common. Holds secrets. Raises :class:`StartError` naming a file."""
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(config.brokers),
        "client.id": config.client_id,
        "connections.max.idle.ms": _ms(config.conn_idle_timeout),
        "topic.metadata.refresh.interval.ms": _ms(config.metadata.refresh_interval),
        "reconnect.backoff.max.ms": RECONNECT_MAX_MS,
        "socket.keepalive.enable": True,
        "socket.nagle.disable": True,
        "log.connection.close": False,
    }
    if config.rack_id:
        settings["client.rack"] = config.rack_id
    if config.resolve_canonical_bootstrap_servers_only:
        settings["client.dns.lookup"] = "resolve_canonical_bootstrap_servers_only"
    login, tls = config.auth.login, config.tls_in_force
    security = ("sasl_" if login else "") + ("ssl" if tls else "plaintext")
    settings["security.protocol"] = security
    if login:
        mechanism, user, password = login
        settings |= {"sasl.mechanism": mechanism.value, "sasl.username": user, "sasl.password": password.reveal()}
    if tls:
        settings |= _tls_settings(tls)
    return settings


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _tls_settings(tls: ClientTlsConfig) -> dict[str, Any]:
    settings: dict[str, Any] = {"enable.ssl.certificate.verification": not tls.insecure_skip_verify}
    if tls.insecure_skip_verify:
        settings["ssl.endpoint.identification.algorithm"] = "none"
    if tls.ca_file or tls.ca_pem:
        settings["ssl.ca.pem"] = _text(tls.ca_file, tls.ca_pem)
    if tls.include_system_ca_certs_pool or not (tls.ca_file or tls.ca_pem):
        settings |= _system_authorities(settings.pop("ssl.ca.pem", ""))
    if tls.cert_file or tls.cert_pem:
        key = tls.key_pem.reveal() if tls.key_pem else None
        settings["ssl.certificate.pem"] = _text(tls.cert_file, tls.cert_pem)
        settings["ssl.key.pem"] = _text(tls.key_file, key)
    return settings


def _system_authorities(own: str) -> dict[str, str]:
    """Return the settings that trust the authorities of the system, and our own besides."""
    import ssl  # noqa: PLC0415  only here

    path = ssl.get_default_verify_paths().cafile
    if path is None:
        return {"ssl.ca.pem": own} if own else {"ssl.ca.location": "probe"}
    return {"ssl.ca.pem": f"{own}\n{_text(path, None)}"} if own else {"ssl.ca.location": path}


def _text(path: str | None, text: str | None) -> str:
    if path is None:
        return text or ""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"tls: cannot read {path}: {getattr(error, 'strerror', None) or error}"
        raise StartError(msg) from error


class LibraryLog:
    """Takes the lines of librdkafka, which repeats itself, and writes one of a kind in ten seconds."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._quiet_until: dict[str, float] = {}

    def log(self, level: int, _template: str, facility: str, _client: str, text: str) -> None:
        """Write a line; the library calls it while it is polled, with the arguments of ``Logger.log``."""
        now = time.monotonic()
        if now < self._quiet_until.get(facility, 0.0) or not self._logger.isEnabledFor(level):
            return
        self._quiet_until[facility] = now + LOG_INTERVAL_SECONDS
        self._logger.log(min(level, logging.WARNING), "kafka library: %s: %s", facility, one_line(text))
