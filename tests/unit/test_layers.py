"""The rooms of the house keep their doors: who imports what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

EVERYWHERE = {"errors", "machine", "native"}
"""Every room, and every component, may raise our errors, ask which parts of the process are native, and what it has."""
# Room -> rooms of untrace_pipeline that it may import, besides those.
ALLOWED = {
    "errors": {"config"},  # for the type of ConfigError.problems only
    "native": set(),
    "machine": set(),
    "api": {"data"},
    "data": set(),
    "conditions": {"api", "data"},
    "statements": {"conditions", "data"},
    "net": {"api", "data"},
    "delivery": {"api", "data", "net"},
    "registry": {"api"},
    "config": {"api", "conditions", "data", "registry", "engine"},  # of the engine, only graph findings
    "telemetry": {"api", "config", "data", "net", "registry"},
    "admin": {"api", "net", "data"},
    "engine": {"admin", "api", "config", "data", "registry", "telemetry"},
    "hop": {"api", "data", "engine"},
    "supervisor": {"api", "config", "engine", "hop", "net", "registry", "telemetry"},
    "testing": {"api", "config", "data", "registry"},
}
COMPONENTS = {"api", "data", "delivery", "conditions", "statements", "net", "admin"}

PLUGINS = ROOT / "plugins/untrace_plugins"
SHARED = {
    "clouds": set(),
    "core_trace": {"genai", "rows"},
    "bulk": {"exporters", "rows"},  # of the exporters, how they live over HTTP
    "destinations": {"genai"},
    "detectors": {"scanning"},
    "genai": set(),
    "kafka": set(),
    "kubernetes": set(),
    "metrics": {"connectors", "sampling"},  # of the connectors, how they deliver to several pipelines
    "otlp": set(),
    "prometheus": set(),
    "rows": set(),
    "runs": {"genai", "otlp"},
    "sampling": set(),
    "scanning": set(),
    "sealing": {"texts"},
    "shaping": set(),
    "signing": set(),
    "stores": {"clouds"},
    "texts": set(),
}
"""Room that several components share -> rooms beside it that it may import."""


def imports(path: Path) -> Iterator[str]:
    """Yield the absolute names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "untrace_pipeline":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_of(path: Path) -> set[str]:
    """Return the rooms of untrace_pipeline that a file imports, but for those that are open to all."""
    names = (name.split(".") for name in imports(path))
    return {parts[1] for parts in names if parts[0] == "untrace_pipeline" and len(parts) > 1} - EVERYWHERE


def core_files() -> list[Path]:
    """Return the core's source files that lie in a room with rules."""
    return [p for p in (ROOT / "untrace_pipeline").rglob("*.py") if _room(p) in ALLOWED]


def _room(path: Path) -> str:
    return path.relative_to(ROOT / "untrace_pipeline").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_room_imports_only_its_neighbours(path: Path) -> None:
    """A room of the core imports only the rooms that the architecture gives it."""
    room = _room(path)
    assert rooms_of(path) - {room} <= ALLOWED[room]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_components_use_only_the_public_rooms(path: Path) -> None:
    """A component imports the public rooms; what it needs otherwise is missing from the API."""
    allowed = COMPONENTS | ({"testing"} if "tests" in path.parts else set())
    assert rooms_of(path) <= allowed


@pytest.mark.parametrize("room", SHARED)
def test_shared_room_knows_no_component(room: str) -> None:
    """What components share imports none of them, and only the rooms beside it that it needs."""
    names = [name.split(".") for path in (PLUGINS / room).rglob("*.py") for name in imports(path)]
    assert names, "the room is empty"
    found = {parts[1] for parts in names if parts[0] == "untrace_plugins" and len(parts) > 1} - {room}
    assert found <= SHARED[room]


def test_every_shared_room_has_a_rule() -> None:
    """A folder beside the components is one of these rooms."""
    kinds = {"connectors", "exporters", "extensions", "processors", "receivers"}
    assert {path.parent.name for path in PLUGINS.glob("*/__init__.py")} == kinds | SHARED.keys()


def test_core_knows_no_component() -> None:
    """The core never imports a first-party component."""
    guilty = [str(p) for p in core_files() if any(name.startswith("untrace_plugins") for name in imports(p))]
    assert guilty == []
