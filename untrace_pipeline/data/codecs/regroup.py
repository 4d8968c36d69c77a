"""Cutting a request into several: items move as byte ranges, containers are repeated around them."""

from __future__ import annotations

from collections.abc import Sequence

from untrace_pipeline.data.codecs.wire import Nodes, framed, varint

__all__ = ["partition", "split"]

_Pieces = dict[int, dict[int, list[bytes]]]
"""By container, then by group: the bytes that go there."""


def partition(data: bytes, nodes: Sequence[Nodes], groups: Sequence[int], count: int) -> list[bytes]:
    """Return ``count`` requests; item ``i`` goes to ``groups[i]``, or nowhere where that is negative.

    Each request repeats what its containers hold besides items; a container without items of it is not in it.
    """
    pieces = _grouped_items(data, nodes[-1], groups)
    for depth in range(len(nodes) - 2, -1, -1):
        pieces = _wrapped(data, nodes[depth], nodes[depth + 1], pieces)
    head, tail = _around(data, 0, len(data), nodes[0], range(len(nodes[0])))
    parts = pieces.get(0, {})
    return [b"".join((head, *parts.get(group, ()), tail)) for group in range(count)]


def _grouped_items(data: bytes, items: Nodes, groups: Sequence[int]) -> _Pieces:
    """Return the items of each container by group, neighbours as one slice."""
    runs: dict[int, dict[int, list[list[int]]]] = {}
    for tag, end, parent, group in zip(items.tags, items.ends, items.parents, groups, strict=True):
        if group >= 0:
            ranges = runs.setdefault(parent, {}).setdefault(group, [])
            if ranges and ranges[-1][1] == tag:
                ranges[-1][1] = end
            else:
                ranges.append([tag, end])
    return {
        parent: {group: [data[begin:end] for begin, end in ranges] for group, ranges in by_group.items()}
        for parent, by_group in runs.items()
    }


def _wrapped(data: bytes, nodes: Nodes, kids: Nodes, pieces: _Pieces) -> _Pieces:
    """Put each container around what is in it, and hand the result to the containers outside."""
    family = _families(kids)
    wrapped: _Pieces = {}
    for node, by_group in pieces.items():
        head, tail = _around(data, nodes.starts[node], nodes.ends[node], kids, family[node])
        outside = wrapped.setdefault(nodes.parents[node], {})
        for group, inside in by_group.items():
            outside.setdefault(group, []).extend(framed(data, nodes, node, [head, *inside, tail]))
    return wrapped


def _families(kids: Nodes) -> dict[int, range]:
    """Return the children of each parent: they follow one another."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for kid, parent in enumerate(kids.parents):
        first.setdefault(parent, kid)
        last[parent] = kid
    return {parent: range(begin, last[parent] + 1) for parent, begin in first.items()}


def _around(data: bytes, pos: int, end: int, kids: Nodes, family: range) -> tuple[bytes, bytes]:
    """Return the bytes of a container before its first child, and all others that are not in a child."""
    gaps = []
    for kid in family:
        gaps.append(data[pos : kids.tags[kid]])
        pos = kids.ends[kid]
    gaps.append(data[pos:end])
    return (gaps[0], b"".join(gaps[1:])) if family else (b"", gaps[0])


def split(data: bytes, nodes: Sequence[Nodes], max_items: int, max_bytes: int) -> list[bytes]:
    """Return requests of at most that many items and bytes, in order, each as full as it can be (0 = no limit)."""
    total = len(nodes[-1])
    if (not max_items or total <= max_items) and (not max_bytes or len(data) <= max_bytes):
        return [data]
    groups = _greedy(len(data), nodes, max_items or total, max_bytes or len(data))
    return partition(data, nodes, groups, groups[-1] + 1) if groups else [data]


def _greedy(size: int, nodes: Sequence[Nodes], max_items: int, max_bytes: int) -> list[int]:
    """Return the group of each item: a new one begins where the next item would break a limit."""
    empty = _empty_sizes(size, nodes)
    items = nodes[-1]
    groups: list[int] = []
    group = count = 0
    part = _Part(nodes, empty)
    for row, (tag, end) in enumerate(zip(items.tags, items.ends, strict=True)):
        growth = part.growth(row, end - tag)
        if count and (count == max_items or part.size + growth[0] > max_bytes):
            group, count = group + 1, 0
            part = _Part(nodes, empty)
            growth = part.growth(row, end - tag)
        part.add(row, growth)
        groups.append(group)
        count += 1
    return groups


def _empty_sizes(size: int, nodes: Sequence[Nodes]) -> list[list[int]]:
    """Return the size of the request and of each container's body without their children, by depth."""
    bodies = [[size]]
    bodies += [[end - start for start, end in zip(n.starts, n.ends, strict=True)] for n in nodes[:-1]]
    for body, kids in zip(bodies, nodes, strict=True):
        for tag, end, parent in zip(kids.tags, kids.ends, kids.parents, strict=True):
            body[parent] -= end - tag
    return bodies


class _Part:
    """The exact size of a request that grows item by item."""

    def __init__(self, nodes: Sequence[Nodes], empty: Sequence[Sequence[int]]) -> None:
        self._nodes = nodes
        self._empty = empty
        self._open: list[tuple[int, int]] = [(-1, 0)] * (len(nodes) - 1)  # the container of each depth, its body size
        self.size = empty[0][0]

    def growth(self, row: int, added: int) -> list[int]:
        """Return by how much the request and the body of each container grow with an item of that size."""
        grown = [added]
        node = self._nodes[-1].parents[row]
        for depth in range(len(self._open) - 1, -1, -1):
            current, body = self._open[depth]
            if node == current:
                added += len(varint(body + added)) - len(varint(body))
            else:
                added += self._empty[depth + 1][node]
                added += 1 + len(varint(added))
            grown.append(added)
            node = self._nodes[depth].parents[node]
        return grown[::-1]

    def add(self, row: int, growth: Sequence[int]) -> None:
        """Take an item in whose growth was computed just now."""
        self.size += growth[0]
        node = self._nodes[-1].parents[row]
        for depth in range(len(self._open) - 1, -1, -1):
            current, body = self._open[depth]
            if node != current:
                body = self._empty[depth + 1][node]
            self._open[depth] = (node, body + growth[depth + 1])
            node = self._nodes[depth].parents[node]
