"""Every metric is in the table, well named, used and documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from untrace_pipeline.api import MetricKind, MetricSpec
from untrace_pipeline.delivery import Reason
from untrace_pipeline.registry import Registry
from untrace_pipeline.telemetry import document
from untrace_pipeline.telemetry.table import METRICS

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"counter", "gauge", "histogram"}
NAME = re.compile(r"[a-z][a-z0-9_]*")
NAMED = re.compile(r"`(untrace_[a-z_]+)[`{]")


def declared() -> dict[str, MetricSpec]:
    """Return the metrics of the table and of the factories of this distribution."""
    found = {spec.name: spec for spec in METRICS}
    registry = Registry()
    for one in registry.installed():
        if one.package == "untrace-pipeline":
            found |= {spec.name: spec for spec in registry.load(one.kind, one.type_name).metrics}
    return found


def used() -> Iterator[tuple[str, str, re.Pattern[str]]]:
    """Yield place, kind and name (a pattern, where a part of it is computed) of every metric that the code asks for."""
    for folder in ("untrace_pipeline", "plugins/untrace_plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "testing" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS:
                    name = _pattern(node.args[0]) if node.args else None
                    if name is not None:
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", node.func.attr, name


def _pattern(node: ast.expr) -> re.Pattern[str] | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.compile(re.escape(node.value))
    if isinstance(node, ast.JoinedStr):
        parts = [re.escape(p.value) if isinstance(p, ast.Constant) else "[a-z_]+" for p in node.values]
        return re.compile("".join(parts))
    return None


def test_every_metric_used_in_the_code_is_declared() -> None:
    """No metric exists that is in no table, and it is used as what it is declared as."""
    kinds = {(spec.kind.value, name) for name, spec in declared().items()}
    unknown = [
        f"{place}: {kind} {name.pattern}"
        for place, kind, name in used()
        if not any(k == kind and name.fullmatch(known) for k, known in kinds)
    ]
    assert unknown == []


def test_every_declared_metric_is_used() -> None:
    """The table promises nothing that nobody counts."""
    asked = [(kind, name) for _, kind, name in used()]
    idle = [n for n, spec in declared().items() if not any(k == spec.kind and p.fullmatch(n) for k, p in asked)]
    assert idle == []


def test_names_are_unique() -> None:
    """One name, one metric."""
    names = [spec.name for spec in METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_rows_are_well_formed(spec: MetricSpec) -> None:
    """Names and labels fit Prometheus, help is a sentence, counters leave ``_total`` to the exposition."""
    assert NAME.fullmatch(spec.name)
    assert all(NAME.fullmatch(label) for label in spec.labels)
    assert not spec.name.endswith("_total")
    assert spec.help.endswith(".") or spec.help.endswith("…")
    assert bool(spec.buckets) is (spec.kind is MetricKind.HISTOGRAM)
    assert list(spec.buckets) == sorted(spec.buckets)


def test_documentation_is_up_to_date() -> None:
    """docs/metrics.md is what the command writes, and names every metric."""
    assert document.main(["--check"]) == 0
    text = document.TARGET.read_text(encoding="utf-8")
    assert all(f"`{name}" in text for name in declared())


def test_pages_name_metrics_that_exist() -> None:
    """What a page written by hand tells people to look at is served under that name."""
    served = {f"untrace_{n}{'_total' if spec.kind is MetricKind.COUNTER else ''}" for n, spec in declared().items()}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    named = {name for page in pages for name in NAMED.findall(page.read_text(encoding="utf-8"))}
    assert named - served - {"untrace_pipeline"} == set()
    assert len(named & served) > 5


def test_reasons_of_drops_are_told() -> None:
    """The help of ``dropped_items`` lists every reason that deliveries and built-in processors give."""
    (spec,) = (spec for spec in METRICS if spec.name == "dropped_items")
    assert [r for r in (*Reason, "filtered", "sampled", "no_route") if r not in spec.help] == []


def test_a_stale_page_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    """``--check`` fails, and running the command mends it."""
    monkeypatch.setattr(document, "TARGET", tmp_path / "metrics.md")
    assert document.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0
