"""Signatures of webhooks: as the senders write them, and everything that must not pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.webhooks import signature_headers
from untrace_plugins.signing.keys import signing_key, verifying_key
from untrace_plugins.signing.schemes import SCHEMES, Encoding, Scheme, SignatureError, read_keys, verify
from untrace_plugins.signing.standard import signed_headers

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret, of thirty-two by").decode()
BODY = json.dumps({"type": "trace.completed", "data": {"text": "Grüße"}}).encode()
SEED = "whsk_" + base64.b64encode(bytes(range(32))).decode()


def now() -> int:
    """Return the present second, which the reference library asks for itself."""
    return int(datetime.now(UTC).timestamp())


def check(name: str, secrets: list[str], headers: dict[str, str], body: bytes = BODY, at: float | None = None) -> str:
    """Verify by a well-known scheme."""
    scheme = SCHEMES[name]
    when = at if at is not None else float(now())
    return verify(scheme, read_keys(scheme, secrets), lambda key: headers.get(key, ""), body, when, 300)


def test_reference_library_takes_our_signatures() -> None:
    """What we sign passes the reference library of Standard Webhooks, with either of two keys."""
    headers = dict(signed_headers([signing_key(OTHER), signing_key(SECRET)], "msg_1", now(), BODY))
    assert Webhook(SECRET).verify(BODY, headers)["type"] == "trace.completed"
    assert Webhook(OTHER).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers)


def test_we_take_signatures_of_the_reference_library() -> None:
    """What the reference library signs passes here, and names its id."""
    when = now()
    signature = Webhook(SECRET).sign("msg_2", datetime.fromtimestamp(when, UTC), BODY.decode())
    headers = {"webhook-id": "msg_2", "webhook-timestamp": str(when), "webhook-signature": f"v1,AAAA {signature}"}
    assert check("standard_webhooks", [OTHER, SECRET], headers) == "msg_2"
    assert check("svix", [SECRET], {name.replace("webhook", "svix"): value for name, value in headers.items()})
    for missing in headers:
        with pytest.raises(SignatureError, match=f"{missing} is missing|timestamp is no number"):
            check("standard_webhooks", [SECRET], {name: value for name, value in headers.items() if name != missing})


def test_key_pairs() -> None:
    """A private key signs, its public half checks; a shared secret does not match such a signature."""
    private = signing_key(SEED)
    public = "whpk_" + base64.b64encode(verifying_key(SEED).key.public_bytes_raw()).decode()  # type: ignore[attr-defined]
    headers = dict(signed_headers([private], "msg_3", now(), BODY))
    assert headers["webhook-signature"].startswith("v1a,")
    assert check("standard_webhooks", [public], headers) == "msg_3"
    for wrong in ([SECRET], ["whpk_" + base64.b64encode(bytes(32)).decode()]):
        with pytest.raises(SignatureError):
            check("standard_webhooks", wrong, headers)


def test_github() -> None:
    """The example of GitHub's documentation."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signature}
    assert check("github", ["It's a Secret to Everybody"], headers, b"Hello, World!")
    with pytest.raises(SignatureError):
        check("github", ["It's a Secret to Everybody"], headers, b"Hello, World?")


def test_slack() -> None:
    """The example of Slack's documentation."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "x-slack-request-timestamp": "1531420618",
    }
    secret = ["8f742231b10e8888abcd99yyyzzz85a5"]
    assert check("slack", secret, headers, body, at=1531420618)
    with pytest.raises(SignatureError, match="too far from now"):
        check("slack", secret, headers, body, at=1531420618 + 301)


@pytest.mark.parametrize("name", ["stripe", "langfuse"])
def test_pairs(name: str) -> None:
    """Stripe's form: any of several signatures of the version may match; the timestamp is signed."""
    signature = hmac.new(b"whsec_test", b"1000." + BODY, hashlib.sha256).hexdigest()
    header = SCHEMES[name].header
    headers = {header: f"t=1000,v0=ff,v1={'0' * 64},v1={signature}"}
    first = check(name, ["old", "whsec_test"], headers, at=1000)
    assert first == check(name, ["whsec_test"], headers, at=1299)
    for wrong in (
        f"t=1001,v1={signature}",
        f"v1={signature}",
        f"t=1000,v0={signature}",
        "t=1000",
        "garbage",
        "t=x,v1=zz",
    ):
        with pytest.raises(SignatureError):
            check(name, ["whsec_test"], {header: wrong}, at=1000)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_both_ways(name: str) -> None:
    """What is signed by a scheme passes it, and not with another secret, body or time."""
    scheme = SCHEMES[name]
    headers = dict(signature_headers(scheme, SECRET, BODY, 1000))
    assert check(name, [SECRET], headers, at=1000) == check(name, [SECRET], headers, at=1000)
    for secrets, body in (([OTHER], BODY), ([SECRET], BODY + b"\n"), ([], BODY)):
        with pytest.raises(SignatureError, match="no signature matches"):
            check(name, secrets, headers, body, at=1000)


def test_own_scheme() -> None:
    """A scheme that nobody knows is described by its parts."""
    scheme = Scheme(
        "x-sig", content="{timestamp}:{body}", encoding=Encoding.BASE64, timestamp_header="x-at", algorithm="sha512"
    )
    signature = base64.b64encode(hmac.new(b"s", b"5:" + BODY, hashlib.sha512).digest()).decode()
    headers = {"x-sig": signature, "x-at": "5"}
    assert verify(scheme, read_keys(scheme, ["s"]), lambda key: headers.get(key, ""), BODY, 5, 1)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "whpk_AAAA", "whsk_AAAA", ""])
def test_bad_keys_are_not_quoted(secret: str) -> None:
    """A key that is none, or too short, is told without being quoted."""
    with pytest.raises(ValueError) as caught:
        verifying_key(secret)
    assert len(secret) < 7 or secret not in str(caught.value)
