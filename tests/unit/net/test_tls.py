"""TLS settings: what they refuse, what contexts they make, and how changed files come into force."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from untrace_pipeline.api import Secret
from untrace_pipeline.errors import StartError
from untrace_pipeline.net.tls import CipherSuite, ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig

LOGGER = logging.getLogger("untrace_pipeline.test.tls")


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def write_certificate(authority: trustme.CA, directory: Path, name: str = "localhost") -> ServerTlsConfig:
    """Issue a certificate into two files and return a configuration that names them."""
    issued = authority.issue_cert(name)
    issued.private_key_pem.write_to_path(directory / "key.pem")
    for part, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(directory / "cert.pem", append=part > 0)
    return ServerTlsConfig(cert_file=str(directory / "cert.pem"), key_file=str(directory / "key.pem"))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> ssl.SSLObject:
    """Shake hands in memory and return the client's end. Raises what either side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (here, there):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
    return here


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cert_file": "c"}, "both a certificate"),
        ({"cert_file": "c", "key_file": "k", "cert_pem": "x"}, "either cert_file or cert_pem"),
        ({}, "a server needs a certificate"),
        ({"cert_file": "c", "key_file": "k", "min_version": "1.3", "max_version": "1.2"}, "is above max_version"),
        ({"cert_file": "c", "key_file": "k", "min_version": "1.1"}, "1.2"),
    ],
)
def test_contradictory_options_are_refused(options: dict[str, str], words: str) -> None:
    """Options that exclude each other are found when the configuration is checked."""
    with pytest.raises(ValidationError, match=words):
        ServerTlsConfig.model_validate(options)


def test_missing_file_is_a_start_error(tmp_path: Path) -> None:
    """A file that is not there is named."""
    config = ServerTlsConfig(cert_file=str(tmp_path / "none.pem"), key_file=str(tmp_path / "key.pem"))
    with pytest.raises(StartError, match=r"none\.pem: No such file"):
        ServerTls(config, LOGGER).ssl_context("http/1.1")


def test_certificate_that_does_not_fit_its_key_is_a_start_error(tmp_path: Path, authority: trustme.CA) -> None:
    """A wrong pair is found at start, not at the first handshake."""
    config = write_certificate(authority, tmp_path)
    authority.issue_cert("other").private_key_pem.write_to_path(tmp_path / "key.pem")
    with pytest.raises(StartError, match=r"cert\.pem"):
        ServerTls(config, LOGGER).ssl_context("h2")


def test_versions_and_suites_are_applied(tmp_path: Path, authority: trustme.CA) -> None:
    """A handshake uses the version and the suite that the options allow."""
    config = write_certificate(authority, tmp_path)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    suite = CipherSuite.ECDHE_ECDSA_AES256_GCM
    narrow = config.model_copy(update={"max_version": "1.2", "cipher_suites": [suite]})
    client = ClientTls(ClientTlsConfig(ca_file=str(tmp_path / "ca.pem"))).ssl_context()
    end = handshake(ServerTls(narrow, LOGGER).ssl_context("http/1.1"), client)
    assert end.version() == "TLSv1.2"
    assert end.cipher() == ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2", 256)


@pytest.mark.parametrize("suite", CipherSuite)
def test_every_suite_is_known_to_openssl(suite: CipherSuite, tmp_path: Path, authority: trustme.CA) -> None:
    """No name in the table is a typing error."""
    config = write_certificate(authority, tmp_path).model_copy(update={"cipher_suites": [suite]})
    context = ServerTls(config, LOGGER).ssl_context("http/1.1")
    assert [one for one in context.get_ciphers() if one["protocol"] == "TLSv1.2" or "TLSv1.0" in one["protocol"]]


def test_key_as_text_leaves_no_file(tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key given as text works and is on disk no longer than loading takes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    issued = authority.issue_cert("localhost")
    config = ServerTlsConfig(
        cert_pem=issued.cert_chain_pems[0].bytes().decode(), key_pem=Secret(issued.private_key_pem.bytes().decode())
    )
    ServerTls(config, LOGGER).ssl_context("http/1.1")
    assert list(tmp_path.iterdir()) == []


def test_changed_certificate_serves_the_next_handshake(tmp_path: Path, authority: trustme.CA) -> None:
    """After ``reload_interval`` a new certificate is used, without a restart; a broken one is not."""
    clock = Clock()
    config = write_certificate(authority, tmp_path).model_copy(update={"reload_interval": 60.0})
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = ClientTls(ClientTlsConfig(ca_file=str(tmp_path / "ca.pem"))).ssl_context()
    server = ServerTls(config, LOGGER, clock).ssl_context("http/1.1")
    first = handshake(server, client).getpeercert(True)
    write_certificate(authority, tmp_path)
    assert handshake(server, client).getpeercert(True) == first
    clock.now = 61.0
    second = handshake(server, client).getpeercert(True)
    assert second != first
    (tmp_path / "cert.pem").write_text("broken")
    clock.now = 122.0
    assert handshake(server, client).getpeercert(True) == second


def test_changed_client_authority_is_taken_within_a_second(tmp_path: Path, authority: trustme.CA) -> None:
    """With ``client_ca_file_reload`` a withdrawn authority no longer lets clients in."""
    clock = Clock()
    authority.cert_pem.write_to_path(tmp_path / "clients.pem")
    config = write_certificate(authority, tmp_path).model_copy(
        update={"client_ca_file": str(tmp_path / "clients.pem"), "client_ca_file_reload": True, "max_version": "1.2"}
    )
    client = ssl.create_default_context()
    authority.configure_trust(client)
    authority.issue_cert("client").configure_cert(client)
    server = ServerTls(config, LOGGER, clock).ssl_context("http/1.1")
    handshake(server, client)
    trustme.CA().cert_pem.write_to_path(tmp_path / "clients.pem")
    clock.now = 1.5
    with pytest.raises(ssl.SSLError):
        handshake(server, client)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"min_version": "1.3"}, "min_version"),
        ({"max_version": "1.2"}, "max_version"),
        ({"cipher_suites": [CipherSuite.ECDHE_RSA_AES128_GCM]}, "cipher_suites"),
        ({"insecure_skip_verify": True}, "insecure_skip_verify"),
    ],
)
def test_options_that_grpc_cannot_honour_are_named(options: dict[str, object], word: str) -> None:
    """Nothing about security is ignored in silence."""
    config = ClientTlsConfig.model_validate(options)
    assert (config.grpc_limits() or "").startswith(word)
    with pytest.raises(StartError, match=word):
        ClientTls(config).grpc_credentials()


def test_client_sees_changed_files(tmp_path: Path, authority: trustme.CA) -> None:
    """``changed`` is quiet until the interval has passed, says yes once, and is quiet again."""
    clock = Clock()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ClientTls(
        ClientTlsConfig.model_validate({"ca_file": str(tmp_path / "ca.pem"), "reload_interval": "1m"}), clock
    )
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert not tls.changed()
    clock.now = 60.0
    assert tls.changed()
    clock.now = 120.0
    assert not tls.changed()
