"""What acknowledging data is worth, at both ends of a pipeline: ``validate`` warns where it is worth less."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Acceptance", "Keeps", "Upstream"]


class Keeps(enum.StrEnum):
    """What whoever sends to a receiver keeps of data that was not accepted yet."""

    NOTHING = "nothing"
    """It does not wait: what pipelines refuse, or what is under way in a crash, is lost."""
    UNTIL_ACCEPTED = "until accepted"
    """It waits for the acknowledgement and sends again: SDKs, Collectors."""
    STORED = "stored"
    """As before, and it has what was accepted too, until it is told to go on: Kafka."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The sender of one receiver, as the options have it."""

    keeps: Keeps = Keeps.UNTIL_ACCEPTED
    why: str = ""
    """Why it keeps nothing: ``offsets do not wait for the pipelines``."""
    option: str = ""
    """The option that is the cause, as a dotted path; empty for the receiver as such."""
    remedy: str = ""
    """What to write instead, if anything helps."""


class Acceptance(enum.StrEnum):
    """What has become of data that an exporter has accepted."""

    DELIVERED = "delivered"
    """The destination has it; a failure goes back to the sender."""
    IN_MEMORY = "in memory"
    """It waits in a queue that does not survive the process."""
    ON_DISK = "on disk"
    """It is committed to a queue that does."""
