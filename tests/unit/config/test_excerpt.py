"""Source lines in messages: masked, cut, with the caret in place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.config.compose import parse
from untrace_pipeline.config.diagnostics import Problem, Severity
from untrace_pipeline.config.excerpt import MASK, at_place, is_sensitive, mask_urls
from untrace_pipeline.config.nodes import Place, Source
from untrace_pipeline.errors import ConfigError


def shown(text: str, line: int, column: int, width: int = 1, masks: list[Place] | None = None) -> tuple[str, str]:
    """Return the excerpt of a place and what the caret line underlines."""
    place = Place(Source("test", text), line, column, line, column + width)
    problem = at_place(place, masks=masks, code="x", message="y")
    return problem.excerpt, problem.excerpt[problem.caret - 1 : problem.caret - 1 + problem.width]


def test_plain_line() -> None:
    """The line is shown as it is, with the caret under the right characters."""
    assert shown("a: 1\n  b: cde\n", 2, 6, 3) == ("  b: cde", "cde")


def test_known_secrets() -> None:
    """Known secrets are masked, over several lines too, and the caret moves with what follows."""
    text = "a: {token: hunter2, b: c}\nkey: |\n  hunter2\n  hunter2\n"
    source = Source("test", text)
    masks = [Place(source, 1, 12, 1, 19), Place(source, 2, 6, 5, 1)]

    def at(line: int, column: int) -> Problem:
        return at_place(Place(source, line, column, line, column + 1), masks=masks, code="x", message="y")

    assert at(1, 24).excerpt == f"a: {{token: {MASK}, b: c}}"
    assert at(1, 24).excerpt[at(1, 24).caret - 1] == "c"
    assert at(2, 1).excerpt == f"key: {MASK}"
    assert at(3, 3).excerpt == f"  {MASK}"


def test_a_secret_that_holds_another_is_masked_once() -> None:
    """A bearer token within a header is one secret, and the caret behind it stays in place."""
    source = Source("test", 'a: {authorization: "Bearer hunter2", b: c}\n')
    problem = at_place(Place(source, 1, 41, 1, 42), masks=[Place(source, 1, 20, 1, 36)], code="x", message="y")
    assert problem.excerpt == f"a: {{authorization: {MASK} b: c}}"
    assert problem.excerpt[problem.caret - 1] == "c"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("token: hunter2", 1),
        ("api_key: 'hunter2", 1),
        ("x: {apiKey: hunter2, b: [", 1),
        ('{"headers": {"a": "hunter2"}', 1),
        ("headers:\n  x-team: hunter2", 2),
        ("headers:\n  # comment\n\n  x-team:\n    - hunter2", 5),
        ("password: |\n  line\n  hunter2", 3),
        ("- client_secret: hunter2", 1),
        ("htpasswd:\n  inline: |\n    me:hunter2", 3),
        ("url: https://me:hunter2@host", 1),
        ("x: Bearer hunter2", 1),
        ("authorization : hunter2", 1),
        ("\ttoken: hunter2", 1),
    ],
)
def test_guessed_secrets(text: str, line: int) -> None:
    """In a file that cannot be read, whatever looks like a secret is masked."""
    assert "hunter2" not in shown(text, line, 1)[0]


def test_references_are_no_secrets() -> None:
    """A reference without a default tells nothing and is shown; a default might tell."""
    assert shown("token: ${env:TOKEN}", 1, 8)[0] == "token: ${env:TOKEN}"
    assert shown("token: ${env:TOKEN:-hunter2}", 1, 8)[0] == f"token: {MASK}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("exporters", "x", "api_key"), True),
        (("exporters", "x", "apiKey"), True),
        (("exporters", "x", "headers", "anything", 0), True),
        (("extensions", "x", "client_secret"), True),
        (("exporters", "x", "api_key_file"), False),
        (("exporters", "bearer_token_auth", "endpoint"), False),
        (("exporters", "x", "auth", "authenticator"), False),
        (("exporters", "x", "metadata_keys", 0), False),
        (("receivers", "otlp", "cors", "allowed_headers", 0), False),
        ((), False),
    ],
)
def test_sensitive_names(path: tuple[str | int, ...], expected: bool) -> None:
    """Secrets are told by name too, where a plugin's type does not say so."""
    assert is_sensitive(path) is expected


def test_mask_urls() -> None:
    """Credentials in URLs and bearer tokens are masked in any text."""
    assert mask_urls("see https://me:x@host/p and Bearer abc") == f"see https://{MASK}@host/p and Bearer {MASK}"


def test_long_lines_are_cut_around_the_caret() -> None:
    """The caret stays in sight, whatever the length of the line."""
    text = "k: " + "a" * 5000 + " MARK " + "b" * 5000
    excerpt, marked = shown(text, 1, text.index("MARK") + 1, 4)
    assert (marked, len(excerpt) < 120) == ("MARK", True)
    assert shown(text, 1, 1, 1)[1] == "k"


def test_tabs_and_wide_numbers_keep_the_caret_in_line() -> None:
    """Tabs count as one column, and line numbers of any width leave room for themselves."""
    text = "\n" * 99_999 + "\tkey: 1"
    place = Place(Source("f", text), 100_000, 2, 100_000, 5)
    lines = str(at_place(place, masks=[], code="x", message="y", severity=Severity.WARNING)).splitlines()
    assert lines[0] == "f:100000:2: warning: y"
    assert lines[1].index("key") == lines[2].index("^^^")


SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=20)


@given(SECRETS, st.sampled_from(["token", "api_key", "headers: {a", "password", '"secret"']), st.integers(0, 6))
def test_a_syntax_error_never_shows_a_secret(secret: str, key: str, indent: int) -> None:
    """Whatever makes the line unreadable, the value of a telling key is not shown."""
    for broken in (
        f"{key}: {secret}: x",
        f"{key}: [{secret}",
        f"{key}: '{secret}",
        f'{key}: "{secret}\\q"',
        f"{key}: @{secret}",
    ):
        text = "a:\n" + " " * (indent + 1) + broken + "\n"
        with pytest.raises(ConfigError) as caught:
            parse(Source("test", text))
        assert secret not in str(caught.value)
