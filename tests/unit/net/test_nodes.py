"""Several addresses of one destination."""

from __future__ import annotations

import pytest

from untrace_pipeline.errors import Code, PermanentError, RetryableError
from untrace_pipeline.net.nodes import PASSED_OVER_SECONDS, Nodes


class Cluster:
    """Nodes that are away, or busy, or answer with their name."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.asked: list[str] = []

    async def __call__(self, node: str) -> str:
        self.asked.append(node)
        if node in self.errors:
            raise self.errors[node]
        return node


async def test_nodes_are_asked_in_turn() -> None:
    """Each request begins with the next one."""
    nodes, cluster = Nodes(["a", "b", "c"]), Cluster()
    assert [await nodes.ask(cluster) for _ in range(4)] == ["a", "b", "c", "a"]


async def test_a_silent_node_is_asked_last_for_a_while() -> None:
    """It costs one attempt, not every third one; later it gets its chance again."""
    now = 0.0
    nodes, cluster = Nodes(["a", "b", "c"], now=lambda: now), Cluster(a=RetryableError("away"))
    assert [await nodes.ask(cluster) for _ in range(5)] == ["b", "b", "c", "b", "b"]
    assert cluster.asked.count("a") == 1
    now, cluster.errors = PASSED_OVER_SECONDS, {}
    assert {await nodes.ask(cluster) for _ in range(3)} == {"a", "b", "c"}


async def test_what_counts_as_an_answer() -> None:
    """A refusal, and a busy cluster: nobody else is asked."""
    for error in (PermanentError("no"), RetryableError("busy", code=Code.RESOURCE_EXHAUSTED)):
        nodes, cluster = Nodes(["a", "b"]), Cluster(a=error)
        with pytest.raises(type(error)):
            await nodes.ask(cluster)
        assert cluster.asked == ["a"]


async def test_where_nobody_answers_the_last_error_is_raised() -> None:
    """After each was asked once."""
    nodes, cluster = Nodes(["a", "b"]), Cluster(a=RetryableError("a is away"), b=RetryableError("b is away"))
    with pytest.raises(RetryableError, match="b is away"):
        await nodes.ask(cluster)
    assert cluster.asked == ["a", "b"]
