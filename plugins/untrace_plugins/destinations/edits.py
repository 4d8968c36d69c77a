"""Edits of attributes, as a destination's file names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from untrace_pipeline.data import Value
from untrace_plugins.destinations.model import Edit
from untrace_plugins.destinations.templates import render

__all__ = ["Edits"]


class Edits:
    """A list of edits, with the options in their values filled in. Pure."""

    def __init__(self, edits: Sequence[Edit], values: Mapping[str, str]) -> None:
        filled = [(edit, render(edit.value, values) if edit.value else None) for edit in edits]
        self._edits = [(edit, value) for edit, value in filled if edit.source or value is not None]

    def __bool__(self) -> bool:
        return bool(self._edits)

    def __call__(self, attributes: Mapping[str, Value]) -> dict[str, Value]:
        """Return what to change; ``None`` removes an attribute."""
        changes: dict[str, Value] = {}
        for edit, fixed in self._edits:
            value = fixed if fixed is not None else attributes.get(edit.source)
            if edit.words:
                value = edit.words.get(str(value))
            if value is None or (not edit.overwrite and (attributes.get(edit.to) or changes.get(edit.to)) is not None):
                continue
            changes[edit.to] = value
            if edit.move:
                changes[edit.source] = None
        return changes
