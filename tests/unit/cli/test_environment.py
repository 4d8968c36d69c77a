"""``validate --environment``: what is found on the machine, option by option."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.plugins import LISTEN
from untrace_pipeline.api import (
    ComponentConfig,
    ComponentId,
    ConfigModel,
    Extension,
    ExtensionFactory,
    Factory,
    Kind,
    PipelineId,
    Settings,
)
from untrace_pipeline.cli.environment import check_environment
from untrace_pipeline.config.model import ComponentSpec, MetricsConfig, PipelineSpec, ServiceSpec, TelemetryConfig
from untrace_pipeline.data import Signal

QUIET = TelemetryConfig(metrics=MetricsConfig(level="none"))


class Tls(ConfigModel):
    """Files."""

    cert_file: str = ""
    """A file."""


class Options(ComponentConfig):
    """All kinds of options."""

    endpoint: str = ""
    """Where."""
    transport: str = "tcp"
    """How."""
    path: str = ""
    """A file."""
    directory: str = ""
    """A directory."""
    create_directory: bool = False
    """Whether it may be made."""
    tls: Tls = Tls()
    """Files."""
    many: list[Tls] = []
    """More files."""
    hostnames: list[str] = []
    """Where to."""
    brokers: list[str] = []
    """Where to."""
    hostname: str = ""
    """Where to."""


def check(
    kind: Kind,
    options: Options,
    *,
    used: bool = True,
    telemetry: TelemetryConfig = QUIET,
    factory: Factory[Any] = LISTEN,
) -> list[str]:
    """Check one component, alone in a pipeline or in the extensions."""
    component = ComponentId(kind, "it")
    pipeline = PipelineSpec(
        PipelineId(Signal.TRACES),
        (component,) if used and kind is Kind.RECEIVER else (),
        (),
        (component,) if used and kind is Kind.EXPORTER else (),
    )
    extensions = (component,) if used and kind is Kind.EXTENSION else ()
    spec = ServiceSpec(
        {component: ComponentSpec(component, factory, options)}, {pipeline.id: pipeline}, extensions, telemetry
    )
    return check_environment(spec)


@pytest.fixture
def taken():
    """Yield the address of a port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", [Kind.RECEIVER, Kind.EXTENSION])
def test_ports(kind: Kind, taken: str) -> None:
    """A port that receivers and extensions open must be free."""
    assert check(kind, Options(endpoint="127.0.0.1:0")) == []
    (text,) = check(kind, Options(endpoint=taken))
    assert text == f"{kind}.it.endpoint: cannot listen on {taken}: Address already in use"
    assert check(kind, Options(endpoint=taken), used=False) == []


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "127.0.0.1", "127.0.0.1:99999999", "999.1.1.1:x", "[::1", "host.invalid:1"]
)
def test_bad_addresses(endpoint: str) -> None:
    """An address that cannot be one is told, never raised."""
    assert len(check(Kind.RECEIVER, Options(endpoint=endpoint))) == 1
    assert len(check(Kind.EXPORTER, Options(endpoint=endpoint))) == 1


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://me:hunter2@{}/path", "dns:///{}"])
def test_destinations(form: str, taken: str) -> None:
    """A destination must answer, in each way of writing it; a refusal names it without credentials."""
    assert check(Kind.EXPORTER, Options(endpoint=form.format(taken))) == []
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        (text,) = check(Kind.EXPORTER, Options(endpoint=form.format(f"127.0.0.1:{silent.getsockname()[1]}")))
    assert "exporters.it.endpoint: nothing answers at" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("kind", [Kind.EXPORTER, Kind.RECEIVER])
def test_lists_of_destinations(kind: Kind, taken: str) -> None:
    """Each must answer; where no port is named, the usual one of that list is meant."""
    assert check(kind, Options(hostnames=[taken], brokers=[taken])) == []
    nobody = "127.0.0.77"
    expected = [f"{kind}.it.hostnames[1]: nothing answers at {nobody}: Connection refused"]
    assert check(kind, Options(hostnames=[taken, nobody])) == expected


def test_names() -> None:
    """A name must have an address."""
    assert check(Kind.EXPORTER, Options(hostname="localhost")) == []
    (text,) = check(Kind.EXPORTER, Options(hostname="nobody.invalid"))
    assert text.startswith("exporters.it.hostname: no address is known of nobody.invalid: ")


def test_libraries() -> None:
    """A component whose optional library is missing is told before the start."""

    def create(config: Options, settings: Settings) -> Extension:
        msg = "No module named 'rare'"
        raise ImportError(msg)

    factory = ExtensionFactory(type_name="it", config=Options, description="", create=create, extra="rare")
    (text,) = check(Kind.EXTENSION, Options(), factory=factory)
    assert text.startswith("extensions.it: extension it cannot be created: No module named 'rare'; the extra [rare]")


def test_files_to_write(tmp_path: Path) -> None:
    """Directories must exist, or may be made; what is in the way is told."""
    assert check(Kind.EXPORTER, Options(path=str(tmp_path / "out.json"))) == []
    (text,) = check(Kind.EXPORTER, Options(path=str(tmp_path / "no" / "out.json")))
    assert text == f"exporters.it.path: the directory {tmp_path / 'no'} does not exist"
    assert check(Kind.EXPORTER, Options(path=str(tmp_path / "a" / "b" / "out.json"), create_directory=True)) == []
    (text,) = check(Kind.EXPORTER, Options(path=str(tmp_path)))
    assert text.endswith("is not a writable file")
    assert check(Kind.EXTENSION, Options(directory=str(tmp_path))) == []
    assert len(check(Kind.EXTENSION, Options(directory=str(tmp_path / "no")))) == 1
    (tmp_path / "file").touch()
    (text,) = check(Kind.EXTENSION, Options(directory=str(tmp_path / "file"), create_directory=True))
    assert text == f"extensions.it.directory: {tmp_path / 'file'} is no directory"
    assert check(Kind.EXTENSION, Options(path="/")) == []  # a route of health_check, no file


def test_files_to_read(tmp_path: Path) -> None:
    """Certificates and the like must be readable, also in lists."""
    (tmp_path / "cert.pem").write_text("x")
    good, bad = Tls(cert_file=str(tmp_path / "cert.pem")), Tls(cert_file=str(tmp_path / "no.pem"))
    assert check(Kind.RECEIVER, Options(tls=good, many=[good])) == []
    first, second = check(Kind.RECEIVER, Options(tls=bad, many=[good, bad]))
    assert first == f"receivers.it.tls.cert_file: cannot read {tmp_path / 'no.pem'}: No such file or directory"
    assert second.startswith("receivers.it.many[1].cert_file: ")


def test_unix_sockets(tmp_path: Path) -> None:
    """A socket's directory must exist to listen, the socket itself to send."""
    assert check(Kind.RECEIVER, Options(endpoint=str(tmp_path / "s"), transport="unix")) == []
    assert check(Kind.RECEIVER, Options(endpoint=f"unix://{tmp_path}/s")) == []
    assert len(check(Kind.RECEIVER, Options(endpoint=f"unix://{tmp_path}/no/s"))) == 1
    assert len(check(Kind.EXPORTER, Options(endpoint=f"unix://{tmp_path}/s"))) == 1


def test_metrics_port(taken: str) -> None:
    """The port of the daemon's own metrics must be free, however it is named."""
    host, port = taken.split(":")
    reader = {"pull": {"exporter": {"prometheus": {"host": host, "port": int(port)}}}}
    for metrics in (MetricsConfig(address=taken), MetricsConfig.model_validate({"readers": [reader]})):
        (text,) = check(Kind.RECEIVER, Options(), telemetry=TelemetryConfig(metrics=metrics))
        assert text.startswith(f"service.telemetry.metrics: cannot listen on {taken}")
