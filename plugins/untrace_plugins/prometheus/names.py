"""Names of OTLP as names of Prometheus, by the rules of the Collector (``prometheus/otlptranslator`` 1.0).

Spec: OpenTelemetry, "Prometheus and OpenMetrics Compatibility", section "OTLP Metric points to Prometheus".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["label_name", "metric_name"]

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_PLAIN_NAMES = re.compile(r"[^a-zA-Z0-9:_]+")
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9]")

TOTAL, RATIO = "total", "ratio"


@lru_cache(maxsize=4096)
def metric_name(
    name: str, unit: str, *, counter: bool, gauge: bool, namespace: str, escapes: bool, suffixes: bool
) -> str:
    """Return the name of a metric; empty where nothing is left that Prometheus takes."""
    suffix = (TOTAL if counter else RATIO if gauge and unit == "1" else "") if suffixes else ""
    if not escapes:
        return (
            _with_suffixes(f"{namespace}_{name}" if namespace else name, unit, suffix)
            if suffixes
            else (f"{namespace}_{name}" if namespace else name)
        )
    built = _escaped(name, unit, suffix, namespace) if suffixes else _plain(name, namespace)
    return built if built.strip("_") or built == name else ""


@lru_cache(maxsize=4096)
def label_name(name: str, *, escapes: bool) -> str:
    """Return the name of a label; empty where nothing is left that Prometheus takes."""
    built = _NOT_IN_LABELS.sub("_", name) if escapes else name
    if escapes and built[:1].isdigit():
        built = f"key_{built}"
    return built if built.strip("_") else ""


def _plain(name: str, namespace: str) -> str:
    """Return a name without suffixes."""
    name = _joined(_NOT_IN_PLAIN_NAMES.split(name))
    if namespace:
        return f"{_joined(_NOT_IN_PLAIN_NAMES.split(namespace))}_{name}"
    return f"_{name}" if name[:1].isdigit() else name


def _escaped(name: str, unit: str, suffix: str, namespace: str) -> str:
    tokens = [token for token in _NOT_IN_NAMES.split(name) if token]
    main, per = (_NOT_IN_NAMES.sub("_", part).removeprefix("_") for part in _unit(unit))
    main = "" if main in tokens else main
    per = "" if per == "per_" else per.removesuffix("_")
    per = "" if per in tokens else per
    main = main.removesuffix("_") if per else main
    tokens += [part for part in (main, per) if part]
    if suffix:
        tokens = [token for token in tokens if token != suffix] + [suffix]
    if namespace:
        tokens.insert(0, _NOT_IN_PLAIN_NAMES.sub("_", namespace))
    built = "_".join(tokens)
    return f"_{built}" if built[:1].isdigit() else built


def _with_suffixes(name: str, unit: str, suffix: str) -> str:
    main, per = _unit(unit)
    name = _without(name, suffix)
    name = _without(name, per)
    if main and not name.endswith(main):
        name = f"{name}_{main}"
    return "_".join([name, *(part for part in (per, suffix) if part)])


def _without(name: str, suffix: str) -> str:
    if suffix and name.endswith(suffix) and len(name) > len(suffix) + 1:
        return name[: -len(suffix) - 1]
    return name


def _unit(unit: str) -> tuple[str, str]:
    """Return what a unit adds to a name: its main part, and what it is per. Annotations in braces add nothing."""
    main, _, per = (part.strip() for part in unit.partition("/"))
    main = "" if set(main) & {"{", "}"} else _UNITS.get(main, main)
    per = "" if set(per) & {"{", "}"} else _PER.get(per, per)
    return main, f"per_{per}" if per else ""


def _joined(parts: Sequence[str]) -> str:
    return "_".join([part for part in parts if part])
