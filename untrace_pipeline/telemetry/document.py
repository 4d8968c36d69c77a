"""Writes docs/metrics.md from the table: ``python -m untrace_pipeline.telemetry.document [--check]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from untrace_pipeline.api.telemetry import Aggregation, MetricKind, MetricSpec
from untrace_pipeline.registry import Registry
from untrace_pipeline.telemetry.table import SECTIONS

__all__ = ["main", "page"]

PACKAGE = "untrace-pipeline"
TARGET = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
INTRODUCTION = """\
# Metrics of the daemon

Served at `http://localhost:8888/metrics` in Prometheus' text format, or as OpenMetrics to a scraper that asks for it;
`service.telemetry.metrics` moves or closes it. Every name begins with a prefix: `untrace_` by default, `otelcol_` with
`prefix: otelcol_`, so that dashboards made for the OpenTelemetry Collector work unchanged. Counters end in `_total`,
unless the reader has `without_type_suffix: true`. `target_info` carries the attributes of the daemon itself.

Labels `receiver`, `processor`, `exporter`, `destination` and `component` hold ids as written in the configuration
(`otlp/backend`). This page is generated from `untrace_pipeline/telemetry/table.py` and from the factories of the
built-in components; components of other packages may add their own.

With several workers (`service.workers`) the page shows all of them as one: values are added up, unless the meaning
names another rule.
"""

_RULES = {
    Aggregation.SUM: "",
    Aggregation.MAX: " Of several workers, the greatest.",
    Aggregation.MIN: " Of several workers, the least.",
    Aggregation.OWN: " Counted by the supervisor of several workers.",
}


def page() -> str:
    """Return the whole page."""
    sections = [*SECTIONS, *(_component_sections())]
    return "\n".join([INTRODUCTION, *(_section(title, specs) for title, specs in sections)])


def _component_sections() -> Iterator[tuple[str, tuple[MetricSpec, ...]]]:
    """Yield the metrics that components of this distribution declare for themselves."""
    registry = Registry()
    for one in registry.installed():
        factory = registry.load(one.kind, one.type_name) if one.package == PACKAGE else None
        if factory is not None and factory.type_name == one.type_name and factory.metrics:
            yield f"The {one.type_name} {one.kind.singular}", factory.metrics


def _section(title: str, specs: tuple[MetricSpec, ...]) -> str:
    rows = "\n".join(_row(spec) for spec in specs)
    return f"## {title}\n| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n{rows}\n"


def _row(spec: MetricSpec) -> str:
    suffix = "_total" if spec.kind is MetricKind.COUNTER else ""
    labels = ", ".join(f"`{label}`" for label in spec.labels) or "none"
    return f"| `{spec.name}{suffix}` | {spec.kind} | {labels} | {spec.help}{_RULES[spec.aggregation]} |"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with ``--check`` return 1 if it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether docs/metrics.md is up to date")
    wanted = page()
    if parser.parse_args(arguments).check:
        if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == wanted:
            return 0
        sys.stderr.write(f"{TARGET} is out of date; run: make docs\n")
        return 1
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
