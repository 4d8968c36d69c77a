"""What the redaction processor does to batches; equality with the real Collector is shown by the integration tests."""

import hashlib
import hmac
import logging
from typing import Any

import pytest

from untrace_pipeline import native
from untrace_pipeline.api import Kind, Transform
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.testing import RecordingMeter, make_batch, make_settings
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.processor import Redaction

CARD = "4111111111111111"
CARDS = r"4\d{15}"
EMAILS = r"[a-z.]+@[a-z]+\.com"


def _redacted(batch: Batch, *, meter: RecordingMeter | None = None, **options: Any) -> Batch:
    processor = Redaction(RedactionConfig(**options), make_settings(Kind.PROCESSOR, "redaction", meter=meter))
    assert isinstance(processor, Transform)
    return Batch(batch.signal, processor.process(batch).to_otlp())


def _only(batch: Batch, level: Level = Level.ITEM) -> dict[str, Value]:
    value = batch.column(Field(level, ATTRIBUTES))[0]
    assert isinstance(value, dict)
    return value


def _log(body: Value, **attributes: Value) -> Batch:
    batch = make_batch(Signal.LOGS, items=1)
    batch.set(Field(Level.ITEM, ATTRIBUTES), [attributes])
    batch.set(Field(Level.ITEM, "body"), [body])
    return batch


def _body(batch: Batch) -> Value:
    return batch.column(Field(Level.ITEM, "body"))[0]


@pytest.mark.parametrize("signal", Signal)
def test_items_resources_and_scopes_are_masked(signal: Signal) -> None:
    """A blocked value is masked at every level, and everything else stays."""
    batch = make_batch(signal, items=4, resources=2, attributes={"note": f"card {CARD}!"}, resource={"owner": CARD})
    before = _only(batch.copy())
    meter = RecordingMeter()
    after = _redacted(batch, meter=meter, allow_all_keys=True, blocked_values=[CARDS])
    assert after.column(attribute("note")) == ["card ****!"] * 4
    assert after.column(attribute("owner", Level.RESOURCE)) == ["****"] * 2
    assert {**_only(after), "note": 0} == {**before, "note": 0}
    assert meter.value("processor_redaction_masked_values") == 6
    assert meter.value("processor_redaction_suspect_items") == 4


def test_span_events_are_masked() -> None:
    """Attributes of span events are redacted as those of their span."""
    batch = make_batch(items=3)
    batch.set(attribute("message", Level.EVENT), [CARD], rows=[1])
    after = _redacted(batch, allow_all_keys=True, blocked_values=[CARDS])
    assert after.column(attribute("message", Level.EVENT)) == [None, "****", None]


@pytest.mark.parametrize("signal", Signal)
def test_without_a_hit_the_bytes_stay(signal: Signal) -> None:
    """A request without anything to mask leaves as it came, and nothing of it is decoded."""
    batch = make_batch(signal, items=5)
    before = batch.to_otlp()
    meter = RecordingMeter()
    processor = Redaction(
        RedactionConfig(allow_all_keys=True, blocked_values=[CARDS]),
        make_settings(Kind.PROCESSOR, "redaction", meter=meter),
    )
    after = processor.process(batch)
    assert after.to_otlp() is before
    assert meter.value("processor_redaction_suspect_items") == 0


def test_pending_edits_are_redacted() -> None:
    """What an earlier stage set is looked at like what came in."""
    batch = make_batch(items=2)
    batch.set(attribute("late"), [CARD, "clean"])
    batch.keep([True, False])
    after = _redacted(batch, allow_all_keys=True, blocked_values=[CARDS])
    assert after.column(attribute("late")) == ["****"]


def test_only_allowed_keys_stay() -> None:
    """Without ``allow_all_keys``, the list decides, fails closed, and the summary tells."""
    batch = _log("text", a="1", b="2", secret="3")
    after = _redacted(batch.copy(), allowed_keys=["a"], summary="debug")
    assert _only(after) == {"a": "1", "redaction.redacted.keys": "b,secret", "redaction.redacted.count": 2}
    meter = RecordingMeter()
    assert _only(_redacted(batch, meter=meter)) == {}
    assert meter.value("processor_redaction_removed_attributes") == 3 + len(_only(make_batch(), Level.RESOURCE))


def test_order_of_the_rules() -> None:
    """Ignored keys pass first; then allowed values; then blocked keys; then blocked values, one after the other."""
    batch = _log(
        "text",
        ignored=CARD,
        safe_1=CARD,
        allowed=f"{CARD} jane@example.com",
        token="line one\nline two",
        number=7,
        note=f"jane@other.com {CARD}",
    )
    after = _redacted(
        batch,
        allow_all_keys=True,
        ignored_keys=["ignored"],
        ignored_key_patterns=["^safe_"],
        allowed_values=["@example"],
        blocked_key_patterns=["token", "number"],
        blocked_values=[CARDS, EMAILS, r"\*\*\* \*"],
        summary="debug",
    )
    assert _only(after) == {
        "ignored": CARD,
        "safe_1": CARD,
        "allowed": f"{CARD} jane@example.com",
        "token": "****\n****",
        "number": "****",
        "note": "********",
        "redaction.masked.keys": "note,number,token",
        "redaction.masked.count": 3,
        "redaction.allowed.keys": "allowed",
        "redaction.allowed.count": 1,
        "redaction.ignored.count": 2,
    }


def test_a_second_redaction_adds_to_the_summary() -> None:
    """Keys and counts of an earlier redaction are kept and added to."""
    first = _redacted(
        _log("text", a=CARD, b="jane@other.com"), allow_all_keys=True, blocked_values=[CARDS], summary="debug"
    )
    second = _only(_redacted(first, allow_all_keys=True, blocked_values=[EMAILS], summary="debug"))
    assert second["redaction.masked.keys"] == "a,b"
    assert second["redaction.masked.count"] == 2


KEY = "k" * 64


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("md5", hashlib.md5(CARD.encode()).hexdigest()),
        ("sha1", hashlib.sha1(CARD.encode()).hexdigest()),
        ("sha3", hashlib.sha3_256(CARD.encode()).hexdigest()),
        ("hmac-sha256", hmac.new(KEY.encode(), CARD.encode(), "sha256").hexdigest()),
        ("hmac-sha512", hmac.new(KEY.encode(), CARD.encode(), "sha512").hexdigest()),
    ],
)
def test_hashes_stand_in_place_of_the_match(function: str, expected: str) -> None:
    """Only what matched is hashed."""
    options = {"allow_all_keys": True, "blocked_values": [CARDS], "hash_function": function, "hmac_key": KEY}
    assert _only(_redacted(_log("text", a=f"<{CARD}>"), **options))["a"] == f"<{expected}>"


def test_values_that_are_not_strings() -> None:
    """They are checked only with ``redact_all_types``, and become strings when masked."""
    attributes: dict[str, Value] = {"i": int(CARD), "f": 1.5, "l": [CARD], "m": {"k": CARD}, "b": True}
    options: dict[str, Any] = {"allow_all_keys": True, "blocked_values": [CARDS, "^true$"]}
    assert _only(_redacted(_log("text", **attributes), **options)) == attributes
    assert _only(_redacted(_log("text", **attributes), redact_all_types=True, **options)) == {
        "i": "****",
        "f": 1.5,
        "l": '["****"]',
        "m": '{"k":"****"}',
        "b": "****",
    }


def test_bodies_are_redacted_inside() -> None:
    """Bodies of every type are checked; the summary names the place by its path."""
    body: Value = {"user": {"mail": "jane@other.com", "ids": [1, int(CARD)]}, "token": 5, "drop": 1}
    after = _redacted(
        _log(body),
        allow_all_keys=True,
        blocked_values=[CARDS, EMAILS],
        blocked_key_patterns=["token"],
        summary="debug",
    )
    assert _body(after) == {"user": {"mail": "****", "ids": [1, "****"]}, "token": "****", "drop": 1}
    assert _only(after) == {
        "redaction.body.masked.keys": "token,user.ids.[1],user.mail",
        "redaction.body.masked.count": 3,
    }


@pytest.mark.parametrize("body", [f"card {CARD}", int(CARD), [CARD], {"a": CARD}])
@pytest.mark.parametrize("summary", ["silent", "info"])
def test_bodies_of_all_types_are_masked(body: Value, summary: str) -> None:
    """Nothing is overlooked because the body is no string, with or without a summary."""
    after = _redacted(_log(body), allow_all_keys=True, blocked_values=[CARDS], summary=summary)
    assert "4111" not in str(_body(after))
    assert _only(after) == ({} if summary == "silent" else {"redaction.body.masked.count": 1})


def test_keys_of_bodies_are_removed_unless_allowed() -> None:
    """The allow-list holds for maps within bodies too."""
    after = _redacted(_log({"a": {"b": 1, "c": 2}, "d": 3}, a="x"), allowed_keys=["a", "b"], summary="info")
    assert _body(after) == {"a": {"b": 1}}
    assert _only(after) == {"a": "x", "redaction.body.redacted.count": 2}


def test_what_cannot_be_scanned_for_is_said_and_still_masked(caplog: pytest.LogCaptureFixture) -> None:
    """A pattern without a prefilter is named in the log, and every value is looked at."""
    with caplog.at_level(logging.INFO):
        after = _redacted(_log("text", a="xx", b=1), allow_all_keys=True, blocked_values=["x*"])
    assert "'x*' is tried on every value" in caplog.text
    assert _only(after) == {"a": "****", "b": "****"}


def test_without_hyperscan_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The slower engine is announced at start; not where native search does its work."""
    config = RedactionConfig(allow_all_keys=True, blocked_values=[CARDS], summary="info")
    Redaction(config, make_settings(Kind.PROCESSOR, "redaction"), use_hyperscan=False)
    assert "RE2 scans instead" in caplog.text


@pytest.mark.skipif(not native.codec().is_native, reason="the codec is not native")
def test_native_search_needs_no_scanner() -> None:
    """Where values are searched natively, nothing is compiled for the other way: it would take megabytes."""
    config = RedactionConfig(allow_all_keys=True, blocked_values=["only-in-this-test"])
    processor = Redaction(config, make_settings(Kind.PROCESSOR, "redaction"))
    batch = processor.process(make_batch(items=1, attributes={"note": "it is only-in-this-test."}))
    assert batch.column(attribute("note")) == ["it is ****."]
    assert "_compiled" not in vars(processor._request_scanner)


def test_the_key_of_a_hash_is_not_shown() -> None:
    """Dumps of the configuration mask it."""
    key = "0123456789abcdef0123456789abcdef"
    config = FACTORY.config(hash_function="hmac-sha256", hmac_key=key)  # type: ignore[arg-type]
    assert key not in repr(config)
    assert key not in config.model_dump_json()
