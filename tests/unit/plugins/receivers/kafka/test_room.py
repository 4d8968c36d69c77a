"""The room between the library's thread and the event loop."""

from __future__ import annotations

import threading
import time

from untrace_plugins.receivers.kafka.room import Room


def test_room_is_full_and_roomy() -> None:
    """Full at its capacity, worth beginning again at half of it; what is larger than all of it is taken alone."""
    room = Room(100)
    assert (room.full, room.roomy) == (False, True)
    room.take(500)
    assert (room.full, room.roomy) == (True, False)
    room.give_back(449)
    assert (room.full, room.roomy) == (False, False)
    room.give_back(1)
    assert (room.full, room.roomy) == (False, True)


def test_waiting_for_room_is_bounded() -> None:
    """The thread must go on answering to the group."""
    room = Room(100)
    room.take(100)
    started = time.monotonic()
    room.wait(0.05)
    assert time.monotonic() - started >= 0.05


def test_waiting_ends_with_room() -> None:
    """As soon as the event loop gives some back."""
    room = Room(100)
    room.take(100)
    waiting = threading.Thread(target=room.wait, args=(60,))
    waiting.start()
    room.give_back(60)
    waiting.join(10)
    assert not waiting.is_alive()
