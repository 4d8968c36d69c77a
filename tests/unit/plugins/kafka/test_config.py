"""Options that exporter and receiver share."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.kafka.config import KafkaClientConfig, SaslMechanism


def read(**options: Any) -> KafkaClientConfig:
    return KafkaClientConfig.model_validate(options)


def test_defaults_are_the_collectors() -> None:
    """A broker on this host, without TLS and login."""
    config = read()
    assert (config.brokers, config.client_id) == (["localhost:9092"], "otel-collector")
    assert (config.tls_in_force, config.auth.login) == (None, None)
    assert (config.conn_idle_timeout, config.metadata.refresh_interval) == (540, 600)


def test_brokers_may_be_one_string() -> None:
    """One environment variable holds them all."""
    assert read(brokers="a:1, b:2").brokers == read(brokers=["a:1", "b:2"]).brokers


@pytest.mark.parametrize("brokers", [[], "", "a:1,"])
def test_brokers_must_be_there(brokers: Any) -> None:
    """No broker, or one without a name, is a mistake."""
    with pytest.raises(ValidationError, match="brokers"):
        read(brokers=brokers)


@pytest.mark.parametrize("tls", [None, {}, {"ca_file": "/ca.pem"}])
def test_tls_is_on_where_it_is_mentioned(tls: Any) -> None:
    """`tls:` with nothing below it means TLS, as in the Collector: leaving it out would send passwords in the open."""
    assert read(tls=tls).tls_in_force is not None
    assert read(auth={"tls": tls}).tls_in_force is not None


def test_tls_can_be_switched_off() -> None:
    """`insecure: true` is plain, whatever else stands there."""
    assert read(tls={"insecure": True, "ca_file": "/ca.pem"}).tls_in_force is None


@pytest.mark.parametrize(
    "tls",
    [
        {"min_version": "1.3"},
        {"max_version": "1.3"},
        {"cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]},
        {"server_name_override": "broker"},
        {"reload_interval": "1h"},
    ],
    ids=lambda tls: next(iter(tls)),
)
def test_what_the_library_cannot_do_is_refused(tls: dict[str, Any]) -> None:
    """An option of TLS that would be ignored is a problem, not a surprise."""
    with pytest.raises(ValidationError, match=next(iter(tls))):
        read(tls=tls)
    assert read(tls={**tls, "insecure": True}).tls_in_force is None


def test_both_spellings_of_a_login() -> None:
    """`plain_text` is SASL PLAIN; both at once are a contradiction."""
    login = {"username": "u", "password": "p"}
    plain = read(auth={"plain_text": login}).auth.login
    assert plain == read(auth={"sasl": {"mechanism": "PLAIN", **login}}).auth.login
    assert plain is not None
    assert plain[0] is SaslMechanism.PLAIN
    assert str(plain[2]) == "[REDACTED]"
    with pytest.raises(ValidationError, match="either sasl or plain_text"):
        read(auth={"plain_text": login, "sasl": {"mechanism": "PLAIN", **login}})


def test_a_login_is_complete() -> None:
    """A user without a password is a mistake, as is a mechanism that is not there."""
    with pytest.raises(ValidationError, match="password"):
        read(auth={"sasl": {"mechanism": "PLAIN", "username": "u"}})
    with pytest.raises(ValidationError, match="mechanism"):
        read(auth={"sasl": {"mechanism": "OAUTHBEARER", "username": "u", "password": "p"}})


def test_what_the_collector_knows_is_accepted() -> None:
    """Options without a meaning here do not keep a Collector's file from loading."""
    read(
        protocol_version="3.7.0",
        resolve_canonical_bootstrap_servers_only=True,
        rack_id="eu-1a",
        use_leader_epoch=False,
        metadata={"full": False, "refresh_interval": "5m", "retry": {"max": 5, "backoff": "1s"}},
    )
