"""Sealed values: what they hide, what they bind, and how keys change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_plugins.sealing import values
from untrace_plugins.sealing.keys import Keys
from untrace_plugins.sealing.values import SEALED, Sealer, Tokens, Unsealer, is_sealed

OLD, NEW = bytes(range(32)), bytes(range(100, 132))


@given(st.text(st.characters(exclude_categories=())))
def test_what_was_sealed_is_read_again(text: str) -> None:
    """Any text, halves of characters too, comes back; its sealed form is one word that nothing has to escape."""
    sealed = Sealer(Keys(NEW)).seal(text)
    assert SEALED.fullmatch(sealed)
    assert is_sealed(sealed)
    assert not is_sealed(text)
    assert Unsealer(Keys(NEW)).unseal(sealed) == text


@given(st.text(min_size=1))
def test_tokens_are_read_again(text: str) -> None:
    """The same value has the same token, whoever makes it, and who has the key reads it."""
    token = Tokens(Keys(NEW)).seal(text)
    assert token == Tokens(Keys(NEW, [OLD])).seal(text)
    assert Unsealer(Keys(NEW)).unseal(token) == text


def test_equal_values_look_different() -> None:
    """Nobody sees that two encrypted values are the same, within one process and across them."""
    sealer = Sealer(Keys(NEW))
    assert len({sealer.seal("same"), sealer.seal("same"), Sealer(Keys(NEW)).seal("same")}) == 3


def test_tokens_of_other_keys_and_values_differ() -> None:
    """A token says which of two values it stands for only to who has the key."""
    assert len({Tokens(Keys(key)).seal(text) for key in (OLD, NEW) for text in ("a", "b")}) == 4


def test_keys_change() -> None:
    """What an earlier key has sealed is read as long as it is named as a previous one, and not after that."""
    for sealed in (Sealer(Keys(OLD)).seal("x"), Tokens(Keys(OLD)).seal("x")):
        assert Unsealer(Keys(NEW, [OLD])).unseal(sealed) == "x"
        assert Unsealer(Keys(NEW)).unseal(sealed) is None
    assert Sealer(Keys(NEW, [OLD])).seal("x")[:15] == Sealer(Keys(NEW)).seal("x")[:15]


@pytest.mark.parametrize("seal", [Sealer(Keys(NEW)).seal, Tokens(Keys(NEW)).seal])
def test_what_was_changed_is_not_read(seal: type) -> None:
    """Another form, key id or data, in any place, is found out."""
    sealed = str(seal("secret"))
    unsealer = Unsealer(Keys(NEW, [OLD]))
    head = len("enc:v1:")
    changed = [
        sealed[:number] + ("A" if sealed[number] != "A" else "B") + sealed[number + 1 :]
        for number in range(16, len(sealed))
    ]
    changed += [
        f"tok{sealed[3:]}" if sealed[0] == "e" else f"enc{sealed[3:]}",
        f"{sealed[:head]}{Keys(OLD).current:08x}{sealed[head + 8 :]}",
    ]
    changed += [sealed[:17], sealed[:-4], f"{sealed}AAAA"]
    last_bits = sealed[:-1]  # bits of the last sign that stand for no byte are not part of the data
    assert {unsealer.unseal(one) for one in changed if not one.startswith(last_bits)} == {None}


def test_a_salt_serves_only_so_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before random nonces could meet, a new salt makes a new key."""
    monkeypatch.setattr(values, "_VALUES_PER_SALT", 2)
    sealer = Sealer(Keys(NEW))
    salts = [sealer.seal("x")[16:36] for _ in range(5)]
    assert [len(set(salts[:2])), len(set(salts[2:4])), len(set(salts))] == [1, 1, 3]
