"""Reading sealed values wherever they stand."""

import json

from untrace_plugins.sealing.keys import Keys
from untrace_plugins.sealing.reveal import reveal
from untrace_plugins.sealing.values import Sealer

KEYS = Keys(bytes(32))
VALUE = 'she said: "ja\\nein"\n ü'
SEALED = Sealer(KEYS).seal(VALUE)


def test_in_text() -> None:
    """In plain text the value stands as it was, and what is around it stays."""
    assert reveal(f"a {SEALED}; b", KEYS) == f"a {VALUE}; b"
    assert reveal("nothing here", KEYS) == "nothing here"


def test_in_documents_at_any_depth() -> None:
    """JSON stays JSON, however many strings deep the value lies."""
    inner = json.dumps([SEALED, 1])
    text = json.dumps({"a": SEALED, "b": json.dumps({"c": inner, "d": f"x {SEALED} y"})})
    outer = json.loads(reveal(text, KEYS))
    middle = json.loads(outer["b"])
    assert outer["a"] == VALUE
    assert middle["d"] == f"x {VALUE} y"
    assert json.loads(middle["c"]) == [VALUE, 1]


def test_what_cannot_be_read_stays() -> None:
    """A value of another key, or what only looks like one, is left alone."""
    other = Sealer(Keys(bytes(range(32)))).seal("x")
    text = f"{other} enc:v1:00000000:AA {SEALED}"
    assert reveal(text, KEYS) == f"{other} enc:v1:00000000:AA {VALUE}"
