"""What makes a value a secret, and what only stands for one."""

from __future__ import annotations

import math
from collections import Counter

from untrace_plugins.detectors.regex import Regex

__all__ = ["MIN_OPAQUE", "is_given", "is_opaque", "is_password", "is_placeholder", "is_random", "is_strong"]

_PLACEHOLDER = Regex(
    r"(?i)^(?:\$(?:[{(]|(?-i:[A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]*)(?:[/.:-]|$)|\d?$)|<|\{|%\(|\[|\*{2,}|•|…|\.{3}|#\{|@\{|&lt;)"
    r"|^(?:x+|\*+|n/?a|none|null|nil|undefined|true|false|yes|no|str|string|text|bytes|int|bool|boolean|any|optional|"
    r"required|secret|"
    r"token|password|passwd|pwd|passwort|pass|key|value|redacted|masked|hidden|removed|changeme|change[_-]?me|"
    r"placeholder|empty|todo|tbd|"
    r"field|self|this|input|args?|kwargs|env|environ|config|settings|example|sample|test|dummy|foo|bar|baz|default|"
    r"unset|missing|"
    r"invalid|incorrect|wrong|correct|valid|expired|protected|encrypted|hashed|plaintext|varchar\w*|char)$"
    r"|x{5,}|\*{3,}|•{2}|\.{3}|your[_-]|[_-]here$|redacted|placeholder|changeme|change-me|<[a-z]"
    r"|^(?:os|process|settings|config|cfg|conf|env|environ|self|this|args|options|opts|params|props|ctx|app|request|"
    r"req|secrets|vault|"
    r"credentials|user|data|event|form|input|body)\.[a-z]"
    r"|^[A-Za-z_]\w*\[[\w:-]*\]$|getenv|environ\b|process\.env|secretstr|secretmanager|^[a-z_.]{3,}\(|\w\[[\"']|\{\{"
)
MIN_OPAQUE, _MIN_ENTROPY = 16, 3.0
"""Characters, and bits per character, of a value that was generated."""
_WORDS = Regex(r"^\pL*\d{0,4}(?:[-_./: ]+(?:\pL+|\d{1,4}))*$")
_MIN_PASSWORD, _MIN_STRONG, _KINDS = 4, 6, 3
_SENTENCE = ".,;:!?)\"'」』”»"
"""What may stand behind a value, and not belong to it."""


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret: a variable, an expression, a word, a row of one character."""
    return len(set(value)) < 3 or _PLACEHOLDER.search(value)  # noqa: PLR2004


def is_given(value: str) -> bool:
    """Whether it is no placeholder."""
    return not is_placeholder(value)


def is_random(value: str) -> bool:
    """Whether the characters of a value vary as in a generated one."""
    counts = Counter(value)
    size = len(value)
    entropy = -sum(n / size * math.log2(n / size) for n in counts.values())
    return entropy >= _MIN_ENTROPY and any(map(str.isdigit, value)) and not _WORDS.search(value)


def is_opaque(value: str) -> bool:
    """Whether a value beside a name such as ``token`` looks like a generated one."""
    return len(value) >= MIN_OPAQUE and is_random(value) and not is_placeholder(value)


def is_strong(value: str) -> bool:
    """Whether a value that nothing but a name announces is a password: three kinds of characters, or more."""
    value = value.rstrip(_SENTENCE)
    kinds = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum() and char not in "-._/:")
    return len(value) >= _MIN_STRONG and is_given(value) and sum(any(map(kind, value)) for kind in kinds) >= _KINDS


def is_password(value: str) -> bool:
    """Whether a value in a sentence looks like a password: a digit, a sign or a change of case in it."""
    value = value.rstrip(_SENTENCE)
    if len(value) < _MIN_PASSWORD or is_placeholder(value):
        return False
    core = value[1:]
    mixed = any(map(str.isupper, core)) and any(map(str.islower, value))
    return any(map(str.isdigit, value)) or mixed or any(char in "!@#$%^&*+=?~" for char in value)
