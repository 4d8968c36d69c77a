"""Every code of a problem has a golden file: what the user wrote, and exactly what he is told.

Comments on top of a file set the stage: ``# config: a.yaml`` (repeated; default: the file itself), ``# set: a.b=c``,
``# env: NAME=value``. ``UPDATE_GOLDEN=1 pytest tests/unit/config/test_golden.py`` writes the expected texts anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.plugins import make_registry
from untrace_pipeline.config.codes import CODES
from untrace_pipeline.config.diagnostics import Problem, Severity
from untrace_pipeline.config.loader import load
from untrace_pipeline.engine.graph import GRAPH_CODES
from untrace_pipeline.engine.guarantees import GUARANTEE_CODES
from untrace_pipeline.errors import ConfigError

ALL_CODES = {**CODES, **GRAPH_CODES, **GUARANTEE_CODES}
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "config"
CASES = sorted(path for path in GOLDEN.glob("*.yaml") if not path.name.startswith("part-"))


def problems_of(path: Path) -> tuple[Problem, ...]:
    """Load a golden file as its comments say."""
    told: dict[str, list[str]] = {"config": [], "set": [], "env": []}
    for line in path.read_text(encoding="latin-1").splitlines():
        name, _, value = line.removeprefix("# ").partition(": ")
        if line.startswith("# ") and name in told:
            told[name].append(value)
    environ = dict(pair.split("=", 1) for pair in told["env"])
    try:
        return load(told["config"] or [path.name], told["set"], make_registry(), environ=environ).warnings
    except ConfigError as error:
        return error.problems


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problems of a file read exactly as written down, and hold the code that names the file."""
    monkeypatch.chdir(GOLDEN)
    problems = problems_of(path)
    text = "\n".join(f"{problem}\n  code: {problem.code}\n" for problem in problems)
    expected = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")
    assert path.stem.partition("--")[0] in {problem.code for problem in problems} | {"many"}


def test_every_code_has_a_golden_file() -> None:
    """No problem is reported whose text nobody has read."""
    assert {path.stem.partition("--")[0] for path in CASES} - {"many"} == set(ALL_CODES)


def test_every_code_is_documented() -> None:
    """The page on configuration lists each code with what it says."""
    page = (GOLDEN.parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    silent = [code for code, text in ALL_CODES.items() if f"| `{code}` | {text} |" not in page]
    assert silent == []


def test_no_code_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every code that appears stands in a table."""
    monkeypatch.chdir(GOLDEN)
    seen = {problem.code for path in CASES for problem in problems_of(path)}
    assert seen <= set(ALL_CODES)


def test_secrets_never_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden files hold secrets marked by one word, which no message, excerpt or suggestion repeats."""
    monkeypatch.chdir(GOLDEN)
    for path in CASES:
        assert "hunter2" not in "\n".join(str(problem) for problem in problems_of(path))
    assert sum("hunter2" in path.read_text(encoding="latin-1") for path in CASES) >= 4


def test_only_some_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What works has warnings only; everything else is an error."""
    monkeypatch.chdir(GOLDEN)
    warnings = {p.code for path in CASES for p in problems_of(path) if p.severity is Severity.WARNING}
    assert warnings <= {"deprecated-option", "doubtful-option", "other-spelling", "unused-connector", *GUARANTEE_CODES}
