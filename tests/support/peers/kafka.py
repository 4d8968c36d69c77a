"""A real Apache Kafka broker in KRaft mode, from the jars pinned in `kafka/pom.xml`."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.peers.cache import PeerUnavailable, build_once
from tests.support.peers.process import PeerProcessError, free_port

__all__ = ["KAFKA_RECIPE", "PASSWORD", "USER", "KafkaBroker", "kafka_jars"]

KAFKA_RECIPE = Path(__file__).parent / "kafka"
KAFKA_OVERRIDE = "UNTRACE_PEER_KAFKA"
DOWNLOAD_TIMEOUT_SECONDS = 600
START_SECONDS = 90.0
STOP_SECONDS = 30.0
START_ATTEMPTS = 5
READY = "Kafka Server started"
USER, PASSWORD = "app", "app-secret"
"""Who may come in by the listeners with SASL: by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512."""

LISTENERS = {"PLAINTEXT": "PLAINTEXT", "SASL": "SASL_PLAINTEXT", "TLS": "SSL", "SASLTLS": "SASL_SSL"}
PLAIN_LOGIN = (
    f"org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
)
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
DEFAULTS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    "num.partitions": "4",
    "log.cleaner.enable": "false",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
}


def kafka_jars(*, build: bool = True) -> Path:
    """Answer the directory of Kafka's jars, fetched by Maven at the first call; `UNTRACE_PEER_KAFKA` names another one.

    Raises `PeerUnavailable` with the reason: no Java, no Maven, nothing fetched yet and `build=False`.
    """
    if shutil.which("java") is None:
        raise PeerUnavailable("kafka: no java on PATH; install a JRE of version 17 or newer")
    return build_once("kafka", KAFKA_RECIPE, _fetch, KAFKA_OVERRIDE, build=build)


def _fetch(recipe: Path, target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PeerUnavailable("kafka: no mvn on PATH; install Maven or name a directory with Kafka's jars")
    scratch = target.with_suffix(".new")
    command = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={scratch}"]
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(recipe / "pom.xml", directory)
        try:
            fetch = subprocess.run(
                command, cwd=directory, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PeerUnavailable(f"kafka: Maven took more than {DOWNLOAD_TIMEOUT_SECONDS} s") from error
    if fetch.returncode != 0:
        raise PeerUnavailable(f"kafka: Maven failed: {(fetch.stdout + fetch.stderr).strip()[-2000:]}")
    scratch.replace(target)


class KafkaBroker:
    """A broker on free ports of loopback, as a sync or async context manager; its data and ports outlive a restart.

    Topics are made when they are first used, with four partitions, unless `options` says otherwise. `certificate` is a
    PEM file with key (PKCS #8) and certificate: it opens the listeners with TLS.
    """

    def __init__(self, *, options: Mapping[str, str] | None = None, certificate: Path | None = None) -> None:
        self._options = dict(options or {})
        self._certificate = certificate
        self._temporary = tempfile.TemporaryDirectory(prefix="kafka-")
        self.directory = Path(self._temporary.name)
        self._jars = kafka_jars(build=False)
        self._ports: dict[str, int] = {}
        self._formatted = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address of the listener without TLS and SASL."""
        return self.address("PLAINTEXT")

    @property
    def log(self) -> str:
        """What the broker has written since its last start."""
        path = self.directory / "output.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def address(self, listener: str) -> str:
        """Answer host:port of a listener: `PLAINTEXT`, `SASL`, and with a certificate `TLS` and `SASLTLS`."""
        return f"127.0.0.1:{self._ports[listener]}"

    def start(self) -> None:
        """Start and wait until ready; the first time on other ports when somebody else took one."""
        for attempt in range(START_ATTEMPTS):
            if not self._formatted:
                self._format()
            self._spawn()
            try:
                self._wait_ready()
            except PeerProcessError:
                self.stop()
                if "Address already in use" not in self.log or attempt + 1 == START_ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Send SIGTERM and wait; kill when it does not end in time. Safe twice."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL: the broker has no time to say goodbye to its clients."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again, with the same data and ports."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _format(self) -> None:
        """Choose ports, write the settings and make the storage of a new cluster."""
        names = [name for name in LISTENERS if self._certificate or "TLS" not in name]
        self._ports = {name: free_port() for name in (*names, "CONTROLLER")}
        shutil.rmtree(self.directory / "data", ignore_errors=True)
        settings = {**DEFAULTS, **self._listener_settings(names), **self._tls_settings(), **self._options}
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.directory / "server.properties").write_text(text)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        scram = [f"SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512)]
        users = [argument for one in scram for argument in ("--add-scram", one)]
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", "server.properties", *users]
        done = subprocess.run(
            self._java(*tool), cwd=self.directory, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        if done.returncode != 0:
            raise PeerProcessError(f"kafka: the storage cannot be formatted:\n{(done.stdout + done.stderr)[-3000:]}")
        self._formatted = True

    def _listener_settings(self, names: Sequence[str]) -> dict[str, str]:
        addresses = ",".join(f"{name}://{self.address(name)}" for name in names)
        logins = {
            f"listener.name.{name.lower()}.{mechanism}.sasl.jaas.config": login
            for name in names
            if "SASL" in name
            for mechanism, login in (
                ("plain", PLAIN_LOGIN),
                ("scram-sha-256", SCRAM_LOGIN),
                ("scram-sha-512", SCRAM_LOGIN),
            )
        }
        return {
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "listeners": f"{addresses},CONTROLLER://{self.address('CONTROLLER')}",
            "advertised.listeners": addresses,
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", *(f"{name}:{LISTENERS[name]}" for name in names)]
            ),
            "log.dirs": str(self.directory / "data"),
            **logins,
        }

    def _tls_settings(self) -> dict[str, str]:
        if self._certificate is None:
            return {}
        return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self._certificate)}

    def _java(self, *arguments: str) -> list[str]:
        options = [
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.logFile=System.out",
        ]
        return ["java", *options, "-cp", f"{self._jars}/*", *arguments]

    def _spawn(self) -> None:
        with (self.directory / "output.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", "server.properties"),
                cwd=self.directory,
                env=os.environ | {"KAFKA_HEAP_OPTS": ""},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait_ready(self) -> None:
        begin = time.monotonic()
        while READY not in self.log:
            if self._process is None or self._process.poll() is not None:
                raise PeerProcessError(f"kafka ended before it was ready:\n{self.log[-3000:]}")
            if time.monotonic() - begin > START_SECONDS:
                raise PeerProcessError(f"kafka was not ready within {START_SECONDS} s:\n{self.log[-3000:]}")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._temporary.cleanup()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)
