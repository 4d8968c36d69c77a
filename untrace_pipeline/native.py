"""Which parts of this process are native, and why.

The distribution ``untrace-pipeline-native`` brings three parts: the codec, the transports of the ``otlp`` receiver
(ingress) and those of the OTLP exporters (egress). None is ever required. Each part is chosen once per process, the
first time that somebody asks: ``auto`` takes the native one where it is installed and made for this daemon. An
environment variable (``UNTRACE_PIPELINE_CODEC``, ``_INGRESS``, ``_EGRESS``) forces either, as does the configuration
(``service.runtime``); the variable wins.

The extension is imported only when a part that may be native is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from types import ModuleType

from untrace_pipeline.errors import PluginError

__all__ = [
    "API",
    "DISTRIBUTION",
    "NATIVE",
    "Choice",
    "Part",
    "choices",
    "codec",
    "configure",
    "egress",
    "expected",
    "ingress",
    "summary",
]

DISTRIBUTION = "untrace-pipeline-native"
"""The distribution; its module has the same name with underscores."""
API = "0.1"
"""The major and minor version of the distribution that this daemon is written against; another one is not used."""

AUTO, NATIVE = "auto", "native"


class Part(StrEnum):
    """What can be native."""

    CODEC = "codec"
    INGRESS = "ingress"
    EGRESS = "egress"

    @property
    def python(self) -> str:
        """The name of the implementation that is not native."""
        return "upb" if self is Part.CODEC else "python"

    @property
    def variable(self) -> str:
        """The environment variable that forces it."""
        return f"UNTRACE_PIPELINE_{self.name}"

    @property
    def option(self) -> str:
        """The configuration key that forces it."""
        return f"service.runtime.{self.value}"

    @property
    def names(self) -> tuple[str, ...]:
        """What the extension must have for the part to be native."""
        return _NAMES[self]


_NAMES: dict[Part, tuple[str, ...]] = {
    Part.CODEC: ("Searcher", "Table", "count", "decode", "from_json", "to_json"),
    Part.INGRESS: ("Ingress",),
    Part.EGRESS: ("Egress",),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An implementation, and why it is this one: a phrase without a full stop, for logs and metrics."""

    name: str
    """``native``, or ``upb`` for the codec and ``python`` for the transports."""
    reason: str

    @property
    def is_native(self) -> bool:
        """Whether the native implementation was chosen."""
        return self.name == NATIVE


_configured: dict[Part, str] = {}
_made: dict[Part, Choice] = {}


def codec() -> Choice:
    """Return the codec of this process: ``native`` or ``upb``. Raises like :func:`choices`."""
    return _choice(Part.CODEC)


def ingress() -> Choice:
    """Return the transports of the ``otlp`` receiver: ``native`` or ``python``. Raises like :func:`choices`."""
    return _choice(Part.INGRESS)


def egress() -> Choice:
    """Return the transports of the OTLP exporters: ``native`` or ``python``. Raises like :func:`choices`."""
    return _choice(Part.EGRESS)


def choices() -> dict[Part, Choice]:
    """Return the choice for every part, making those that are still open.

    Raises :class:`PluginError` where a part is forced to be native and cannot be, or a variable has a wrong value.
    """
    return {part: _choice(part) for part in Part}


def configure(wishes: Mapping[Part, str]) -> list[Part]:
    """Take the wishes of ``service.runtime``, and return the parts that would be others after a restart.

    A part for which a choice was made keeps it until the process ends.
    """
    _configured.update(wishes)
    return [part for part, made in _made.items() if _name_now(part) != made.name]


def expected(part: Part) -> str:
    """Return the implementation that would be chosen now, without choosing; ``native`` where it is forced and missing.

    For checks of options that only one of them has: they come before the configuration is known as a whole.
    """
    return _name_now(part)


def summary() -> str:
    """Return all choices with their reasons in one phrase, for logs and pages. Raises like :func:`choices`."""
    by_reason: dict[str, list[str]] = {}
    for part, choice in choices().items():
        by_reason.setdefault(choice.reason, []).append(f"{part} {choice.name}")
    return ", ".join(f"{', '.join(parts)} ({reason})" for reason, parts in by_reason.items())


def _choice(part: Part) -> Choice:
    if part not in _made:
        _made[part] = _choose(part)
    return _made[part]


def _name_now(part: Part) -> str:
    try:
        return _choose(part).name
    except PluginError:  # forced and missing: the next start will fail, and say why
        return NATIVE


def _choose(part: Part) -> Choice:
    wish, source = _wish(part)
    if wish == part.python:
        return Choice(part.python, f"{source} says so")
    extension, found = _extension()
    if extension is not None and (missing := [name for name in part.names if not hasattr(extension, name)]):
        extension, found = None, f"{found}, but without {', '.join(missing)}"
    if extension is not None:
        return Choice(NATIVE, f"{source} says so" if wish == NATIVE else found)
    if wish == NATIVE:
        msg = (
            f"{source} asks for the native {part}, but {found}: "
            f"pip install 'untrace-pipeline[native]', or make native in a checkout"
        )
        raise PluginError(msg)
    return Choice(part.python, found)


def _wish(part: Part) -> tuple[str, str]:
    """Return what is wished for a part, and who wishes it."""
    value = os.environ.get(part.variable, "")
    if not value:
        return _configured.get(part, AUTO), part.option
    expected = (AUTO, NATIVE, part.python)
    if value not in expected:
        msg = f"{part.variable}={value}: expected {', '.join(expected)}"
        raise PluginError(msg)
    return value, part.variable


@cache
def _extension() -> tuple[ModuleType | None, str]:
    """Return the extension where it can be used, and what was found."""
    try:
        module = import_module(DISTRIBUTION.replace("-", "_"))
    except ModuleNotFoundError:
        return None, f"{DISTRIBUTION} is not installed"
    except Exception as error:  # noqa: BLE001  whatever is wrong with it, the daemon works without
        return None, f"{DISTRIBUTION} cannot be imported: {type(error).__name__}: {error}"
    version = str(getattr(module, "__version__", "unknown"))
    if version.split(".")[:2] != API.split("."):
        return None, f"{DISTRIBUTION} {version} is installed, and this daemon takes {API}"
    return module, f"{DISTRIBUTION} {version} is installed"
