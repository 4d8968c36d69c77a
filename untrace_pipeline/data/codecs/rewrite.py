"""One rewrite of a request: what changed is written anew, everything else is copied as byte ranges.

Goes from the items outwards. On each depth, ``changed`` holds the new form of the messages that differ, tag and length
included; an empty list stands for one that vanishes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from untrace_pipeline.data.codec import Edits
from untrace_pipeline.data.codecs.row_edits import Change, by_row, edit_message
from untrace_pipeline.data.codecs.shapes import Shape
from untrace_pipeline.data.codecs.upb_rows import UpbRows
from untrace_pipeline.data.codecs.upb_schema import CHILDREN, CONTAINERS, ITEMS, LEVELS, POINTS, ItemKind
from untrace_pipeline.data.codecs.wire import Nodes, framed, read_varint
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value
from untrace_pipeline.data.signal import Signal

__all__ = ["rewrite"]

_Changed: TypeAlias = dict[int, list[bytes]]
_NO_CHANGES: Mapping[int, Sequence[Change]] = {}


def rewrite(rows: UpbRows, edits: Edits) -> bytes:
    """Return the request with the edits applied; ``rows`` must be regular.

    Raises ``ValueError`` naming the field for a value that it cannot hold.
    """
    return _Rewrite(rows, edits).run()


@dataclass(slots=True)
class _ChildEdits:
    """What happens to the events or the links of one item, by their number within it."""

    changes: dict[int, Sequence[Change]] = field(default_factory=dict)
    drops: list[int] = field(default_factory=list)


class _Rewrite:
    def __init__(self, rows: UpbRows, edits: Edits) -> None:
        self._rows = rows
        self._signal = rows.signal
        self._data = rows.data
        self._nodes = rows.nodes()
        self._changes = by_row(rows.signal, edits.values)
        self._shapes = _useful_shapes(rows, edits.values)
        self._gone = _all_gone(LEVELS[rows.signal], self._nodes, edits.drop)
        self._children = {
            level: _by_item(self._changes.get(level, _NO_CHANGES), edits.drop.get(level, set()), rows.owners(level))
            for level in (Level.EVENT, Level.LINK)
            if level in self._changes or level in edits.drop
        }

    def run(self) -> bytes:
        changed = self._changed_items()
        for depth in range(len(self._nodes) - 2, -1, -1):
            changed = self._changed_containers(depth, changed)
        return b"".join(self._spliced(0, len(self._data), self._nodes[0], sorted(changed), changed))

    def _changed_items(self) -> _Changed:
        changed: _Changed = {row: [] for row in self._gone[-1]}
        own = self._changes.get(Level.ITEM, _NO_CHANGES)
        rows = set(own).union(*self._children.values())
        for row in rows.difference(changed):
            changed[row] = self._item(row, own.get(row, ()))
        return changed

    def _item(self, row: int, changes: Sequence[Change]) -> list[bytes]:
        """Return an item anew. New attributes are appended to its bytes; for all else it is decoded."""
        items = self._nodes[-1]
        body = self._data[items.starts[row] : items.ends[row]]
        kind = self._kind(row)
        shape = self._shapes.get(row)
        added, others = [], []
        for change in changes:
            edit, value = change
            if shape is None or not edit.encoded_key or edit.field.key in shape.first:
                others.append(change)
            elif value is not None:
                added.append(edit.appended(kind.attribute_tag, value))
        children = [(level, by_item[row]) for level, by_item in self._children.items() if row in by_item]
        if others or children:
            message = kind.message.FromString(body)
            edit_message(Level.ITEM, message, others, shape)
            for level, child_edits in children:
                _edit_children(level, CHILDREN[self._signal][level](message), child_edits)
            body = message.SerializeToString()
        return framed(self._data, items, row, [body, *added])

    def _kind(self, row: int) -> ItemKind:
        if self._signal is not Signal.METRICS:
            return ITEMS[self._signal]
        datas = self._nodes[-2]
        key, _ = read_varint(self._data, datas.tags[self._nodes[-1].parents[row]], len(self._data))
        return POINTS[key >> 3]

    def _changed_containers(self, depth: int, inside: _Changed) -> _Changed:
        """Return the new form of the containers of a depth, from that of their children."""
        nodes, kids = self._nodes[depth], self._nodes[depth + 1]
        level = LEVELS[self._signal][depth]
        own = _NO_CHANGES if level is None else self._changes.get(level, _NO_CHANGES)
        touched: dict[int, list[int]] = {node: [] for node in own}
        for kid in sorted(inside):
            touched.setdefault(kids.parents[kid], []).append(kid)
        changed: _Changed = {node: [] for node in self._gone[depth]}
        for node in touched.keys() - changed.keys():
            family = range(bisect_left(kids.parents, node), bisect_right(kids.parents, node))
            if len(touched[node]) == len(family) > 0 and not any(inside[kid] for kid in family):
                changed[node] = []
                continue
            if node in own:
                assert level is not None
                pieces = self._edited_container(level, node, family, inside, own[node])
            else:
                pieces = self._spliced(nodes.starts[node], nodes.ends[node], kids, touched[node], inside)
            changed[node] = framed(self._data, nodes, node, pieces)
        return changed

    def _edited_container(
        self, level: Level, node: int, family: range, inside: _Changed, changes: Sequence[Change]
    ) -> list[bytes]:
        """Return the body of a container whose own fields change; it is decoded without its children.

        A metric is decoded whole: the fields of its data lie beside the points.
        """
        depth = LEVELS[self._signal].index(level)
        nodes, kids = self._nodes[depth], self._nodes[depth + 1]
        everything: _Changed = {kid: [self._data[kids.tags[kid] : kids.ends[kid]]] for kid in family}
        everything.update((kid, inside[kid]) for kid in family if kid in inside)
        children = [piece for kid in family for piece in everything[kid]]
        without: _Changed = {kid: [] for kid in family}
        gaps = self._spliced(nodes.starts[node], nodes.ends[node], kids, family, without)
        if level is Level.METRIC:
            gaps, children = [*gaps, *children], []
        message = CONTAINERS[self._signal, level].FromString(b"".join(gaps))
        edit_message(level, message, changes)
        return [message.SerializeToString(), *children]

    def _spliced(
        self, pos: int, end: int, kids: Nodes, places: Sequence[int], inside: Mapping[int, Sequence[bytes]]
    ) -> list[bytes]:
        """Return the bytes from ``pos`` to ``end`` with the named children replaced."""
        pieces = []
        for kid in places:
            if pos < kids.tags[kid]:
                pieces.append(self._data[pos : kids.tags[kid]])
            pieces.extend(inside[kid])
            pos = kids.ends[kid]
        pieces.append(self._data[pos:end])
        return pieces


def _useful_shapes(rows: UpbRows, values: Mapping[Field, Mapping[int, Value]]) -> Mapping[int, Shape]:
    """Return the shapes of the changed items if only single keys of their attributes change, not whole maps."""
    fields = [field for field in values if field.level is Level.ITEM and field.name == ATTRIBUTES]
    if any(field.key is None for field in fields):
        return {}
    changed = list(set().union(*(values[field] for field in fields)))
    return dict(zip(changed, rows.shapes(Level.ITEM, changed), strict=True)) if changed else {}


def _all_gone(
    levels: Sequence[Level | None], nodes: Sequence[Nodes], drop: Mapping[Level, AbstractSet[int]]
) -> list[AbstractSet[int]]:
    """Return per depth the messages that are dropped, or lie in one that is."""
    gone: list[AbstractSet[int]] = []
    outside: AbstractSet[int] = set()
    for level, of_depth in zip(levels, nodes, strict=True):
        here = drop.get(level, set()) if level is not None else set()
        if outside:
            here = here | {row for row, parent in enumerate(of_depth.parents) if parent in outside}
        gone.append(here)
        outside = here
    return gone


def _by_item(
    changes: Mapping[int, Sequence[Change]], drops: Iterable[int], owners: Sequence[int]
) -> dict[int, _ChildEdits]:
    """Sort changes and drops of events or links by their item."""
    found: dict[int, _ChildEdits] = {}
    for row, change in changes.items():
        owner = owners[row]
        found.setdefault(owner, _ChildEdits()).changes[row - bisect_left(owners, owner)] = change
    for row in sorted(drops):
        owner = owners[row]
        found.setdefault(owner, _ChildEdits()).drops.append(row - bisect_left(owners, owner))
    return found


def _edit_children(level: Level, messages: Any, edits: _ChildEdits) -> None:
    for number in edits.changes.keys() - set(edits.drops):
        edit_message(level, messages[number], edits.changes[number])
    for number in reversed(edits.drops):
        del messages[number]
