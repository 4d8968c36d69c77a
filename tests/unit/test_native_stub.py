"""The stub of the extension says what the extension has: neither more nor less."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = "untrace_pipeline_native"
LIBRARY = rf"{MODULE}\.{MODULE}"
"""The library inside of the package that maturin makes; its names are those of the package."""


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    """Return the installed extension; skips where there is none."""
    return pytest.importorskip(MODULE, reason="the extension is not installed (make native)")


def test_stub_equals_the_extension(extension: ModuleType, tmp_path: Path) -> None:
    """Every public name, member, signature and default is on both sides, as mypy's own comparison sees it."""
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nmypy_path = {ROOT / 'native'}:{ROOT}\n")
    (tmp_path / "allowed").write_text(f"{LIBRARY}\n")
    options = ["--mypy-config-file", "mypy.ini", "--allowlist", "allowed"]
    argv = [sys.executable, "-m", "mypy.stubtest", MODULE, *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_names_are_documented(extension: ModuleType) -> None:
    """Who asks ``help()`` gets an answer, for classes, their methods and functions; not properties."""
    offered = [(name, getattr(extension, name)) for name in extension.__all__ if not name.startswith("_")]
    members = [
        (f"{name}.{key}", member)
        for name, value in offered
        if inspect.isclass(value)
        for key, member in vars(value).items()
        if not key.startswith("_") and not inspect.isgetsetdescriptor(member)
    ]
    assert [name for name, value in offered + members if not inspect.getdoc(value)] == []
