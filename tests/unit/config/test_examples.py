"""Every example of a configuration, in files and on pages, is right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from untrace_pipeline.config.check import SECTIONS
from untrace_pipeline.config.compose import parse
from untrace_pipeline.config.loader import load
from untrace_pipeline.config.nodes import Map, Source
from untrace_pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins" / "untrace_plugins").rglob("README.md")),
]
BLOCK = re.compile(r"^( *)```ya?ml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
OF_FRAGMENTS = {
    "no-pipelines",
    "no-receivers",
    "no-exporters",
    "unknown-component",
    "unknown-extension",
    "extension-not-enabled",
    "unknown-pipeline",
    "unused-connector",
    "unconnected-pipeline",
    "half-used-connector",
}
"""What may be missing around a fragment."""
VARIABLE = re.compile(r"\$\{(?:env:)?(\w+)\}")
GUESSES = {
    "WHSEC": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "KEY": "k" * 64,
    "TOKEN": "hunter2",
    "HOST": "localhost",
    "USER": "agent",
    "IP": "127.0.0.1",
    "PORT": "4317",
}


def environ(text: str) -> dict[str, str]:
    """Set every variable that a text reads without a default to something that fits its name."""
    return {
        name: next((value for word, value in GUESSES.items() if word in name), "localhost:4317")
        for name in VARIABLE.findall(text)
    }


def blocks() -> Iterator[tuple[str, str]]:
    """Yield name and text of the YAML blocks that hold sections of a configuration."""
    for page in PAGES:
        for number, found in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), 1):
            text = re.sub(f"^{found[1]}", "", found[2], flags=re.MULTILINE)
            try:
                root = parse(Source("block", text))
            except ConfigError as error:
                text, root = f"yaml-syntax: {error}", None
            if root is None or (isinstance(root, Map) and set(root.entries) <= set(SECTIONS)):
                yield f"{page.relative_to(ROOT)}#{number}", text


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_example_file(path: Path) -> None:
    """An example loads as it is, without a warning, and runs in a fresh checkout: it makes its directories."""
    loaded = load([str(path)], environ=environ(path.read_text()))
    assert loaded.warnings == ()
    assert all(getattr(component.config, "create_directory", True) for component in loaded.spec.components.values())


TESTED = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if "\ntests:" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", TESTED, ids=lambda path: path.stem)
def test_tests_of_an_example(path: Path, tmp_path: Path) -> None:
    """What an example says of itself holds, and trying it leaves nothing on disk."""
    command = [sys.executable, "-m", "untrace_pipeline", "test", "--config", str(path)]
    known = {**os.environ, **environ(path.read_text())}
    # a process of its own: memory limits are those of the daemon, and have nothing to do with what other tests hold
    tried = subprocess.run(command, env=known, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "text"), list(blocks()), ids=[name for name, _ in blocks()])
def test_block_on_a_page(name: str, text: str) -> None:
    """A YAML block on a page has nothing wrong with it but what a fragment lacks."""
    try:
        problems = load([f"yaml:{text}"], environ=environ(text)).warnings
    except ConfigError as error:
        problems = error.problems
    wrong = [str(problem) for problem in problems if problem.code not in OF_FRAGMENTS]
    assert wrong == []


def test_example_of_the_readme() -> None:
    """What the first page shows is a file that can be run."""
    shown = BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown is not None
    assert shown[2].strip() in (ROOT / "configs" / "llm-gateway.yaml").read_text(encoding="utf-8")
