"""What the machine knows of itself: environment, operating system, process, container, Docker."""

from __future__ import annotations

import asyncio
import getpass
import os
import platform
import re
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import aiohttp

from untrace_pipeline.data import Value
from untrace_plugins.processors.resource_detection.config import (
    DetectorConfig,
    DockerConfig,
    HostnameSource,
    SystemConfig,
)
from untrace_plugins.processors.resource_detection.machine_facts import Facts, NotHereError

__all__ = ["container", "docker", "env", "process", "system"]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm32", "i686": "x86", "ppc64le": "ppc64"}
"""The words of the semantic conventions."""
_CONTAINER_ID = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
_SHORT_ID = re.compile(r"[0-9a-f]{12}\Z")
_PAIR = re.compile(r"\s*([^=,\s][^=,]*?)\s*=\s*([^,]*?)\s*(?:,|\Z)")


async def env(facts: Facts, _config: DetectorConfig) -> Mapping[str, Value]:
    """Read ``OTEL_RESOURCE_ATTRIBUTES``: ``key=value`` pairs, percent-encoded, separated by commas."""
    text = facts.environ.get("OTEL_RESOURCE_ATTRIBUTES") or facts.environ.get("OTEL_RESOURCE") or ""
    found = {unquote(match[1]): unquote(match[2]) for match in _PAIR.finditer(text)}
    if text.strip() and not found:
        msg = "OTEL_RESOURCE_ATTRIBUTES holds no key=value pairs"
        raise ValueError(msg)
    return found


async def system(facts: Facts, config: SystemConfig) -> Mapping[str, Value]:
    """Ask the operating system."""
    release = _pairs(facts.read("/etc/os-release") or "")
    return {
        "host.name": await asyncio.to_thread(_host_name, config.hostname_sources),
        "host.id": facts.read("/etc/machine-id") or facts.read("/var/lib/dbus/machine-id"),
        "host.arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os.type": platform.system().lower(),
        "os.description": release.get("PRETTY_NAME") or platform.platform(),
        "os.name": release.get("NAME"),
        "os.version": release.get("VERSION_ID"),
        "os.build.id": release.get("BUILD_ID"),
        **_network(facts),
        **_processor(facts.read("/proc/cpuinfo") or ""),
    }


def _host_name(sources: list[HostnameSource]) -> str | None:
    ways: dict[HostnameSource, Callable[[], str]] = {
        HostnameSource.OS: socket.gethostname,
        HostnameSource.DNS: socket.getfqdn,
        HostnameSource.CNAME: lambda: socket.gethostbyname_ex(socket.gethostname())[0],
        HostnameSource.LOOKUP: lambda: socket.gethostbyaddr(socket.gethostbyname(socket.gethostname()))[0],
    }
    for source in sources:
        try:
            name = ways[source]()
        except OSError:
            continue
        if name and not name.startswith("localhost"):  # what resolvers say who know nothing
            return name
    return socket.gethostname() or None


def _pairs(text: str) -> dict[str, str]:
    """Return the variables of a file for a shell."""
    lines = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in lines}


def _network(facts: Facts) -> dict[str, Value]:
    """Return addresses and names of the network interfaces but the loopback one."""
    names, macs = [], []
    directory = facts.root / "sys/class/net"
    for interface in sorted(directory.iterdir()) if directory.is_dir() else ():
        mac = facts.read(f"/sys/class/net/{interface.name}/address")
        if mac and mac.strip("0:") and interface.name != "lo":
            names.append(interface.name)
            macs.append(mac.upper().replace(":", "-"))
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    addresses = dict.fromkeys(str(one[4][0]) for one in found)
    own = [one for one in addresses if not one.startswith("127.") and one != "::1"]
    return {
        "host.ip": list[Value](own) or None,
        "host.mac": list[Value](macs) or None,
        "host.interface": list[Value](names) or None,
    }


def _processor(text: str) -> dict[str, Value]:
    """Return the first processor of ``/proc/cpuinfo``."""
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    known = {name.strip(): value.strip() for name, _, value in lines}
    return {
        "host.cpu.vendor.id": known.get("vendor_id"),
        "host.cpu.family": known.get("cpu family"),
        "host.cpu.model.id": known.get("model"),
        "host.cpu.model.name": known.get("model name"),
        "host.cpu.stepping": known.get("stepping"),
    }


async def process(_facts: Facts, _config: DetectorConfig) -> Mapping[str, Value]:
    """Say what this process is."""
    return {
        "process.pid": os.getpid(),
        "process.parent_pid": os.getppid(),
        "process.executable.name": os.path.basename(sys.executable),
        "process.executable.path": sys.executable,
        "process.command_args": list[Value](sys.orig_argv),
        "process.owner": _owner(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        "process.runtime.description": sys.version.replace("\n", ""),
    }


def _owner() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return str(os.getuid())


async def container(facts: Facts, _config: DetectorConfig) -> Mapping[str, Value]:
    """Find the id of the own container: in its cgroup, in where its files are mounted from, or in its name."""
    cgroup = facts.read("/proc/self/cgroup") or ""
    mounts = [line for line in (facts.read("/proc/self/mountinfo") or "").splitlines() if "/etc/host" in line]
    for text in (*cgroup.splitlines(), *mounts):
        if found := _CONTAINER_ID.findall(text):
            return {"container.id": found[-1]}
    name = facts.environ.get("HOSTNAME", "")
    if _SHORT_ID.match(name):
        return {"container.id": name}
    msg = "neither cgroup nor mounts name a container"
    raise NotHereError(msg)


async def docker(facts: Facts, config: DockerConfig) -> Mapping[str, Value]:
    """Ask the Docker daemon for its host, and for the own container."""
    path = config.endpoint.removeprefix("unix://")
    if path == config.endpoint:
        return await _asked(facts, config.endpoint.rstrip("/"))
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path), timeout=facts.session.timeout) as session:
        return await _asked(Facts(session, facts.environ, facts.root), "http://docker")


async def _asked(facts: Facts, url: str) -> Mapping[str, Value]:
    info = await facts.get_json(f"{url}/info")
    found: dict[str, Value] = {"host.name": _text(info.get("Name")), "os.type": _text(info.get("OSType"))}
    own = facts.environ.get("HOSTNAME", "")
    if _SHORT_ID.match(own):
        try:
            described: dict[str, Any] = await facts.get_json(f"{url}/containers/{own}/json")
        except NotHereError:
            return found
        found["container.name"] = _text(described.get("Name"), "/")
        config = described.get("Config")
        found["container.image.name"] = _text(config.get("Image")) if isinstance(config, dict) else None
    return found


def _text(value: object, prefix: str = "") -> str | None:
    return value.removeprefix(prefix) if isinstance(value, str) else None
