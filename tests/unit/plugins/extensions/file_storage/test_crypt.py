"""Encryption at rest: what lies on the disk, keys that come and go, and how little messages say."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import append_all, ledger_of, numbers, open_journal, record, take_all
from untrace_pipeline.api import Kind, StartError
from untrace_pipeline.testing import StubHost, make_settings
from untrace_plugins.extensions.file_storage import FACTORY
from untrace_plugins.extensions.file_storage.config import EncryptionConfig
from untrace_plugins.extensions.file_storage.crypt import Cipher, Keys

OLD, NEW = bytes(range(32)), bytes(range(100, 132))


def keys(**options: Any) -> Keys:
    return Keys.load(EncryptionConfig.model_validate(options), "encryption")


async def test_nothing_readable_lies_on_the_disk(tmp_path: Path) -> None:
    """Neither payload nor header of a record can be found in the files, and equal records look different."""
    journal = await open_journal(tmp_path, keys=Keys(NEW))
    records = [record(7) for _ in range(20)]
    await append_all(journal, records)
    await journal.close()
    on_disk = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert b"header 7" not in on_disk
    assert b"00000007" not in on_disk
    assert NEW not in on_disk
    journal = await open_journal(tmp_path, keys=Keys(NEW))
    assert [(one.header, one.payload) for one in await take_all(journal)] == [(r.header, r.payload) for r in records]
    await journal.close()


async def test_keys_are_exchanged(tmp_path: Path) -> None:
    """With a new key, and the old one as a previous one, everything is read; what was not encrypted, too."""
    for number, held in enumerate([None, Keys(OLD), Keys(NEW, [OLD])]):
        journal = await open_journal(tmp_path, keys=held)
        await append_all(journal, [record(number * 10 + n) for n in range(10)])
        await journal.close()
    journal = await open_journal(tmp_path, keys=Keys(NEW, [OLD]))
    assert numbers(await take_all(journal)) == list(range(30))
    await journal.close()


@pytest.mark.parametrize("held", [None, Keys(NEW)])
async def test_a_missing_key_stops_the_start(tmp_path: Path, held: Keys | None) -> None:
    """What cannot be decrypted is no damage: the start fails, says what to do, and nothing is lost."""
    journal = await open_journal(tmp_path, keys=Keys(OLD))
    await append_all(journal, [record(number) for number in range(10)])
    await journal.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for path in tmp_path.glob("*.seg"):  # the key is known from the records as well
        data = path.read_bytes()
        path.write_bytes(b"\0" * 64 + data[64:])
        with pytest.raises(StartError, match=r"00000001\.seg is encrypted, and .*encryption\.previous_keys"):
            await open_journal(tmp_path, keys=held)
        path.write_bytes(data)
        with pytest.raises(StartError, match=r"00000001\.seg is encrypted, and .*encryption\.previous_keys"):
            await open_journal(tmp_path, keys=held)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    journal = await open_journal(tmp_path, keys=Keys(OLD))
    assert ledger_of(journal)["held"] == sum(one.items for one in await take_all(journal))
    await journal.close()


@pytest.mark.parametrize(
    "text",
    [NEW.hex(), NEW.hex().upper(), base64.b64encode(NEW).decode(), base64.urlsafe_b64encode(NEW).decode().rstrip("=")],
)
def test_forms_of_a_key(text: str, tmp_path: Path) -> None:
    """Hex and base64, in the configuration or in a file, perhaps with a line end."""
    path = tmp_path / "key"
    path.write_text(f"{text}\n")
    assert keys(key=text).current == keys(key_file=str(path)).current == Keys(NEW).current
    assert Keys(OLD).current in keys(key=text, previous_keys=[OLD.hex()])
    path.write_text(OLD.hex())
    assert Keys(OLD).current in keys(key=text, previous_key_files=[str(path)])


@pytest.mark.parametrize("text", ["", "hunter2", "ab" * 31, "x" * 44, NEW.hex() + "00", "ü" * 64], ids=list("abcdef"))
def test_what_is_no_key(text: str, tmp_path: Path) -> None:
    """The message says what is expected and where, and never shows what was there."""
    path = tmp_path / "key"
    path.write_text(text)
    for options, where in (
        ({"key": text}, "encryption.key is no key"),
        ({"key_file": str(path)}, f"the file {path} is no key"),
        ({"key": NEW.hex(), "previous_keys": [text]}, "encryption.previous_keys[0] is no key"),
    ):
        with pytest.raises(StartError) as raised:
            keys(**options)
        assert str(raised.value).startswith(where)
        assert "32 bytes as base64 or hex" in str(raised.value)
        assert not text or text not in str(raised.value)


def test_a_key_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The file is named."""
    with pytest.raises(StartError, match=r"cannot read the key from .*missing: No such file"):
        keys(key_file=str(tmp_path / "missing"))
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(StartError, match="it is not text"):
        keys(key_file=str(tmp_path / "key"))


def test_either_key_or_file() -> None:
    """Exactly one of the two."""
    for options in ({}, {"key": "a", "key_file": "b"}):
        with pytest.raises(ValueError, match="either key or key_file"):
            EncryptionConfig.model_validate(options)


def test_decrypting_needs_everything_that_belongs_to_it() -> None:
    """Another salt, other associated data, or a changed bit: nothing comes out."""
    held = Keys(NEW)
    sealed = held.cipher(held.current, b"salt").encrypt(b"data", b"head")
    assert held.cipher(held.current, b"salt").decrypt(sealed, b"head") == b"data"
    assert held.cipher(held.current, b"pepper").decrypt(sealed, b"head") is None
    assert held.cipher(held.current, b"salt").decrypt(sealed, b"HEAD") is None
    assert held.cipher(held.current, b"salt").decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"head") is None
    assert held.cipher(held.current, b"salt").decrypt(b"", b"head") is None
    assert isinstance(Cipher(NEW), Cipher)


async def test_extension_reads_its_key(tmp_path: Path) -> None:
    """A key that is none stops the start of the extension, and its dead letters have the key that is in force."""
    options = {"directory": str(tmp_path), "encryption": {"key": "hunter2"}}
    extension = FACTORY.create(FACTORY.config.model_validate(options), make_settings(Kind.EXTENSION, "file_storage"))
    with pytest.raises(StartError, match=r"extension file_storage: encryption\.key is no key"):
        await extension.start(StubHost())
    await extension.shutdown()


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only encryption needs the library; where it is missing the engine gets to know, and names the extra."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.delitem(sys.modules, "untrace_plugins.extensions.file_storage.crypt")
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    settings = make_settings(Kind.EXTENSION, "file_storage")
    FACTORY.create(FACTORY.config.model_validate({"directory": str(tmp_path)}), settings)
    options = {"directory": str(tmp_path), "encryption": {"key": NEW.hex()}}
    with pytest.raises(ImportError):
        FACTORY.create(FACTORY.config.model_validate(options), settings)
    assert FACTORY.extra == "crypto"
