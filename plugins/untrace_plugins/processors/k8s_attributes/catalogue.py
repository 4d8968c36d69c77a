"""Everything that is known of pods, namespaces, nodes and replica sets, kept up to date by watches."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from untrace_pipeline.data import Value
from untrace_plugins.processors.k8s_attributes.config import Origin
from untrace_plugins.processors.k8s_attributes.objects import Extractor, Pod

__all__ = ["Named", "Pods", "reader"]

GRACE_SECONDS = 120.0
"""How long a pod that is gone is known: its last data comes later."""

Found = Mapping[str, Any]
Key = tuple[int | str, ...]
Tell = Callable[[str], None]
"""Takes why a watch fails; nothing if all is well."""


class Pods:
    """The pods, found by what resources say: a follower of their watch."""

    def __init__(
        self,
        extractor: Extractor,
        associations: Sequence[Sequence[str]],
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``associations`` name for each way of finding a pod the attributes, or ``connection``, that must agree."""
        self._extractor = extractor
        self._associations = associations
        self._tell = tell
        self._clock = clock
        self._by_uid: dict[str, Pod] = {}
        self._index: dict[Key, Pod] = {}
        self._gone: deque[tuple[float, Pod]] = deque()
        self.complete = asyncio.Event()
        """Set when all pods were told at least once."""

    def __len__(self) -> int:
        return len(self._by_uid)

    def find(self, association: int, values: Sequence[str]) -> Pod | None:
        """Return the pod that values of an association name."""
        return self._index.get((association, *values))

    async def listed(self, objects: list[Found]) -> None:
        """These are the pods now; others are gone."""
        pods = [pod for one in objects if (pod := self._extractor.pod(one)) is not None]
        there = {pod.uid for pod in pods}
        for uid in self._by_uid.keys() - there:
            self._let_go(uid)
        for pod in pods:
            self._put(pod)
        self.complete.set()
        self._tell("")
        self._forget()

    async def changed(self, found: Found, *, deleted: bool) -> None:
        """A pod has come, changed or gone."""
        if deleted:
            self._let_go(found["metadata"].get("uid", ""))
        elif (pod := self._extractor.pod(found)) is not None:
            self._put(pod)
        self._forget()

    def failed(self, why: str) -> None:
        """Say so."""
        self._tell(why)

    def _put(self, pod: Pod) -> None:
        old = self._by_uid.get(pod.uid)
        if old is not None:
            self._remove(old)
        self._by_uid[pod.uid] = pod
        for key in self._keys(pod):
            other = self._index.get(key)
            if other is None or other.uid not in self._by_uid or other.started <= pod.started:
                self._index[key] = pod  # addresses are given out again: the younger pod has them

    def _let_go(self, uid: str) -> None:
        pod = self._by_uid.pop(uid, None)
        if pod is not None:
            self._gone.append((self._clock() + GRACE_SECONDS, pod))

    def _forget(self) -> None:
        """Forget pods that have been gone for long."""
        now = self._clock()
        while self._gone and self._gone[0][0] <= now:
            self._remove(self._gone.popleft()[1])

    def _remove(self, pod: Pod) -> None:
        for key in self._keys(pod):
            if self._index.get(key) is pod:
                del self._index[key]

    def _keys(self, pod: Pod) -> list[Key]:
        return [
            (number, *values)
            for number, names in enumerate(self._associations)
            for values in itertools.product(*[[value for value in pod.values(name) if value] for name in names])
        ]


class Named:
    """Namespaces, nodes or replica sets by name, with what of them becomes attributes: a follower of their watch."""

    def __init__(self, read: Callable[[Found], dict[str, Value]], tell: Tell, *, by_namespace: bool = False) -> None:
        self._read = read
        self._tell = tell
        self._by_namespace = by_namespace
        self._attributes: dict[str, dict[str, Value]] = {}
        self.complete = asyncio.Event()

    def __len__(self) -> int:
        return len(self._attributes)

    def get(self, name: str) -> Mapping[str, Value]:
        """Return the attributes of an object; none if it is unknown. ``namespace/name`` where it lies in one."""
        return self._attributes.get(name, {})

    async def listed(self, objects: list[Found]) -> None:
        """These are the objects now."""
        self._attributes = {self._name(one): self._read(one["metadata"]) for one in objects}
        self.complete.set()
        self._tell("")

    async def changed(self, found: Found, *, deleted: bool) -> None:
        """One has come, changed or gone. Those that are gone stay known until the next list: their data comes later."""
        if not deleted:
            self._attributes[self._name(found)] = self._read(found["metadata"])

    def failed(self, why: str) -> None:
        """Say so."""
        self._tell(why)

    def _name(self, found: Found) -> str:
        metadata = found["metadata"]
        return f"{metadata.get('namespace', '')}/{metadata['name']}" if self._by_namespace else str(metadata["name"])


def reader(extractor: Extractor, origin: Origin, uid: str = "") -> Callable[[Found], dict[str, Value]]:
    """Return what reads the attributes of a namespace or node; ``uid`` names the attribute for its uid."""

    def read(metadata: Found) -> dict[str, Value]:
        found = extractor.extracted(metadata, origin)
        return {**found, uid: metadata.get("uid")} if uid in extractor.wanted else found

    return read
