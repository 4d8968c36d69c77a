"""What is no text is not looked at, and everything else is."""

import pytest

from untrace_plugins.processors.redaction.content.bulk import blanked

PROSE = "The quick brown fox, and (so on): 1.5 or 2, never 0.25.\n" * 100


@pytest.mark.parametrize(
    "bulk",
    [
        "A" * 1024,
        "+/9_-" * 400 + "==",
        ";base64," + "A" * 64,
        ", ".join(["0.5"] * 17),
        ",".join(["-1.25e-07"] * 40),
        ",\u00a0".join(["\u0663.\u0665"] * 17),
    ],
)
def test_a_run_becomes_spaces(bulk: str) -> None:
    """Encoded files and vectors are blank, of the shortest form that is one; what stands around them stays."""
    assert blanked(f"{PROSE}{bulk} {PROSE}") == f"{PROSE}{' ' * len(bulk)} {PROSE}"


@pytest.mark.parametrize("text", ["A" * 1023, "eyJ" + "A" * 2000, ";base64," + "A" * 63, ", ".join(["0.5"] * 16)])
def test_what_is_shorter_stays(text: str) -> None:
    """Tokens and short lists are looked at."""
    assert blanked(f"{PROSE} {text} {PROSE}") == f"{PROSE} {text} {PROSE}"
