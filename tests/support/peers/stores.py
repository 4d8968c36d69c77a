"""Real object stores and Kinesis: moto for AWS, fake-gcs-server for Google, Azurite for Azure."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.peers.cache import PeerUnavailable, build_go_programs, build_node_program, build_python_environment
from tests.support.peers.server import PeerServer

__all__ = ["Azurite", "FakeGcs", "Moto", "azurite_directory", "fake_gcs_binary", "moto_environment"]

RECIPES = Path(__file__).parent


def moto_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment of moto; `UNTRACE_PEER_MOTO` names another one."""
    return build_python_environment("moto", RECIPES / "moto", "UNTRACE_PEER_MOTO", build=build)


def fake_gcs_binary(*, build: bool = True) -> Path:
    """Answer the program fake-gcs-server; `UNTRACE_PEER_FAKE_GCS` names another one."""
    package = "github.com/fsouza/fake-gcs-server"
    return build_go_programs("fake-gcs", RECIPES / "fake_gcs", (package,), "UNTRACE_PEER_FAKE_GCS", build=build)


def azurite_directory(*, build: bool = True) -> Path:
    """Answer the directory that has Azurite in its `node_modules`; `UNTRACE_PEER_AZURITE` names another one."""
    if shutil.which("node") is None:
        raise PeerUnavailable("azurite: no node on PATH; install Node.js")
    return build_node_program("azurite", RECIPES / "azurite", "UNTRACE_PEER_AZURITE", build=build)


class Moto(PeerServer):
    """S3, Kinesis and STS in memory; takes any credentials, in region `us-east-1`."""

    name: ClassVar[str] = "moto"
    ready_path: ClassVar[str] = "/moto-api/"

    def command(self) -> Sequence[str]:
        """Run moto's server."""
        python = moto_environment(build=False) / "bin" / "python"
        return [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        """Credentials that are none, so that it never looks for real ones."""
        return {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}


class FakeGcs(PeerServer):
    """Google Cloud Storage in memory; takes any token."""

    name: ClassVar[str] = "fake-gcs"
    ready_path: ClassVar[str] = "/_internal/healthcheck"

    def command(self) -> Sequence[str]:
        """Run the server, which puts its own address into the URLs of resumable uploads."""
        here = f"127.0.0.1:{self.port}"
        place = ["-host", "127.0.0.1", "-port", str(self.port), "-public-host", here, "-external-url", f"http://{here}"]
        return [str(fake_gcs_binary(build=False)), "-scheme", "http", "-backend", "memory", *place]


class Azurite(PeerServer):
    """Azure Blob Storage in memory."""

    name: ClassVar[str] = "azurite"
    account: ClassVar[str] = "devstoreaccount1"
    key: ClassVar[str] = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    """The well-known key of the emulator: no secret."""

    def command(self) -> Sequence[str]:
        """Run the blob service alone."""
        program = azurite_directory(build=False) / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        place = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        return ["node", str(program), *place, "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
