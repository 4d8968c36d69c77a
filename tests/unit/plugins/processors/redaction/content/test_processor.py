"""What detectors find leaves no request, wherever it stands, and everything else stays as it was."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.captures import captures
from untrace_pipeline.api import Finding, Kind
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.testing import RecordingMeter, make_batch, make_settings
from untrace_pipeline.testing.generate import make_request
from untrace_plugins.processors.redaction import FACTORY
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.content import assemble

MAIL, CARD = "jane.roe@example.com", "4111 1111 1111 1111"
KEY = "0123456789abcdef0123456789abcdef"


def redacted(batch: Batch, *, meter: RecordingMeter | None = None, **options: Any) -> Batch | None:
    config = RedactionConfig.model_validate({"detectors": ["email", "credit_card"]} | options)
    processor = FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction", meter=meter))
    after = processor.process(batch)
    return None if after is None else Batch(batch.signal, after.to_otlp(), after.context)


def one(value: Value, key: str = "note", **options: Any) -> Value:
    """Return what becomes of the value of an attribute."""
    after = redacted(make_batch(items=1, attributes={key: value}), **options)
    assert after is not None
    return after.column(attribute(key))[0]


@pytest.mark.parametrize("name", sorted(captures()))
def test_captures(name: str) -> None:
    """Of what released instrumentations send no planted value is left, and all that only looks like one is."""
    capture = captures()[name]
    planted = [value.encode() for value in capture.expect["pii"].values()]
    decoys = [value.encode() for value in capture.expect["decoys"].values()]
    config = RedactionConfig.model_validate({"allow_all_keys": True, "detectors": "all"})
    processor = FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction"))
    before = after = b""
    for _, batch in capture.otlp():
        items = batch.item_count
        before += batch.to_otlp()
        result = processor.process(batch)
        assert result is not None
        assert result.item_count == items
        after += result.to_otlp()
    assert {value: after.count(value) for value in planted} == dict.fromkeys(planted, 0)
    assert [after.count(value) for value in decoys] == [before.count(value) for value in decoys]
    assert any(before.count(value) for value in planted) or not before


@pytest.mark.parametrize("name", sorted(captures()))
def test_documents_in_captures_stay_documents(name: str) -> None:
    """What was JSON before is JSON after, with the same keys."""
    config = RedactionConfig.model_validate({"detectors": "all"})
    processor = FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction"))
    for _, batch in captures()[name].otlp(Signal.TRACES):
        before = batch.column(Field(Level.ITEM, ATTRIBUTES))
        result = processor.process(batch)
        assert result is not None
        for old, new in zip(before, result.column(Field(Level.ITEM, ATTRIBUTES)), strict=True):
            assert isinstance(old, dict)
            assert isinstance(new, dict)
            assert old.keys() == new.keys()
            for key, value in old.items():
                assert shape(new[key]) == shape(value), key


def shape(value: Value) -> Any:
    """Return types and keys of a document; of other text only that it is one."""
    if isinstance(value, str):
        try:
            return shape_of(json.loads(value))
        except ValueError:
            return str
    return type(value)


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    return shape(value) if isinstance(value, str) else str if isinstance(value, int | float) else type(value)


@pytest.mark.parametrize("signal", Signal)
def test_every_place_of_a_request(signal: Signal) -> None:
    """Attributes of resources, scopes and items, nested values, and keys."""
    attributes: dict[str, Value] = {
        "plain": MAIL,
        "list": ["a", MAIL, 7],
        "map": {"inner": {"deep": [MAIL]}, MAIL: "v"},
        f"by {MAIL}": 1,
        "bytes": MAIL.encode(),
        "number": 5,
    }
    batch = make_batch(signal, items=3, resources=2, attributes=attributes, resource={"owner": MAIL})
    batch.set(attribute("who", Level.SCOPE), [MAIL] * batch.row_count(Level.SCOPE))
    after = redacted(batch)
    assert after is not None
    assert MAIL.encode() not in after.to_otlp()
    found = after.column(Field(Level.ITEM, ATTRIBUTES))[0]
    assert isinstance(found, dict)
    assert {key: found[key] for key in ("plain", "list", "map", "by <EMAIL>", "bytes", "number")} == {
        "plain": "<EMAIL>",
        "list": ["a", "<EMAIL>", 7],
        "map": {"inner": {"deep": ["<EMAIL>"]}, "<EMAIL>": "v"},
        "by <EMAIL>": 1,
        "bytes": b"<EMAIL>",
        "number": 5,
    }


def test_every_place_of_a_span() -> None:
    """Name, status, events with their names, and links."""
    request = make_request(items=2)
    request.resource_spans[0].scope_spans[0].spans[1].links.add(trace_id=bytes(range(16)), span_id=bytes(range(8)))
    batch = Batch(Signal.TRACES, request.SerializeToString())
    batch.set(Field(Level.ITEM, "name"), [f"mail {MAIL}", "chat"])
    batch.set(Field(Level.ITEM, "status.message"), [f"no such user: {MAIL}", ""])
    batch.set(Field(Level.EVENT, "name"), [f"to {MAIL}"] * batch.row_count(Level.EVENT))
    batch.set(attribute("exception.stacktrace", Level.EVENT), [f"at\n  {MAIL}\n"] * batch.row_count(Level.EVENT))
    batch.set(attribute("who", Level.LINK), [MAIL])
    after = redacted(batch)
    assert after is not None
    assert MAIL.encode() not in after.to_otlp()
    assert after.column(Field(Level.ITEM, "name")) == ["mail <EMAIL>", "chat"]
    assert after.column(Field(Level.ITEM, "status.message")) == ["no such user: <EMAIL>", ""]
    assert set(after.column(Field(Level.EVENT, "name"))) == {"to <EMAIL>"}
    assert set(after.column(attribute("exception.stacktrace", Level.EVENT))) == {"at\n  <EMAIL>\n"}
    assert after.column(attribute("who", Level.LINK)) == ["<EMAIL>"]


@pytest.mark.parametrize("body", [f"to {MAIL}", {"to": [MAIL]}, f'{{"to": "{MAIL}"}}', MAIL.encode()])
def test_bodies_of_log_records(body: Value) -> None:
    """Text, structures, documents, and bytes that are text."""
    batch = make_batch(Signal.LOGS, items=1)
    batch.set(Field(Level.ITEM, "body"), [body])
    after = redacted(batch)
    assert after is not None
    assert MAIL.encode() not in after.to_otlp()
    (new,) = after.column(Field(Level.ITEM, "body"))
    assert type(new) is type(body)


def test_exemplars_and_metadata_of_metrics() -> None:
    """Attributes that a view has filtered out of the points, and metadata, are looked at like others."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: PLC0415
        ExportMetricsServiceRequest,
    )

    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="calls")
    metric.metadata.add(key="owner").value.string_value = MAIL
    for points in (metric.sum, request.resource_metrics[0].scope_metrics[0].metrics.add(name="h").histogram):
        point = points.data_points.add()
        point.exemplars.add(as_double=1.5).filtered_attributes.add(key="who").value.string_value = MAIL
        point.attributes.add(key="who").value.string_value = MAIL
    summary = request.resource_metrics[0].scope_metrics[0].metrics.add(name="s").summary.data_points.add()
    summary.attributes.add(key="who").value.string_value = MAIL
    data = request.SerializeToString()
    after = redacted(Batch(Signal.METRICS, data))
    assert after is not None
    expected = str(ExportMetricsServiceRequest.FromString(data)).replace(MAIL, "<EMAIL>")
    assert str(ExportMetricsServiceRequest.FromString(after.to_otlp())) == expected
    assert expected.count("<EMAIL>") == 6


def test_without_a_hit_the_bytes_stay() -> None:
    """A request in which nothing can be is not touched: the same bytes, and nothing counted."""
    batch = make_batch(items=5)
    before = batch.to_otlp()
    meter = RecordingMeter()
    config = RedactionConfig(detectors=["email"])
    after = FACTORY.create(config, make_settings(Kind.PROCESSOR, "redaction", meter=meter)).process(batch)
    assert after is batch
    assert after.to_otlp() is before
    assert meter.value("processor_redaction_suspect_items") == 0


def test_what_only_may_be_something_is_left_alone() -> None:
    """A hit that no detector confirms changes nothing."""
    assert one("reach me @ home, card 4111 1111 1111 1112") == "reach me @ home, card 4111 1111 1111 1112"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"a": "jane\\u0040example.com\\n", "b":1.0e2 }', '{"a": "<EMAIL>\\n", "b":1.0e2 }'),
        ('{"card": 4111111111111111}', '{"card": "<CREDIT_CARD>"}'),
        (json.dumps({"x": json.dumps({"card": 4111111111111111})}), '{"x": "{\\"card\\": \\"<CREDIT_CARD>\\"}"}'),
        ('["jane@example.com"', '["<EMAIL>"'),
        ("{'to': 'jane@example.com'}", "{'to': '<EMAIL>'}"),
        ('{"a": "\\njane@example.com', '{"a": "\\n<EMAIL>'),
        ('{"jane@example.com": null}', '{"<EMAIL>": null}'),
        ('"\\"jane@example.com\\""', '"\\"<EMAIL>\\""'),
    ],
)
def test_documents_are_edited_in_place(value: str, expected: str) -> None:
    """White space, escapes and numbers that are not concerned keep their form; what is damaged is treated as text."""
    assert one(value) == expected


@pytest.mark.parametrize("signal", Signal)
def test_numbers_that_are_something_become_strings(signal: Signal) -> None:
    """An integer that is a card number goes like its text, in lists and maps too; other numbers stay numbers."""
    card = int(CARD.replace(" ", ""))
    attributes: dict[str, Value] = {"card": card, "all": [{"card": card}, card], "ns": 4 * 10**18, "n": -card, "t": 42}
    after = redacted(make_batch(signal, items=2, attributes=attributes))
    assert after is not None
    found = after.columns([attribute(key) for key in attributes])
    number = "<CREDIT_CARD>"
    expected: list[Value] = [number, [{"card": number}, number], 4 * 10**18, -card, 42]
    assert [column[1] for column in found] == expected
    assert one(card, default_action="keep_last") == "****1111"
    assert one(card, default_action="drop_attribute") is None
    assert one(card, policies=[{"attributes": ["note"], "action": "keep"}]) == card


def test_the_key_says_what_a_bare_value_is() -> None:
    """Nine digits are a social security number beside a word that says so; a password has no form at all."""
    assert one("hunter2hunter2", "smtp.password", detectors="all") != "hunter2hunter2"
    assert one("536904399", "customer.ssn", detectors="all") == "<US_SSN>"
    assert one("536904399", "order", detectors="all") == "536904399"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("replace", "to <EMAIL>!"),
        ("mask", "to ****!"),
        ("keep_last", "to ****.com!".replace(".com", "ecom")),
        ("keep", f"to {MAIL}!"),
        ("drop_attribute", None),
    ],
)
def test_actions(action: str, expected: str | None) -> None:
    """Each action as the documentation shows it."""
    assert one(f"to {MAIL}!", default_action=action) == expected


def test_keep_last_keeps_at_most_half() -> None:
    """A short value does not survive because little of it is to be hidden."""
    assert one(CARD, default_action="keep_last") == "****1111"
    custom = [{"name": "pin", "pattern": "PIN[0-9]"}]
    assert one("PIN7", detectors=[], custom_detectors=custom, default_action="keep_last") == "****N7"


def test_hashes_are_the_same_for_the_same_value() -> None:
    """However a value is escaped, its name is one; another key gives another."""
    first = one(f"to {MAIL}!", default_action="hash", hmac_key=KEY)
    second = one('{"to": "jane.roe\\u0040example.com"}', default_action="hash", hmac_key=KEY)
    assert isinstance(first, str)
    assert isinstance(second, str)
    name = first.removeprefix("to ").removesuffix("!")
    assert name.startswith("<EMAIL:")
    assert json.loads(second) == {"to": name}
    assert one(MAIL, default_action="hash", hmac_key=KEY[::-1]) != name


def test_tokens_can_be_undone() -> None:
    """With the key a token is the value again, in the same place."""
    options = {"default_action": "token", "token": {"key": KEY * 2}}
    text = one(json.dumps({"to": MAIL, "cc": MAIL}), **options)
    assert isinstance(text, str)
    assert MAIL not in text
    document = json.loads(text)
    assert document["to"] == document["cc"]
    config = RedactionConfig.model_validate({"detectors": ["email"], **options})
    assert json.loads(config.unseal(text)) == {"to": MAIL, "cc": MAIL}


def test_hash_function_is_the_mask() -> None:
    """``mask`` means with detectors what it means with patterns."""
    value = one(MAIL, default_action="mask", hash_function="sha1")
    assert isinstance(value, str)
    assert len(value) == 40


def test_dropped_items_are_gone_and_the_others_stay() -> None:
    """Items count as filtered; of a batch of which all go nothing is left."""
    batch = make_batch(items=4, resources=2)
    batch.set(attribute("note"), [None, MAIL, None, None])
    batch.set(attribute("n"), [0, 1, 2, 3])
    after = redacted(batch, default_action="drop_item")
    assert after is not None
    assert after.column(attribute("n")) == [0, 2, 3]
    assert redacted(make_batch(items=2, attributes={"note": MAIL}), default_action="drop_item") is None


def test_what_cannot_be_dropped_is_masked() -> None:
    """A span has a name and a resource its spans: dropping an attribute or an item is not possible there."""
    batch = make_batch(items=1, resource={"owner": MAIL})
    batch.set(Field(Level.ITEM, "name"), [f"mail {MAIL}"])
    after = redacted(batch, default_action="drop_attribute")
    assert after is not None
    assert after.column(Field(Level.ITEM, "name")) == ["****"]
    assert after.column(attribute("owner", Level.RESOURCE)) == [None]
    only = redacted(make_batch(items=2, resource={"owner": MAIL}), default_action="drop_item")
    assert only is not None
    assert (only.item_count, only.column(attribute("owner", Level.RESOURCE))) == (2, [None])


MESSAGES = json.dumps(
    [
        {"role": "system", "parts": [{"type": "text", "content": f"S {MAIL}"}]},
        {"parts": [{"type": "text", "content": f"U {MAIL}"}], "role": "user"},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "pay", "arguments": {"to": MAIL}}]},
    ]
)


def test_policies_by_role_and_tool() -> None:
    """The first policy that concerns a finding decides; the rest gets the default."""
    policies = [{"roles": ["system"], "action": "keep"}, {"tools": ["p*"], "action": "mask"}]
    value = one(MESSAGES, "gen_ai.input.messages", policies=policies)
    assert isinstance(value, str)
    system, user, assistant = json.loads(value)
    assert system["parts"][0]["content"] == f"S {MAIL}"
    assert user["parts"][0]["content"] == "U <EMAIL>"
    assert assistant["parts"][0]["arguments"] == {"to": "****"}


@pytest.mark.parametrize(
    ("key", "beside"),
    [
        ("gen_ai.prompt.1.content", {"gen_ai.prompt.1.role": "user"}),
        ("llm.input_messages.1.message.content", {"llm.input_messages.1.message.role": "user"}),
        ("llm.input_messages.1.message.contents.0.message_content.text", {"llm.input_messages.1.message.role": "user"}),
    ],
)
def test_roles_beside_flattened_messages(key: str, beside: dict[str, Value]) -> None:
    """Where messages are spread over attributes, the attribute beside the text says whose it is."""
    policies = [{"roles": ["user"], "action": "mask"}]
    after = redacted(make_batch(items=1, attributes={key: MAIL, **beside}), policies=policies)
    assert after is not None
    assert after.column(attribute(key)) == ["****"]
    assert one(MAIL, key, policies=policies) == "<EMAIL>"


def test_roles_of_events() -> None:
    """The name of an event says whose message it is."""
    batch = make_batch(items=1)
    count = batch.row_count(Level.EVENT)
    batch.set(Field(Level.EVENT, "name"), ["gen_ai.user.message"] * count)
    batch.set(attribute("content", Level.EVENT), [MAIL] * count)
    after = redacted(batch, policies=[{"roles": ["user"], "action": "mask"}])
    assert after is not None
    assert set(after.column(attribute("content", Level.EVENT))) == {"****"}


def test_policies_by_detector_group_and_attribute() -> None:
    """Groups of detectors and patterns of keys are criteria; all given ones must be true."""
    policies = [{"detectors": ["ccpa"], "attributes": ["billing.*"], "action": "keep_last", "keep": 2}]
    assert one(CARD, "billing.card", policies=policies) == "****11"
    assert one(CARD, "other.card", policies=policies) == "<CREDIT_CARD>"


def test_allowed_values_stay() -> None:
    """What is allowed stays where it stands, and nothing else of the same text."""
    text = f"{MAIL} or help@northwind.example"
    assert one(text, allowed_values=["@northwind[.]example$"]) == "<EMAIL> or help@northwind.example"


def test_ignored_keys_pass() -> None:
    """Ignored attributes, and identifiers that join data, are not looked at."""
    assert one(MAIL, "owner", ignored_keys=["owner"]) == MAIL
    assert one({"a": MAIL}, "owner", ignored_keys=["owner"]) == {"a": MAIL}
    assert one(MAIL, "x.owner", ignored_key_patterns=["^x[.]"]) == MAIL
    assert one(MAIL, "gen_ai.prompt.name") == MAIL
    for filled_by_people in ("gen_ai.request.model", "gen_ai.agent.name", "gen_ai.tool.name"):
        assert one(MAIL, filled_by_people) == "<EMAIL>"


def test_short_forms_keep_all_attributes() -> None:
    """Where only detectors are named nothing is removed; whoever says something of keys gets what he says."""
    assert one(f"to {MAIL}") == "to <EMAIL>"
    assert one(f"to {MAIL}", allow_all_keys=False) is None
    assert one(f"to {MAIL}", allowed_keys=["note"]) == "to <EMAIL>"
    assert one("x", allowed_keys=["other"]) is None


def test_patterns_and_detectors_together() -> None:
    """Both parts do their work, patterns first."""
    assert one(f"gpt-4 {MAIL}", blocked_values=["gpt-[0-9]"]) == "**** <EMAIL>"


@pytest.mark.parametrize("mode", ["gdpr", "ccpa", "hipaa"])
def test_modes(mode: str) -> None:
    """A mode brings its detectors, and treats whole what names a person by its key."""
    batch = make_batch(items=1, attributes={"user.id": "u-17", "note": MAIL})
    after = redacted(batch.copy(), detectors=[], mode=mode)
    assert after is not None
    assert after.columns([attribute("user.id"), attribute("note")]) == [["<USER>"], ["<EMAIL>"]]
    hashed = redacted(batch, detectors=[], mode=mode, hmac_key=KEY)
    assert hashed is not None
    (name,) = hashed.column(attribute("user.id"))
    assert isinstance(name, str)
    assert name.startswith("<USER:")


def test_the_summary_names_attributes() -> None:
    """``summary`` adds what was done to the items, as for patterns."""
    batch = make_batch(items=2, attributes={"a": "x"})
    batch.set(attribute("note"), [None, MAIL])
    after = redacted(batch, summary="debug")
    assert after is not None
    assert after.column(attribute("redaction.masked.keys")) == [None, "note"]
    assert after.column(attribute("redaction.masked.count")) == [None, 1]


def test_findings_are_counted_and_logged_without_values(caplog: pytest.LogCaptureFixture) -> None:
    """By detector and action; neither log nor metric has a value."""
    caplog.set_level(logging.INFO)
    meter = RecordingMeter()
    policies = [{"detectors": ["credit_card"], "action": "mask"}]
    redacted(
        make_batch(items=2, attributes={"n": f"{MAIL}, {CARD}, {CARD}"}), meter=meter, policies=policies, audit_log=True
    )
    labels = {"detector": "credit_card", "action": "mask"}
    assert meter.value("processor_redaction_findings", **labels) == 4
    assert meter.value("processor_redaction_findings", detector="email", action="replace") == 2
    assert "findings treated: credit_card mask: 4, email replace: 2" in caplog.text
    assert MAIL not in caplog.text
    assert "4111" not in caplog.text


class Failing:
    """A detector that cannot read what it finds."""

    name = "failing"
    prefilter = ("x",)

    def find(self, text: str) -> Iterator[Finding]:
        raise ValueError(text)
        yield


@pytest.mark.parametrize(("on_error", "expected"), [("mask", "****"), ("pass", "x <EMAIL>"), ("drop", None)])
def test_a_detector_that_fails(
    on_error: str, expected: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and told without the text, and the text gets what ``on_error`` says."""
    load = assemble.load_detector
    monkeypatch.setattr(assemble, "load_detector", lambda name: Failing() if name == "jwt" else load(name))
    meter = RecordingMeter()
    batch = make_batch(items=1, attributes={"note": f"x {MAIL}"})
    after = redacted(batch, meter=meter, detectors=["jwt", "email"], on_error=on_error)
    assert (after.column(attribute("note")) if after else [None]) == [expected]
    assert meter.value("processor_redaction_detector_failures", detector="failing") >= 1
    assert "detector failing failed on" in caplog.text
    assert MAIL not in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detectors": ["emial"]}, "did you mean email"),
        ({"policies": [{"detectors": ["emial"], "action": "mask"}]}, "did you mean email"),
        ({"policies": [{"action": "mask"}]}, "use default_action"),
        ({"default_action": "hash"}, "at least 32 bytes"),
        ({"default_action": "token"}, "token.key"),
        ({"custom_detectors": [{"name": "a", "pattern": "x"}] * 2}, "'a' twice"),
        ({"custom_detectors": [{"name": "A!", "pattern": "x"}]}, "small letters"),
        ({"custom_detectors": [{"name": "a", "pattern": "("}]}, "RE2"),
        ({"detectors": [], "policies": [{"roles": ["user"], "action": "mask"}]}, "need detectors"),
    ],
)
def test_options_that_make_no_sense_are_errors(options: dict[str, Any], words: str) -> None:
    """The configuration says so before anything starts."""
    with pytest.raises(ValueError, match=words):
        RedactionConfig.model_validate({"detectors": ["email"]} | options)
