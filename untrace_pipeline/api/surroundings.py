"""What a component judges its options by, besides themselves: the configuration around it, and files they name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from untrace_pipeline.api.identity import PipelineId

if TYPE_CHECKING:
    from untrace_pipeline.api.config import ConfigModel

__all__ = ["Remark", "Surroundings"]

M = TypeVar("M", bound="ConfigModel")


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that ``validate`` should say about an option."""

    option: str
    """Dotted path of the option: ``rules.0.conditions``; empty for the component as a whole."""
    message: str
    expected: str = ""
    fatal: bool = False
    """Whether the component cannot work so; otherwise it is a warning: it works, and is probably not meant."""


class Surroundings(Protocol):
    """The configuration around a component."""

    @property
    def outputs(self) -> Collection[PipelineId]:
        """The pipelines that have it, a connector, as receiver."""

    @property
    def processors(self) -> Collection[str]:
        """Ids of the configured processors that :meth:`Host.through` leads through: they do not hold back."""

    def read(self, path: str, model: type[M]) -> M:
        """Read a file of options, YAML or JSON, now.

        Raises :class:`ConfigError` with everything that is wrong with it, by file, line and column.
        """

    def place(self, path: str, option: str) -> str:
        """Return where an option, by its dotted path, stands in such a file: ``rules.yaml:12:5: rules[1].id``."""
