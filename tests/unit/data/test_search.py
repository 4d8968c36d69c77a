"""Native search finds and replaces what RE2 finds and replaces; what it cannot take it refuses."""

from itertools import count

import pytest
import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.support.pattern_strategies import patterns_of
from untrace_pipeline import native
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Searcher, Signal, attribute
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.testing import make_batch

needs_native = pytest.mark.skipif(not native.codec().is_native, reason="the codec is not native")

CARD = "4111111111111111"
CARDS = r"\b4\d{15}\b"
ATOMS = (
    r"a b 1 k S é 世 . \d \w \s \S \W \D [ab] [^a] [^é1] [k-s] [世-界a] \b \B ^ $ \x{1F600} \. @ \n [a-c-e] "
    r"[[:alnum:]] [[:^digit:]] (?i:K) (?i:[^s]) (?i:\W) (?s:.) \Q.-\E \A \z - _ \x41 \0 [-a] [a-] []a] {,2} \012"
)
REAL = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\b(?:\d{4}[ -]?){3}\d{4}\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"(?i)\bpassword\s*[:=]\s*\S+",
    r"(?m)^key:.*$",
)


patterns = st.one_of(patterns_of(ATOMS), st.sampled_from(REAL))
texts = st.one_of(
    st.text("ab1 .-\n_@é\u017f\u212a世😀kS\0\v{,2}", max_size=40),
    st.sampled_from([CARD, "jane@example.com, 123-45-6789", "PassWord: x\nkey: y", f"é{CARD}é"]),
)


def _made(pattern: str) -> Searcher:
    try:
        return Searcher([pattern])
    except ValueError:
        assume(False)
        raise


def _re2(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        assume(False)
        raise


@needs_native
@settings(max_examples=1500, deadline=None)
@given(patterns, texts)
@example(r"a|ab", "ab")
@example(r"(?i)k", "\u212a")
@example(r"[^a]+", "é\nb")
@example(r"\s", "\v")
@example(r"\B1\b", "a1 é1")
def test_one_pattern_finds_what_re2_finds(pattern: str, text: str) -> None:
    """The same matches at the same places, for every pattern that is not refused."""
    exact = _re2(pattern)
    searcher = _made(pattern)
    data = text.encode()
    expected = [match.span() for match in exact.finditer(data)]
    assert [(start, stop) for _, start, stop in searcher.find(data)] == expected
    assert searcher.matches(data) is bool(expected)
    assert searcher.replace(data, b"\\0*") == exact.sub(lambda _: b"\\0*", data)


@needs_native
@settings(max_examples=300, deadline=None)
@given(st.lists(patterns, min_size=2, max_size=3), texts)
def test_patterns_replace_one_after_the_other(several: list[str], text: str) -> None:
    """Each pattern sees what those before it left, and the mask sees each match in that order."""
    regexps = [_re2(pattern) for pattern in several]
    try:
        searcher = Searcher(several)
    except ValueError:
        assume(False)
        raise
    expected = text.encode()
    numbers, again = count(), count()
    for regexp in regexps:
        expected = regexp.sub(lambda match: b"%d:%s" % (next(numbers), match.group().upper()), expected)
    assert searcher.replace(text.encode(), lambda found: b"%d:%s" % (next(again), found.upper())) == expected


@needs_native
@pytest.mark.parametrize("pattern", ["", "a*", r"\b", r"\pL", r"[\pL]", r"\C", "(?i)é", "(a*)+b", "(", "a**"])
def test_what_could_mean_something_else_is_refused(pattern: str) -> None:
    """A pattern that is not known to mean the same is refused with its place and the reason."""
    with pytest.raises(ValueError, match="pattern 1 cannot be searched for: "):
        Searcher(["fine", pattern])


@needs_native
def test_an_error_of_the_mask_arrives() -> None:
    """What the mask raises reaches whoever asked; a mask of a wrong type does too."""
    searcher = Searcher(["a"])
    with pytest.raises(ZeroDivisionError):
        searcher.replace(b"a", lambda _: b"%d" % (1 // 0))
    with pytest.raises(TypeError):
        searcher.replace(b"a", lambda _: "text")  # type: ignore[arg-type,return-value]
    text = b"b"
    assert searcher.replace(text, b"") is text


@needs_native
@pytest.mark.parametrize("signal", Signal)
def test_values_of_every_level(signal: Signal) -> None:
    """A search names level, row, key and range; of all levels and keys, or of one."""
    batch = make_batch(signal, items=4, resources=2, attributes={"note": f"card {CARD}!"}, resource={"owner": CARD})
    batch.set(attribute("late"), [CARD], rows=[2])
    found = batch.search(Searcher([CARDS]))
    assert found is not None
    data = batch.to_otlp()
    told = {(place.level, place.row, place.key): data[place.start : place.stop].decode() for place in found.places}
    notes = {(Level.ITEM, row, "note"): f"card {CARD}!" for row in range(4)}
    owners = {(Level.RESOURCE, row, "owner"): CARD for row in range(2)}
    assert told == {**owners, **notes, (Level.ITEM, 2, "late"): CARD}
    assert found.hidden == []
    one = batch.search(Searcher([CARDS]), Level.ITEM, "late")
    assert one is not None
    assert [(place.row, place.key) for place in one.places] == [(2, "late")]


@needs_native
def test_bodies() -> None:
    """A body that matches has no key; those that are no strings are named, with whether something in them matches."""
    batch = make_batch(Signal.LOGS, items=4)
    batch.set(Field(Level.ITEM, ATTRIBUTES), [{}] * 4)
    batch.set(Field(Level.ITEM, "body"), [CARD, {"a": [CARD]}, 5, "clean"])
    found = batch.search(Searcher([CARDS]))
    assert found is not None
    assert [(place.row, place.key) for place in found.places] == [(0, None)]
    assert found.bodies == [(1, True), (2, False)]


@needs_native
def test_a_table_of_another_codec_is_not_searched() -> None:
    """Whoever asks for a request that the native codec did not decode has to go another way."""
    batch = Batch(Signal.TRACES, make_batch().to_otlp(), codec=UpbCodec())
    assert batch.search(Searcher([CARDS])) is None


@pytest.mark.skipif(native.codec().is_native, reason="the codec is native")
def test_without_the_native_codec_there_is_no_searcher() -> None:
    """The error says why."""
    with pytest.raises(ValueError, match="the codec is not native"):
        Searcher([CARDS])
