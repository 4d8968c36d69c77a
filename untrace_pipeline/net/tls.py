"""TLS settings with the Collector's keys, and what ``ssl`` and gRPC make of them.

:class:`ServerTls` and :class:`ClientTls` read the files once, and again when they changed on disk and
``reload_interval`` has passed. New files that cannot be used leave the old ones in force, with a warning.
"""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from untrace_pipeline.api.config import ConfigModel, Duration, Secret
from untrace_pipeline.errors import StartError

if TYPE_CHECKING:
    import grpc
    from untrace_pipeline_native import TlsClient

__all__ = ["CipherSuite", "ClientTls", "ClientTlsConfig", "ServerTls", "ServerTlsConfig", "TlsConfig", "TlsVersion"]

CLIENT_CA_CHECK_SECONDS = 1.0
"""How often ``client_ca_file_reload`` looks at the file where ``reload_interval`` says nothing."""


class TlsVersion(StrEnum):
    """A version of the protocol. Differs from the Collector: 1.0 and 1.1 (RFC 8996 forbids them) are refused."""

    V1_2 = "1.2"
    V1_3 = "1.3"


class CipherSuite(StrEnum):
    """Suites of TLS 1.2, by their IANA names; those of TLS 1.3 cannot be chosen, as in the Collector."""

    ECDHE_ECDSA_AES128_GCM = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    ECDHE_ECDSA_AES256_GCM = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    ECDHE_ECDSA_CHACHA20 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    ECDHE_RSA_AES128_GCM = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    ECDHE_RSA_AES256_GCM = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    ECDHE_RSA_CHACHA20 = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
    ECDHE_ECDSA_AES128_CBC = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
    ECDHE_ECDSA_AES256_CBC = "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"
    ECDHE_RSA_AES128_CBC = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
    ECDHE_RSA_AES256_CBC = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"


_VERSIONS = {TlsVersion.V1_2: ssl.TLSVersion.TLSv1_2, TlsVersion.V1_3: ssl.TLSVersion.TLSv1_3}


class TlsConfig(ConfigModel):
    """What servers and clients have in common; the Collector's ``configtls``."""

    ca_file: str | None = None
    """PEM file of certificate authorities; absent = those of the system. Example: ``/etc/tls/ca.pem``."""
    ca_pem: str | None = None
    """The same as text; not together with ``ca_file``."""
    include_system_ca_certs_pool: bool = False
    """Trust the authorities of the system besides ``ca_file``."""
    cert_file: str | None = None
    """PEM file of the own certificate, with its chain."""
    cert_pem: str | None = None
    """The same as text; not together with ``cert_file``."""
    key_file: str | None = None
    """PEM file of the private key of the certificate."""
    key_pem: Secret | None = None
    """The same as text; not together with ``key_file``."""
    min_version: TlsVersion = TlsVersion.V1_2
    """Oldest version accepted."""
    max_version: TlsVersion | None = None
    """Newest version offered; absent = the newest there is."""
    cipher_suites: list[CipherSuite] = []
    """Suites of TLS 1.2 that may be used; empty = the library's safe choice. gRPC clients need the
    native transport for it."""
    reload_interval: Duration = Field(0.0, ge=0)
    """How often changed certificate files are picked up; ``0`` = never. Example: ``1h``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("ca", "cert", "key"):
            if getattr(self, f"{name}_file") and getattr(self, f"{name}_pem"):
                msg = f"either {name}_file or {name}_pem, not both"
                raise ValueError(msg)
        if bool(self.cert_file or self.cert_pem) != bool(self.key_file or self.key_pem):
            msg = "both a certificate (cert_file or cert_pem) and its key (key_file or key_pem), or neither"
            raise ValueError(msg)
        if self.max_version is not None and self.max_version < self.min_version:
            msg = f"min_version {self.min_version} is above max_version {self.max_version}"
            raise ValueError(msg)
        return self


class ServerTlsConfig(TlsConfig):
    """``tls`` of a server; with ``client_ca_file`` clients must show a certificate (mTLS)."""

    client_ca_file: str | None = None
    """PEM file of authorities that sign clients' certificates; when set, clients without one are refused."""
    client_ca_file_reload: bool = False
    """Pick up a changed ``client_ca_file`` within a second."""

    @model_validator(mode="after")
    def _has_certificate(self) -> Self:
        if not (self.cert_file or self.cert_pem):
            msg = "a server needs a certificate: set cert_file and key_file"
            raise ValueError(msg)
        return self


class ClientTlsConfig(TlsConfig):
    """``tls`` of a client."""

    insecure: bool = False
    """Speak without TLS. For HTTP the scheme of the URL decides instead."""
    insecure_skip_verify: bool = False
    """Speak TLS without checking who answers. gRPC needs the native transport for it."""
    server_name_override: str | None = None
    """Name to expect in the server's certificate instead of the host in the endpoint."""

    def native_limits(self) -> str | None:
        """Say which option the native clients cannot honour."""
        if any("_CBC_" in suite for suite in self.cipher_suites):
            return "cipher_suites: suites with CBC are not in the native clients"
        return None

    def grpc_limits(self) -> str | None:
        """Say which option the gRPC library cannot honour (it has its own TLS: 1.2 and 1.3, fixed suites)."""
        if self.cipher_suites:
            return "cipher_suites: gRPC chooses its own; set GRPC_SSL_CIPHER_SUITES in the environment instead"
        if self.min_version is not TlsVersion.V1_2:
            return "min_version: gRPC always accepts TLS 1.2 and 1.3; leave it out"
        if self.max_version is TlsVersion.V1_2:
            return "max_version: gRPC always offers TLS 1.2 and 1.3; leave it out"
        if self.insecure_skip_verify and not self.insecure:
            return "insecure_skip_verify: gRPC always verifies; name the server's certificate as ca_file instead"
        return None


class _Files:
    """Tells when one of some files changed, looking at most once per interval."""

    def __init__(self, paths: list[str | None], interval: float, clock: Callable[[], float]) -> None:
        self._paths = [path for path in paths if path]
        self._interval = interval
        self._clock = clock
        self._next = clock() + interval
        self._seen = self._look()

    def changed(self) -> bool:
        """Return whether a file changed since the last time that this said yes."""
        if not self._interval or not self._paths or self._clock() < self._next:
            return False
        self._next = self._clock() + self._interval
        seen, self._seen = self._seen, self._look()
        return seen != self._seen

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_fingerprint(path) for path in self._paths]


def _fingerprint(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class ServerTls:
    """The server's half: contexts that pick up changed files with the next handshake."""

    def __init__(
        self, config: ServerTlsConfig, logger: logging.Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._logger = logger
        interval = config.reload_interval
        if config.client_ca_file_reload:
            interval = min(interval or CLIENT_CA_CHECK_SECONDS, CLIENT_CA_CHECK_SECONDS)
        self._files = _Files([config.cert_file, config.key_file, config.client_ca_file], interval, clock)

    def ssl_context(self, protocol: str) -> ssl.SSLContext:
        """Return a context for a listening socket that speaks ``http/1.1`` or ``h2`` (ALPN).

        Raises :class:`StartError` naming the file.
        """
        current = _server_context(self._config, protocol)
        entrance = _server_context(self._config, protocol)

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal current
            if self._files.changed():
                current = self._reloaded(protocol) or current
            connection.context = current

        entrance.sni_callback = choose
        return entrance

    def _reloaded(self, protocol: str) -> ssl.SSLContext | None:
        try:
            loaded = _server_context(self._config, protocol)
        except StartError as error:
            self._logger.warning("changed certificate not taken, the old one stays: %s", error)
            return None
        self._logger.info("certificate reloaded from %s", self._config.cert_file)
        return loaded


class ClientTls:
    """The client's half; ask :meth:`changed` now and then, and build a new connection pool when it says yes."""

    def __init__(self, config: ClientTlsConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._files = _Files([config.ca_file, config.cert_file, config.key_file], config.reload_interval, clock)

    def changed(self) -> bool:
        """Return whether the files changed since this said yes last; looks once per ``reload_interval``."""
        return self._files.changed()

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context for ``https``. Raises :class:`StartError` naming the file."""
        config = self._config
        with _explained("certificate authorities", config.ca_file):
            context = ssl.create_default_context(cafile=config.ca_file, cadata=config.ca_pem)
            if config.include_system_ca_certs_pool:
                context.load_default_certs()
        if config.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _apply(context, config)
        return context

    def grpc_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for a secure channel. Raises :class:`StartError` naming the file or the option."""
        import grpc  # noqa: PLC0415  validating a configuration must not load it

        config = self._config
        if limit := config.grpc_limits():
            raise StartError(f"tls.{limit}")
        own = _read(config.ca_file, config.ca_pem) if config.ca_file or config.ca_pem else b""
        system = _system_authorities() if config.include_system_ca_certs_pool or not own else b""
        key = certificate = None
        if config.cert_file or config.cert_pem:
            key, certificate = _read(config.key_file, config.key_pem), _read(config.cert_file, config.cert_pem)
        return grpc.ssl_channel_credentials(b"\n".join(filter(None, (own, system))) or None, key, certificate)

    def native(self, protocol: str) -> TlsClient:
        """Return what the native clients take, for ``h2`` or ``http/1.1``. Raises :class:`StartError`."""
        from untrace_pipeline_native import TlsClient  # noqa: PLC0415  never required

        config = self._config
        own = _read(config.ca_file, config.ca_pem)
        with_system = config.include_system_ca_certs_pool or not own
        newest = config.max_version or TlsVersion.V1_3
        try:
            return TlsClient(
                authorities=own,
                system=_system_authorities() if with_system else b"",
                bundled=with_system,
                certificate=_read(config.cert_file, config.cert_pem),
                key=_read(config.key_file, config.key_pem),
                tls12=config.min_version is TlsVersion.V1_2,
                tls13=newest is TlsVersion.V1_3,
                suites=[suite.value for suite in config.cipher_suites],
                skip_verify=config.insecure_skip_verify,
                protocol=protocol,
            )
        except ValueError as error:
            files = ", ".join(filter(None, (config.ca_file, config.cert_file, config.key_file)))
            msg = f"tls: {error} (from {files or 'the configuration'})"
            raise StartError(msg) from error

    def grpc_options(self) -> list[tuple[str, str]]:
        """Return the channel arguments that go with the credentials."""
        name = self._config.server_name_override
        return [("grpc.ssl_target_name_override", name)] if name else []


def _server_context(config: ServerTlsConfig, protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([protocol])
    _apply(context, config)
    if config.client_ca_file:
        with _explained("certificate authorities of clients", config.client_ca_file):
            context.load_verify_locations(cafile=config.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _apply(context: ssl.SSLContext, config: TlsConfig) -> None:
    """Set versions, suites and the own certificate."""
    context.minimum_version = _VERSIONS[config.min_version]
    if config.max_version is not None:
        context.maximum_version = _VERSIONS[config.max_version]
    if config.cipher_suites:
        context.set_ciphers(":".join(_openssl_name(suite) for suite in config.cipher_suites))
    if config.cert_file or config.cert_pem:
        with (
            _explained("certificate and key", config.cert_file),
            _as_file(config.cert_file, config.cert_pem) as certificate,
            _as_file(config.key_file, config.key_pem) as key,
        ):
            context.load_cert_chain(certificate, key)


def _openssl_name(suite: CipherSuite) -> str:
    """``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`` is ``ECDHE-RSA-AES128-GCM-SHA256`` there."""
    name = suite.removeprefix("TLS_").replace("_WITH_", "_").replace("AES_", "AES").replace("_CBC", "")
    return name.removesuffix("_SHA256" if "CHACHA20" in name else "").replace("_", "-")


@contextmanager
def _explained(what: str, path: str | None) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        msg = f"tls: {what} cannot be loaded from {path or 'the configuration'}: {error.args[-1] or error}"
        raise StartError(msg) from error


@contextmanager
def _as_file(path: str | None, text: str | None) -> Iterator[str]:
    """``ssl`` takes keys from files only; text goes through one that only we can read and that is gone at once."""
    if path:
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(_read(None, text))
        file.flush()
        yield file.name


def _read(path: str | None, text: str | None) -> bytes:
    if path:
        with _explained("file", path), open(path, "rb") as file:
            return file.read()
    return (text.reveal() if isinstance(text, Secret) else text or "").encode()


def _system_authorities() -> bytes:
    """Return the system's bundle; empty where there is none, and gRPC then takes the one that it ships."""
    path = ssl.get_default_verify_paths().cafile
    return _read(path, None) if path else b""
