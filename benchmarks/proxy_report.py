"""The tables of `python -m benchmarks proxy`, with the bars that the design sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

__all__ = ["memory_table", "table"]

Runs = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]
"""Phase → way → rounds."""

COLUMNS = ("what", "direct", "ours", "LiteLLM", "ours adds", "LiteLLM adds", "ours / LiteLLM", "bar", "verdict")
ADDED_BARS_MS = {("one", "p50_ms"): 0.5, ("one", "p99_ms"): 2.0, ("one stream", "first_p50_ms"): 0.5}
PER_CPU_BAR = 10.0
FLAT = 1.10
"""Memory at the end may be so much larger than after a tenth of the calls."""
_LATENCIES = (
    ("one", "p50_ms", "1 client: p50, ms"),
    ("one", "p99_ms", "1 client: p99, ms"),
    ("one stream", "first_p50_ms", "1 client: time to first event, p50, ms"),
    ("one stream", "first_p99_ms", "1 client: time to first event, p99, ms"),
    ("one stream", "p50_ms", "1 client: whole stream, p50, ms"),
)
_RATES = (
    ("many", "per_cpu_second", "32 clients: calls per CPU second"),
    ("many", "per_second", "32 clients: calls per second"),
    ("many streams", "per_cpu_second", "32 clients: streams per CPU second"),
    ("many streams", "per_second", "32 clients: streams per second"),
    ("many", "rss_mb", "32 clients: RSS, MB"),
)
NONE = "-"


def table(runs: Runs) -> str:
    """Return the table of latencies and rates, and the count of spans."""
    rows = [_latency(runs, *each) for each in _LATENCIES] + [_rate(runs, *each) for each in _RATES]
    calls, lost = (
        sum(row[key] for phase in runs.values() for row in phase["ours"]) for key in ("requests", "lost_spans")
    )
    verdict = "ok" if lost == 0 else "MISSED"
    return f"{_markdown([COLUMNS, *rows])}\n\n{calls:,.0f} calls through ours, {lost:,.0f} spans lost: {verdict}"


def memory_table(memory: Mapping[str, float]) -> str:
    """Return the table of the resident memory."""
    sizes = list(memory.values())
    grown = sizes[-1] / sizes[0]
    verdict = "ok" if grown <= FLAT else "MISSED"
    rows = [("calls", *memory), ("RSS of ours, MB", *(f"{size:.1f}" for size in sizes))]
    return f"{_markdown(rows)}\n\nLast against first: {grown:.2f}, bar {FLAT:.2f}: {verdict}"


def _latency(runs: Runs, phase: str, key: str, title: str) -> tuple[str, ...]:
    ways = runs[phase]
    direct, ours, theirs = (_median(ways, name, lambda row: row[key]) for name in ("direct", "ours", "litellm"))
    added, they_add = (_added(ways, name, key) for name in ("ours", "litellm"))
    bar = ADDED_BARS_MS.get((phase, key))
    return (
        title,
        *(_number(value) for value in (direct, ours, theirs, added, they_add)),
        _number(added / they_add if added is not None and they_add else None),
        NONE if bar is None else f"adds ≤ {bar:g}",
        NONE if bar is None or added is None else "ok" if added <= bar else "MISSED",
    )


def _rate(runs: Runs, phase: str, key: str, title: str) -> tuple[str, ...]:
    ways = runs[phase]
    direct, ours, theirs = (_median(ways, name, lambda row: row.get(key)) for name in ("direct", "ours", "litellm"))
    ratio = ours / theirs if ours and theirs else None
    judged = key == "per_cpu_second" and phase == "many"
    return (
        title,
        *(NONE if value is None else f"{value:,.0f}" for value in (direct, ours, theirs)),
        NONE,
        NONE,
        _number(ratio),
        f"≥ {PER_CPU_BAR:g}" if judged else NONE,
        NONE if not judged or ratio is None else "ok" if ratio >= PER_CPU_BAR else "MISSED",
    )


def _added(ways: Mapping[str, Sequence[Mapping[str, float]]], name: str, key: str) -> float | None:
    """Return the median over the rounds of what a way adds to the direct calls of the same round."""
    if not ways.get(name):
        return None
    return median(row[key] - direct[key] for row, direct in zip(ways[name], ways["direct"], strict=True))


def _median(
    ways: Mapping[str, Sequence[Mapping[str, float]]], name: str, value: Callable[[Mapping[str, float]], float | None]
) -> float | None:
    found = [each for row in ways.get(name, ()) if (each := value(row)) is not None]
    return median(found) if found else None


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
