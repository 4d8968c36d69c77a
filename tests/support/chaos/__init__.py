"""The two ends of a proof of delivery: backends that misbehave at random, senders that know what was acknowledged.

Every item has an id and bytes that follow from the id alone (:mod:`items`), so that both ends agree on what was sent
without speaking to each other, and an item that was altered on its way is told from one that was not::

    with SinkProcess(seed=7, weights=Weights.wild()) as sink:      # also: python -m tests.support.chaos sink
        sender = Sender(grpc=daemon.endpoint("GRPC_PORT"))         # also: python -m tests.support.chaos send
        await sender.run(seconds=10)
        taken = sink.received()
    missing = sender.acknowledged - taken.accepted - taken.refused
"""

from tests.support.chaos.faults import Fault, Schedule, Step, Weights
from tests.support.chaos.process import SinkProcess
from tests.support.chaos.record import Received, Runs
from tests.support.chaos.sender import Sender, SenderConfig
from tests.support.chaos.server import ChaosSink

__all__ = [
    "ChaosSink",
    "Fault",
    "Received",
    "Runs",
    "Schedule",
    "Sender",
    "SenderConfig",
    "SinkProcess",
    "Step",
    "Weights",
]
