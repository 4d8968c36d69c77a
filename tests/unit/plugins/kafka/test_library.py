"""From options to librdkafka."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import trustme

from untrace_pipeline.api import StartError
from untrace_plugins.kafka.config import KafkaClientConfig
from untrace_plugins.kafka.library import LibraryLog, client_settings

LOGIN = {"mechanism": "SCRAM-SHA-512", "username": "app", "password": "secret"}


def settings(**options: object) -> dict[str, object]:
    return client_settings(KafkaClientConfig.model_validate(options))


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({}, "plaintext"),
        ({"tls": {}}, "ssl"),
        ({"auth": {"sasl": LOGIN}}, "sasl_plaintext"),
        ({"tls": {}, "auth": {"sasl": LOGIN}}, "sasl_ssl"),
    ],
)
def test_protocol_follows_from_tls_and_login(options: dict[str, object], protocol: str) -> None:
    """Four listeners that brokers have."""
    assert settings(**options)["security.protocol"] == protocol


def test_login_is_handed_over() -> None:
    """The library gets the password itself."""
    found = settings(auth={"sasl": LOGIN})
    assert (found["sasl.mechanism"], found["sasl.username"], found["sasl.password"]) == (*LOGIN.values(),)


def test_certificates_come_from_files_and_from_text(tmp_path: Path) -> None:
    """Either way the library gets their text, read at start."""
    authority = trustme.CA()
    certificate = authority.issue_cert("client.example.com")
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    files = settings(tls={"ca_file": str(ca), "cert_file": str(cert), "key_file": str(key)})
    text = settings(tls={"ca_pem": ca.read_text(), "cert_pem": cert.read_text(), "key_pem": key.read_text()})
    assert files == text
    assert files["ssl.ca.pem"] == ca.read_text()
    assert files["enable.ssl.certificate.verification"] is True


def test_own_authorities_beside_those_of_the_system(tmp_path: Path) -> None:
    """With the system's pool both are trusted; without a file of its own, the system's alone."""
    both = settings(tls={"ca_pem": "OWN", "include_system_ca_certs_pool": True})
    assert str(both["ssl.ca.pem"]).startswith("OWN")
    assert settings(tls={}).keys() & {"ssl.ca.pem", "ssl.ca.location"} == {"ssl.ca.location"}


def test_a_missing_file_is_named() -> None:
    """The daemon says which file it cannot read, before anything else fails."""
    with pytest.raises(StartError, match=r"/no/such/ca\.pem: No such file"):
        settings(tls={"ca_file": "/no/such/ca.pem"})


def test_verification_can_be_switched_off() -> None:
    """`insecure_skip_verify` asks neither who signed nor who answers."""
    found = settings(tls={"insecure_skip_verify": True})
    assert found["enable.ssl.certificate.verification"] is False
    assert found["ssl.endpoint.identification.algorithm"] == "none"


def test_the_rest_of_the_options() -> None:
    """Times in milliseconds; what is not set is not handed over."""
    found = settings(brokers="a:1,b:2", conn_idle_timeout="1m", metadata={"refresh_interval": "30s"}, rack_id="r1")
    assert found["bootstrap.servers"] == "a:1,b:2"
    assert (found["connections.max.idle.ms"], found["topic.metadata.refresh.interval.ms"]) == (60_000, 30_000)
    assert found["client.rack"] == "r1"
    assert "client.rack" not in settings()
    assert "client.dns.lookup" not in settings()
    assert "client.dns.lookup" in settings(resolve_canonical_bootstrap_servers_only=True)


def test_lines_of_the_library_do_not_flood(caplog: pytest.LogCaptureFixture) -> None:
    """One line of a kind at a time, never above WARNING: whether data is lost is not the library's to say."""
    log = LibraryLog(logging.getLogger("untrace_pipeline.test"))
    with caplog.at_level(logging.INFO):
        for number in range(5):
            log.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#1", f"connection {number}\nrefused")
        log.log(logging.INFO, "%s [%s] %s", "OTHER", "rdkafka#1", "hello")
        log.log(logging.DEBUG, "%s [%s] %s", "DEBUG", "rdkafka#1", "too much")
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "kafka library: FAIL: connection 0 refused"),
        ("INFO", "kafka library: OTHER: hello"),
    ]
