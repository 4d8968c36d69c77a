"""``validate --environment``: does the machine fit the configuration? Libraries, files, ports, destinations.

Works on the names and places of options, so that plugins are covered too: ``endpoint`` is a port to open in receivers
and extensions and a destination in exporters; ``brokers`` and ``hostnames`` list destinations, and ``hostname`` of
exporters is a name to look up; ``path`` of exporters and ``directory`` of exporters and extensions are written to
(``path`` of an extension is a route); ``…_file`` and ``filename`` are read. Only components that run are looked at.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.config.model import ComponentSpec, ServiceSpec
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import start_order
from untrace_pipeline.engine.unit import Blueprint, blueprints
from untrace_pipeline.errors import PluginError, StartError
from untrace_pipeline.telemetry.exposition import pages_of
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["check_environment", "unreachable"]

_TIMEOUT = 3.0
"""Seconds that a destination has for answering a connection."""
_PORTS = {"http": 80, "https": 443}
_LISTS = {"brokers": 9092, "hostnames": 4317}
"""Options that list destinations, and the port that is meant where none is named."""

Check = Callable[[], str | None]


def check_environment(spec: ServiceSpec) -> list[str]:
    """Return what does not fit, one text per option, in the order of the configuration."""
    checks = [*_library_checks(spec), *_component_checks(spec), *_telemetry_checks(spec)]
    with ThreadPoolExecutor(max_workers=16, thread_name_prefix="validate") as pool:
        answers = pool.map(lambda one: one[1](), checks)
        return [f"{path}: {answer}" for (path, _), answer in zip(checks, answers, strict=True) if answer]


def unreachable(component: ComponentSpec) -> list[str | None]:
    """Return for each address among the options of an exporter what is wrong with it, ``None`` if somebody answers."""
    config, path = component.config, f"{component.id.kind}.{component.id}"
    found = ((name, _check(component.id, owner, name, value)) for _, owner, name, value in _options(config, path))
    named = [check() for name, check in found if check is not None and (name in _LISTS or name.endswith("endpoint"))]
    return [*named, *(_destination(url) for url in dict.fromkeys(config.addresses()))]


def _library_checks(spec: ServiceSpec) -> Iterator[tuple[str, Check]]:
    """Make what needs an optional library, without starting it."""
    builder = Builder(Metrics(), dict)
    for blueprint in blueprints(spec, start_order(spec.pipelines.values())):
        if blueprint.spec.factory.extra:
            component = blueprint.spec.id
            yield f"{component.kind}.{component}", partial(_made, builder, blueprint)


def _made(builder: Builder, blueprint: Blueprint) -> str | None:
    try:
        builder.make(blueprint).meter.close()
    except (PluginError, StartError) as error:
        return str(error)
    return None


def _component_checks(spec: ServiceSpec) -> Iterator[tuple[str, Check]]:
    running = dict.fromkeys(spec.extensions)
    for pipeline in spec.pipelines.values():
        running |= dict.fromkeys((*pipeline.receivers, *pipeline.processors, *pipeline.exporters))
    for id in running:  # noqa: A001  the word of the domain
        for path, owner, name, value in _options(spec.components[id].config, f"{id.kind}.{id}"):
            check = _check(id, owner, name, value)
            if check is not None:
                yield path, check
        for url in dict.fromkeys(spec.components[id].config.addresses()):
            yield f"{id.kind}.{id}", partial(_destination, url)


def _telemetry_checks(spec: ServiceSpec) -> Iterator[tuple[str, Check]]:
    for page in pages_of(spec.telemetry.metrics):
        host = f"[{page.host}]" if ":" in page.host else page.host
        yield "service.telemetry.metrics", partial(_port, f"{host}:{page.port}")


def _options(model: BaseModel, path: str) -> Iterator[tuple[str, BaseModel, str, Any]]:
    """Yield every option with its path and the model that holds it."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        here = f"{path}.{name}"
        if isinstance(value, BaseModel):
            yield from _options(value, here)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _options(item, f"{here}[{number}]")
                elif name in _LISTS:
                    yield f"{here}[{number}]", model, name, item
        else:
            yield here, model, name, value


def _check(id: ComponentId, owner: BaseModel, name: str, value: Any) -> Check | None:
    if not isinstance(value, str) or not value:
        return None
    serves = id.kind in {Kind.RECEIVER, Kind.EXTENSION}
    if name == "endpoint" and serves:
        return (lambda: _socket_path(value)) if _is_unix(owner, value) else (lambda: _port(value))
    if name in _LISTS:
        return lambda: _destination(value, _LISTS[name])
    if name == "hostname" and id.kind is Kind.EXPORTER:
        return lambda: _name(value)
    if name.endswith("endpoint") and id.kind is Kind.EXPORTER:
        return lambda: _destination(value)
    if (name == "path" and id.kind is Kind.EXPORTER) or (
        name == "directory" and id.kind in {Kind.EXPORTER, Kind.EXTENSION}
    ):
        is_directory, create = name == "directory", bool(getattr(owner, "create_directory", False))
        return lambda: _writable(Path(value), is_directory=is_directory, create=create)
    if name == "filename" or name.endswith("_file"):
        return lambda: _readable(Path(value))
    return None


def _is_unix(owner: BaseModel, endpoint: str) -> bool:
    return endpoint.startswith("unix:") or getattr(owner, "transport", "") == "unix"


def _socket_path(endpoint: str) -> str | None:
    return _writable(Path(endpoint.removeprefix("unix:").replace("///", "/")), is_directory=False, create=False)


def _split(endpoint: str, default: int | None = None) -> tuple[str, int]:
    """Return host and port. Raises ``ValueError``."""
    text = endpoint.rpartition(":///")[2]
    url = urlsplit(text if "://" in text else f"//{text}")
    port = url.port if url.port is not None else _PORTS.get(url.scheme, default)
    if port is None:
        msg = "no port is named"
        raise ValueError(msg)
    return url.hostname or "", port


def _port(endpoint: str) -> str | None:
    try:
        host, port = _split(endpoint)
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        with closing(socket.socket(family, socket.SOCK_STREAM)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
    except (OSError, ValueError) as error:
        return f"cannot listen on {endpoint}: {_cause(error)}"
    return None


def _destination(endpoint: str, port: int | None = None) -> str | None:
    if endpoint.startswith("unix:"):
        path = Path(endpoint.removeprefix("unix:").replace("///", "/"))
        return None if path.exists() else f"{path} does not exist"
    try:
        host, port = _split(endpoint, port)
        socket.create_connection((host, port), timeout=_TIMEOUT).close()
    except (OSError, ValueError) as error:
        shown = endpoint.rpartition("@")[2]  # never the user and password of a URL
        return f"nothing answers at {shown}: {_cause(error)}"
    return None


def _name(hostname: str) -> str | None:
    try:
        socket.getaddrinfo(hostname, None)
    except (OSError, ValueError) as error:
        return f"no address is known of {hostname}: {_cause(error)}"
    return None


def _writable(path: Path, *, is_directory: bool, create: bool) -> str | None:
    directory = path if is_directory else path.parent
    while create and not directory.exists() and directory != directory.parent:
        directory = directory.parent
    if not directory.is_dir():
        return f"{directory} is no directory" if directory.exists() else f"the directory {directory} does not exist"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"the directory {directory} is not writable"
    if not is_directory and path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        return f"{path} is not a writable file"
    return None


def _readable(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"cannot read {path}: {_cause(error)}"
    return None


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
