"""Passwords: beside a name, in a sentence, in a command, in a URL, in Basic authentication."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.gates import AT, any_case
from untrace_plugins.detectors.regex import Match, Regex
from untrace_plugins.detectors.secrets import is_password, is_placeholder
from untrace_plugins.detectors.tables import cells_below

__all__ = ["PASSWORD", "URL_CREDENTIALS", "PasswordDetector", "UrlCredentialsDetector"]

_WORDS = (
    r"passw(?:or)?d|passwrd|passphrase|pass[ _-]?code|pwd|passwort|kennwort|mot de passe|motdepasse|mdp|"
    r"contrase[ñn]a|clave|senha|palavra-passe|"
    r"parola(?: d'ordine)?|wachtwoord|has[łl]o|l[öo]senord|salasana|adgangskode|kodeord|passord|[şs]ifre|parol|"
    r"jelsz[óo]|heslo|пароль|"
    r"パスワード|暗証番号|密码|密碼|口令|비밀번호|암호|पासवर्ड|كلمة المرور|סיסמה"
)
_STEMS = (
    *(
        "passwd",
        "password",
        "passwrd",
        "passphrase",
        "passcode",
        "pass-code",
        "pass_code",
        "pass code",
        "pwd",
        "passwort",
    ),
    *(
        "kennwort",
        "mot de passe",
        "motdepasse",
        "mdp",
        "contrase",
        "clave",
        "senha",
        "palavra-passe",
        "parola",
        "wachtwoord",
    ),
    *(
        "hasło",
        "haslo",
        "lösenord",
        "losenord",
        "salasana",
        "adgangskode",
        "kodeord",
        "passord",
        "şifre",
        "sifre",
        "parol",
    ),
    *(
        "jelsz",
        "heslo",
        "пароль",
        "パスワード",
        "暗証番号",
        "密码",
        "密碼",
        "口令",
        "비밀번호",
        "암호",
        "पासवर्ड",
        "كلمة المرور",
        "סיסמה",
    ),
)
"""What one of these words begins with."""
_NAME = rf"(?:(?:{_WORDS})(?:[_-]?(?:value|text|new|old|confirm(?:ation)?|\d))?|\bpass|[_-]pass)"
_TYPE = r"(?::[ \t]?(?:str|string|secretstr|bytes|text)[ \t]?)?"
_QUOTED = r"\"([^\"\n]{3,})\"|'([^'\n]{3,})'|`([^`\n]{3,})`"
_BARE = r"([^\s\"'`,;&<>|]{3,})"
_IS = r"is|was|ist|lautet|war|est|es|é|è|e'|to|är|er|on|jest|are|son|sono|olarak|это|है|now|=|:"
_CHARACTERS = r"[!#-&(-_a-~]"
"""ASCII without space and quotes."""
_CLIENTS = "docker|podman|helm|sshpass|az|oc|cf|influx|mongo|mongosh|ldapsearch|smbclient|sqlcmd|twine|redis-cli"
_ARGUMENT = r"[ =]?[\"']?([^\s\"'-][^\s\"']{2,})"
_AFTER = ".,;:!?)\"'」』”»"
_MAX_LENGTH, _MIN_DIGITS = 256, 4


class PasswordDetector:
    """Finds values beside a name for passwords, passwords that a sentence tells, and those of commands and headers."""

    name = "password"

    def __init__(self) -> None:
        assigned = Regex(
            rf"(?i)(?:{_NAME})[\"'`\])*]{{0,3}}[ \t]{{0,4}}{_TYPE}(?:=>|:=|={{1,2}}|：|:|>)"
            rf"\s{{0,2}}(?:{_QUOTED}|{_BARE})"
        )
        told = Regex(
            rf"(?i)(?:{_WORDS})\pL{{0,3}}(?:[ \t][^\n.!?;:=\"']{{0,30}})?[ \t](?:{_IS})[ \t]{{0,2}}:?[ \t]{{0,2}}"
            rf"[\"'“„«`(]{{0,2}}((?:{_CHARACTERS}|[\pL\pN]){{4,}})"
        )
        joined = Regex(rf"(?i)(?:{_WORDS})\s?(?:は|が|是|为|為|는|은)、?\s?[「『\"'“]?({_CHARACTERS}{{4,}})")
        command = Regex(
            r"(?i)[ \t](?:-u|--user)[ =][\"']?[^\s:\"']{1,64}:([^\s\"'@]{3,})"
            rf"|\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{{0,200}}?\s-p([^\s\"'-][^\s\"']{{2,}})"
            rf"|\b(?:{_CLIENTS})\b[^\n|;]{{0,200}}?\s-[paw]{_ARGUMENT}"
            rf"|--(?:password|passwd|pass|pwd|passphrase|auth-password){_ARGUMENT}"
            r"|\b(?:identified by|password) [\"']([^\"'\n]{3,})[\"']"
        )
        basic = Regex(r"(?i)\bbasic\s{1,4}([A-Za-z0-9+/_-]{8,}={0,2})")
        self._forms: tuple[tuple[Regex, Callable[[Match, str], bool]], ...] = (
            (assigned, _is_assigned),
            (told, _is_told),
            (joined, _is_told),
            (command, _is_given),
            (basic, _is_basic),
        )
        self._head = Regex(rf"(?i)(?:^|[^\pL])(?:{_WORDS})(?:$|[^\pL])")
        self.prefilter: Sequence[str] = (
            *any_case(_STEMS),
            r"[Pp][Aa][Ss][Ss][\"'`\])*\\]{0,8}[ \t]{0,4}[:=>]",
            r"[Bb][Aa][Ss][Ii][Cc]\s{1,4}[A-Za-z0-9+/_-]{8}",
            r"-(?:u|-user)[ =][\"']?[^\s:\"']{1,64}:",
            *any_case((" -p", " -a", " -w", "\t-p", "\t-a", "\t-w")),
            r"--[Pp][Aa][Ss][Ss]",
            *any_case(("identified by",)),
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the passwords in a text."""
        for regex, is_it in self._forms:
            for match in regex.matches(text):
                value = match.value[:_MAX_LENGTH].rstrip(_AFTER)
                if value and is_it(match, value):
                    yield Finding(match.start, match.start + len(value), "PASSWORD", self.name)
        for start, end in cells_below(text, self._head):
            if is_password(text[start:end]):
                yield Finding(start, end, "PASSWORD", self.name)


def _is_assigned(match: Match, value: str) -> bool:
    """Whether a value beside a name is a password: in quotes almost any, without them what looks like one."""
    if is_placeholder(match.value) or (value.isdigit() and len(value) < _MIN_DIGITS):
        return False
    is_quoted = match.text[match.start - 1] in "\"'`"
    return (is_quoted and " " not in value) or is_password(value)


def _is_told(_: Match, value: str) -> bool:
    return is_password(value)


def _is_given(match: Match, _: str) -> bool:
    return not is_placeholder(match.value)


def _is_basic(match: Match, _: str) -> bool:
    """Whether it decodes to ``user:password``."""
    value = match.value
    try:
        plain = b64decode(value + "=" * (-len(value) % 4), altchars=b"-_" if "-" in value or "_" in value else None)
        return b":" in plain and plain.decode().isprintable()
    except (Base64Error, ValueError):
        return False


class UrlCredentialsDetector:
    """Finds passwords in URLs and connection strings: ``scheme://user:password@host`` (RFC 3986, 3.2.1)."""

    name = "url_credentials"
    prefilter: Sequence[str] = (AT,)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the passwords in a text."""
        slashes = text.find("://")
        while slashes >= 0:
            authority = _AUTHORITY.match(text, slashes + 3, slashes + _MAX_AUTHORITY)
            if authority is not None and not is_placeholder(authority[1]):
                yield Finding(*authority.span(1), "URL_WITH_CREDENTIALS", self.name)
            slashes = text.find("://", slashes + 3)


_MAX_AUTHORITY = 512
_AUTHORITY = re.compile(r"[^\s/:\"'<>@]{0,128}:([^\s/\"'<>]+)@[^\s@]")


PASSWORD = PasswordDetector()
URL_CREDENTIALS = UrlCredentialsDetector()
