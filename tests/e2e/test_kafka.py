"""Two tiers with Kafka between them while members and the broker go, in small; the long edition is a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.peers import kafka_jars, peer_or_skip

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed: the extra [kafka] brings it")

from tests.soak.kafka import Plan, Run

pytestmark = [pytest.mark.e2e, pytest.mark.peer, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def kafka() -> None:
    """Skip where Kafka cannot run."""
    with peer_or_skip():
        kafka_jars(build=False)


async def test_members_and_brokers_may_go(tmp_path: Path) -> None:
    """A killed member, a restarted broker, members that join and leave: nothing is missing, no offset is ahead."""
    plan = Plan(spans=20_000, partitions=4, items=(10, 30), rate=100, patience=120)
    report = await Run(plan, tmp_path).run()
    assert not report.faults, str(report)
    assert report.looks > 0


async def test_loss_would_be_seen(tmp_path: Path) -> None:
    """With queues in memory offsets run ahead, and a kill loses what lies in them: the proof can fail."""
    plan = Plan(
        spans=8_000,
        partitions=4,
        items=(10, 30),
        rate=100,
        slowness=1.5,
        patience=12,
        killed=("first", "second", "third"),
        queue={"enabled": True},
    )
    report = await Run(plan, tmp_path).run()
    assert any("is committed" in fault for fault in report.faults), str(report)
    assert any("acknowledged spans are missing" in fault for fault in report.faults), str(report)
