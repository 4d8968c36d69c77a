"""Passwords: beside a name, in a sentence, in a command, in a URL, in Basic authentication."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.gates import AT, any_case
from untrace_plugins.detectors.regex import Regex
from untrace_plugins.detectors.secrets import is_given, is_password, is_strong
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
_NAME = rf"(?:(?:{_WORDS})(?:[_-]?(?:value|text|new|old|confirm(?:ation)?|\d))?\pL{{0,2}}|\bpass|[_-]pass|\bpw)"
_TYPE = r"(?::[ \t]?(?:str|string|secretstr|bytes|text)[ \t]?)?"
_VERBS = "is|was|will be|becomes|ist|lautet|war|est|c'est|es|é|è|e'|to|är|er|on|jest|je|are|son|sono|olarak|это|है|now"
_IS = rf"(?:(?:{_VERBS})(?:[ \t]{{1,2}}:?|:)|[=:—–]|[=-]>)[ \t]{{0,2}}"
_CLIENTS = "docker|podman|helm|sshpass|az|oc|cf|influx|mongo|mongosh|ldapsearch|smbclient|sqlcmd|twine|redis-cli"
_QUOTED = re.compile(r"(?P<quote>[\"'`])(?P<value>(?:(?!(?P=quote))[^\n]){3,256})(?P=quote)")
_BARE = re.compile(r"(?P<value>(?:[^\s\"'`,;&<>|]|&(?!\w*=)){3,256})")
_SPOKEN = re.compile(r"(?P<value>[!#-&(-_a-~\w]{4,128})")
_ASCII = re.compile(r"(?P<value>[!#-&(-_a-~]{4,128})")
_ARGUMENT = re.compile(r"[\"']?(?P<value>[^\s\"'-][^\s\"']{2,127})")
_BASE64 = re.compile(r"(?P<value>[A-Za-z0-9+/_-]{8,512}={0,2})")
"""What a value looks like, behind what announces it."""
_AFTER = ".,;:!?)\"'」』”»"
_MIN_DIGITS = 4
_MIN_VALUE = 6


class PasswordDetector:
    """Finds values beside a name for passwords, passwords that a sentence tells, and those of commands and headers."""

    name = "password"

    def __init__(self) -> None:
        named = Regex(
            rf"(?i)(?:{_NAME})[\"'`\])*]{{0,3}}[ \t]{{0,4}}(?:\([^()\n]{{1,20}}\)[ \t]?)?{_TYPE}"
            r"(?:=>|:=|={1,2}|：|:|>|[ \t]value[ \t]?=)\s{0,2}"
        )
        told = Regex(rf"(?i)(?:{_WORDS})\pL{{0,3}}(?:[ \t][^\n.!?;:=\"']{{0,30}})?[ \t]{_IS}[\"'“„«`(]{{0,2}}")
        bare = Regex(rf"(?i)(?:(?:{_WORDS})\pL{{0,2}}|\brequirepass)[ \t]{{1,2}}[\"'“„«`(]{{0,2}}")
        joined = Regex(rf"(?i)(?:{_WORDS})\s?(?:は|が|是|为|為|는|은)、?\s?[「『\"'“]?")
        variable = Regex(r"\b(?:[A-Z0-9]+_)*(?:PASSWORD|PASSWD|PASS|PWD)=")
        user = Regex(r"(?i)[ \t](?:-u|--user)[ =][\"']?[^\s:\"']{1,64}:")
        option = Regex(
            r"(?i)\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,200}?\s-p"
            rf"|\b(?:{_CLIENTS})\b[^\n|;]{{0,200}}?\s-[paw][ =]?[\"']?"
            r"|--(?:password|passwd|pass|pwd|passphrase|auth-password)[ =][\"']?"
        )
        statement = Regex(r"(?i)\b(?:identified by|password) ")
        self._forms: tuple[tuple[Regex, re.Pattern[str], Callable[[str], bool]], ...] = (
            (named, _QUOTED, _is_quoted),
            (named, _BARE, is_password),
            (variable, _BARE, _is_value),
            (told, _SPOKEN, is_password),
            (bare, _ASCII, is_strong),
            (joined, _ASCII, is_password),
            (user, _ARGUMENT, is_given),
            (option, _ARGUMENT, is_given),
            (statement, _QUOTED, is_given),
            (Regex(r"(?i)\bbasic\s{1,4}"), _BASE64, _is_basic),
        )
        self._head = Regex(rf"(?i)(?:^|[^\pL])(?:{_WORDS})(?:$|[^\pL])")
        self.prefilter: Sequence[str] = (
            *any_case(_STEMS),
            r"[Pp][Aa][Ss][Ss][\"'`\])*\\]{0,8}[ \t]{0,4}[:=>]",
            r"[Bb][Aa][Ss][Ii][Cc]\s{1,4}[A-Za-z0-9+/_-]{8}",
            r"-(?:u|-user)[ =][\"']?[^\s:\"']{1,64}:",
            *any_case((" -p", " -a", " -w", "\t-p", "\t-a", "\t-w")),
            r"--[Pp][Aa][Ss][Ss]",
            r"[Pp][Ww][\"'`\])*\\]{0,8}[ \t]{0,4}[:=>]",
            *any_case(("identified by", "requirepass")),
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the passwords in a text."""
        for announcement, form, is_it in self._forms:
            found = 0
            for match in announcement.matches(text):
                # An announcement within a value that was found says nothing more: `password=password=…`.
                value = form.match(text, match.end) if match.end >= found else None
                if value is not None and is_it(value.group("value")):
                    start = value.start("value")
                    found = start + len(value.group("value").rstrip(_AFTER))
                    yield Finding(start, found, "PASSWORD", self.name)
        for start, end in cells_below(text, self._head):
            if is_password(text[start:end]):
                yield Finding(start, end, "PASSWORD", self.name)


def _is_quoted(value: str) -> bool:
    """Whether a value in quotes beside a name is a password: almost anything."""
    return " " not in value and is_given(value) and not (value.isdigit() and len(value) < _MIN_DIGITS)


def _is_value(value: str) -> bool:
    """Whether the value of an environment variable for passwords is one, which may be made of words."""
    return len(value.rstrip(_AFTER)) >= _MIN_VALUE and is_given(value)


def _is_basic(value: str) -> bool:
    """Whether it decodes to ``user:password``."""
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
            if authority is not None and is_given(authority[1]):
                yield Finding(*authority.span(1), "URL_WITH_CREDENTIALS", self.name)
            slashes = text.find("://", slashes + 3)


_MAX_AUTHORITY = 512
_AUTHORITY = re.compile(r"[^\s/:\"'<>@]{0,128}:([^\s/\"'<>]+)@[^\s@]")


PASSWORD = PasswordDetector()
URL_CREDENTIALS = UrlCredentialsDetector()
