"""Encrypted dead letters: unreadable without the key, readable with an older one, and honest about both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plugins.extensions.file_storage.test_dead_letters import letter, make
from untrace_pipeline.api import Code, Kind, PermanentError, RetryableError, StartError
from untrace_pipeline.delivery.dead_letters import DeadLetterStore, LetterFilter, Limits, Replayer
from untrace_pipeline.testing import Sink, StubHost, make_settings
from untrace_plugins.extensions.file_storage.crypt import Keys
from untrace_plugins.extensions.file_storage.sealing import LetterCipher

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32


def store(directory: Path, keys: Keys | None) -> DeadLetterStore:
    cipher = None if keys is None else LetterCipher(lambda: keys)
    settings = make_settings(Kind.EXTENSION, "file_storage")
    return DeadLetterStore(directory / "dead_letters.db", Limits(1 << 30, 0), settings, cipher=cipher)


async def bury(directory: Path, keys: Keys | None, key: str) -> None:
    one = store(directory, keys)
    await one.bury([letter(key)])
    await one.close()


async def test_nothing_readable_is_on_the_disk(tmp_path: Path) -> None:
    """Request, answer and headers are encrypted; with the key everything comes back."""
    await bury(tmp_path, Keys(NEW), "a")
    content = (tmp_path / "dead_letters.db").read_bytes()
    assert b"gen_ai.request.model" not in content
    assert b'"message"' not in content
    one = store(tmp_path, Keys(NEW))
    (found,) = await one.find()
    assert found.message == "no"
    assert await one.payload(found) == letter("a").payload
    await one.close()


async def test_a_key_that_was_in_force_before(tmp_path: Path) -> None:
    """After a change of the key, older letters open with the previous one, new ones have the new one."""
    await bury(tmp_path, Keys(OLD), "old")
    await bury(tmp_path, Keys(NEW, [OLD]), "new")
    both = store(tmp_path, Keys(NEW, [OLD]))
    for one in await both.find():
        assert await both.payload(one) == letter(one.key).payload
    await both.close()
    only_new = store(tmp_path, Keys(NEW))
    old, new = await only_new.find()
    assert await only_new.payload(new) == letter("new").payload
    with pytest.raises(PermanentError, match="previous_keys") as raised:
        await only_new.payload(old)
    assert raised.value.code is Code.FAILED_PRECONDITION
    assert old.message == "(it is encrypted with a key that is not configured: add that to encryption.previous_keys)"
    await only_new.close()


@pytest.mark.parametrize("keys", [None, Keys(OTHER)])
async def test_without_the_key(tmp_path: Path, keys: Keys | None) -> None:
    """Without the key letters can be counted and found, and a replay ends before it spoils one."""
    await bury(tmp_path, Keys(NEW), "a")
    one = store(tmp_path, keys)
    assert len(await one.find(LetterFilter(exporters=["otlp_http"]))) == 1
    with pytest.raises(PermanentError, match="encrypted"):
        await Replayer(one, lambda _: Sink()).run(LetterFilter())
    (found,) = await one.find()
    assert (found.attempts, found.reason, found.replayed_at) == (1, "permanent", None)
    await one.close()
    again = store(tmp_path, Keys(NEW))
    assert (await again.find())[0].message == "no"
    await again.close()


async def test_letters_in_the_clear_stay_readable(tmp_path: Path) -> None:
    """Encryption may be turned on later: what was there before can still be read."""
    await bury(tmp_path, None, "clear")
    await bury(tmp_path, Keys(NEW), "sealed")
    one = store(tmp_path, Keys(NEW))
    for found in await one.find():
        assert await one.payload(found) == letter(found.key).payload
    await one.close()


async def test_key_that_cannot_be_read(tmp_path: Path) -> None:
    """A key file that is gone refuses letters for the time being."""

    def load() -> Keys:
        raise StartError("cannot read the key from /run/key: No such file or directory")

    settings = make_settings(Kind.EXTENSION, "file_storage")
    one = DeadLetterStore(tmp_path / "dead_letters.db", Limits(1 << 30, 0), settings, cipher=LetterCipher(load))
    with pytest.raises(RetryableError, match="cannot read the key"):
        await one.bury([letter("a")])
    await one.close()


async def test_damage_keeps_what_is_locked(tmp_path: Path) -> None:
    """What is saved of a damaged database is saved also where its key is not at hand."""
    first = store(tmp_path, Keys(NEW))
    await first.bury([letter(str(number)) for number in range(100)])
    await first.close()
    path = tmp_path / "dead_letters.db"
    content = bytearray(path.read_bytes())
    content[-8192:] = b"\xff" * 8192
    path.write_bytes(content)
    locked = store(tmp_path, None)
    await locked.open()
    assert len(await locked.find()) >= 80
    await locked.close()


def test_what_was_changed_does_not_open() -> None:
    """A flipped bit, another purpose and a cut are damage."""
    cipher = LetterCipher(lambda: Keys(NEW))
    sealed = cipher.seal(b"data", b"payload")
    assert cipher.open(sealed, b"payload") == b"data"
    for broken, purpose in (
        (sealed[:-1] + b"x", b"payload"),
        (sealed, b"details"),
        (sealed[:10], b"payload"),
        (b"", b""),
    ):
        with pytest.raises(ValueError, match="damaged"):
            cipher.open(broken, purpose)


async def test_options_of_the_extension(tmp_path: Path) -> None:
    """``encryption`` of the extension covers dead letters, also for commands that do not start it."""
    key_file = tmp_path / "key"
    key_file.write_text(NEW.hex())
    sealed = make(tmp_path, encryption={"key_file": str(key_file)})
    await sealed.start(StubHost())
    await sealed.dead_letters().bury([letter("a")])
    await sealed.shutdown()
    assert b"gen_ai.request.model" not in (tmp_path / "dead_letters.db").read_bytes()
    beside = make(tmp_path, encryption={"key": OTHER.hex(), "previous_keys": [NEW.hex()]}).dead_letters()
    (found,) = await beside.find()
    assert await beside.payload(found) == letter("a").payload
    await beside.close()
