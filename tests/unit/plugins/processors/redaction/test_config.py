"""Options of the redaction processor."""

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.redaction.config import HashFunction, RedactionConfig, Summary


def test_defaults_fail_closed() -> None:
    """As in the Collector, nothing is allowed unless it is named."""
    config = RedactionConfig()
    assert not config.allow_all_keys
    assert config.allowed_keys == []
    assert config.summary is Summary.SILENT


def test_hash_functions_are_named_in_any_case() -> None:
    """The Collector compares their names without case."""
    assert RedactionConfig(hash_function="MD5").hash_function is HashFunction.MD5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hash_function": "sha512"}, "hmac-sha512"),
        ({"hash_function": "hmac-sha256"}, "hmac_key must not be empty"),
        ({"hash_function": "hmac-sha512", "hmac_key": "x" * 63}, "at least 64 bytes long .* got 63"),
        ({"blocked_values": ["ok", "(a"]}, r"blocked_values.1\s+.*no pattern in RE2's syntax: missing \)"),
        ({"allowed_values": ["(?=a)"]}, r"allowed_values.0\s"),
        ({"ignored_key_patterns": [r"(a)\1"]}, r"ignored_key_patterns.0\s"),
        ({"blocked_key_patterns": ["a**"]}, r"blocked_key_patterns.0\s"),
        ({"summary": "loud"}, "debug"),
        ({"url_sanitizer": {"enabled": True}}, "url_sanitizer is not available"),
        ({"db_sanitizer": {"redis": {"enabled": True}}}, "db_sanitizer.redis is not available"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """Each problem says what is wrong; the key is never shown."""
    with pytest.raises(ValidationError, match=message) as refused:
        RedactionConfig(**options)
    assert "xxx" not in str(refused.value)


def test_sanitizers_that_are_off_are_accepted() -> None:
    """Collector configs that mention them keep working."""
    RedactionConfig(
        url_sanitizer={"enabled": False, "attributes": ["http.url"]},  # type: ignore[arg-type]
        db_sanitizer={"sql": {"enabled": False, "attributes": ["db.statement"]}},  # type: ignore[arg-type]
    )


def test_every_unknown_detector_is_told_at_its_place() -> None:
    """One look at the answer of ``validate`` is enough to mend all; names of custom detectors are known to policies."""
    policies = [{"detectors": ["emial"], "action": "mask"}, {"detectors": ["own", "nope"], "action": "mask"}]
    with pytest.raises(ValidationError) as refused:
        RedactionConfig(
            detectors=["email", "creditcard", "ssn"],
            policies=policies,  # type: ignore[arg-type]
            custom_detectors=[{"name": "own", "pattern": "x+"}],  # type: ignore[list-item]
        )
    found = {error["loc"]: error["msg"] for error in refused.value.errors()}
    assert list(found) == [
        ("detectors", 1),
        ("detectors", 2),
        ("policies", 0, "detectors", 0),
        ("policies", 1, "detectors", 1),
    ]
    assert "did you mean credit_card? Known are all" in found["detectors", 1]
    assert "'nope' is no installed detector. Known are all" in found["policies", 1, "detectors", 1]
