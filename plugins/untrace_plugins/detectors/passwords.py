"""Passwords: beside a name, in a sentence, in a command, in a URL, in Basic authentication."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.regex import Match, Regex
from untrace_plugins.detectors.secrets import is_password, is_placeholder
from untrace_plugins.detectors.tables import column_head

__all__ = ["PASSWORD", "URL_CREDENTIALS", "PasswordDetector", "UrlCredentialsDetector"]

_WORDS = (
    r"passw(?:or)?d|passwrd|passphrase|pass[ _-]?code|pwd|passwort|kennwort|mot de passe|motdepasse|mdp|"
    r"contrase[ñn]a|clave|senha|palavra-passe|"
    r"parola(?: d'ordine)?|wachtwoord|has[łl]o|l[öo]senord|salasana|adgangskode|kodeord|passord|[şs]ifre|parol|"
    r"jelsz[óo]|heslo|пароль|"
    r"パスワード|暗証番号|密码|密碼|口令|비밀번호|암호|पासवर्ड|كلمة المرور|סיסמה"
)
_NAME = rf"(?:{_WORDS}|(?:db|smtp|ftp|user|admin|root|mysql|pg|redis|ssh|login|auth)[_-]?pass|[_-]pass|\bpass)"
_QUOTED = r"\"([^\"\n]{3,256})\"|'([^'\n]{3,256})'|`([^`\n]{3,256})`"
_BARE = r"([^\s\"'`,;&<>|]{3,256})"
_IS = r"is|was|ist|lautet|war|est|es|é|è|e'|to|är|er|on|jest|are|son|sono|olarak|это|है|now|=|:"


class PasswordDetector:
    """Finds values beside a name for passwords, passwords that a sentence tells, and those of commands and headers."""

    name = "password"

    def __init__(self) -> None:
        self._assigned = Regex(
            rf"(?i)(?:{_NAME})(?:[_-]?(?:value|text|new|old|confirm(?:ation)?|\d))?[\"'`\])*]{{0,3}}[ \t]{{0,4}}"
            rf"(?::[ \t]?(?:str|string|secretstr|bytes|text)[ \t]?)?(?:=>|:=|={{1,2}}|：|:|>)\s{{0,2}}(?:{_QUOTED}|"
            rf"{_BARE})"
        )
        self._told = Regex(
            rf"(?i)(?:{_WORDS})\pL{{0,3}}(?:[ \t][^\n.!?;:=\"']{{0,30}})?[ \t](?:{_IS})[ \t]{{0,2}}:?"
            rf"[ \t]{{0,2}}[\"'“„«`(]{{0,2}}([!#-&(-_a-~\pL\pN]{{4,128}})"
        )
        self._joined = Regex(
            rf"(?i)(?:{_WORDS})\s?(?:は|が|是|为|為|は、|[はが]「|는|은)\s?[「『\"'“]?([!#-&(-_a-~]{{4,128}})"
        )
        self._command = Regex(
            r"(?i)\b(?:curl|wget|http|https|xh)\b[^\n|;]{0,200}?(?:-u|"
            r"--user)[ =][\"']?[^\s:\"']{1,64}:([^\s\"'@]{3,128})"
            r"|\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,200}?\s-p([^\s\"'-][^\s\"']{2,128})"
            r"|\b(?:docker|podman|helm|sshpass|az|oc|cf|influx|mongo|mongosh|ldapsearch|smbclient|sqlcmd|twine|"
            r"redis-cli|skopeo|crane|nerdctl)\b[^\n|;]{0,200}?\s-(?:p|P|a|w|W)[ =]?[\"']?([^\s\"'-][^\s\"']{2,128})"
            r"|--(?:password|passwd|pass|pwd|passphrase|auth-password)[ =][\"']?([^\s\"'-][^\s\"']{2,128})"
            r"|\bidentified by [\"']([^\"'\n]{1,128})[\"']|\bpassword [\"']([^\"'\n]{3,128})[\"']"
        )
        self._basic = Regex(r"(?i)\bbasic\s{1,4}([A-Za-z0-9+/_-]{8,512}={0,2})")
        self._cell = Regex(r"[^\s|,;\"]{4,128}")
        self._head = Regex(rf"(?i)(?:^|[^\pL])(?:{_WORDS})(?:$|[^\pL])")
        self.prefilter: Sequence[str] = (
            rf"(?i)(?:{_WORDS})",
            r"(?i)(?:db|smtp|ftp|user|admin|root|mysql|pg|redis|ssh|login|auth)[_-]?pass[^A-Za-z]",
            r"(?i)[_-]pass[^A-Za-z]",
            r"(?i)pass[\"'`\])*\\]{0,8}[ \t]{0,4}(?:=|:)",
            r"(?i)basic\s{1,4}[A-Za-z0-9+/_-]{8}",
            r"(?i)(?:curl|wget|http|https|xh)[^\n|;]{0,200}(?:-u|--user)[ =]",
            r"(?i)(?:mysql|mysqldump|mysqladmin|mariadb)[^\n|;]{0,200}\s-p",
            (
                r"(?i)(?:docker|podman|helm|sshpass|az|oc|cf|influx|mongo|mongosh|ldapsearch|smbclient|sqlcmd|twine|"
                r"redis-cli|skopeo|crane|nerdctl)[^\n|;]{0,200}\s-[paw]"
            ),
            r"(?i)--pass|identified by",
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the passwords in a text."""
        for match in self._assigned.matches(text):
            yield from self._finding(match, _is_assigned(match))
        for regex in (self._told, self._joined):
            for match in regex.matches(text):
                yield from self._finding(match, is_password(match.value.rstrip(".,;:!?)\"'」』”»")))
        for match in self._command.matches(text):
            yield from self._finding(match, not is_placeholder(match.value))
        for match in self._basic.matches(text):
            yield from self._finding(match, _is_basic(match.value))
        if "\n" in text and self._head.search(text):
            yield from self._in_columns(text)

    def _in_columns(self, text: str) -> Iterator[Finding]:
        for match in self._cell.matches(text):
            start, end = match.spans[0]
            if (
                (start == 0 or text[start - 1] in '\t\n|,; "')
                and self._head.search(column_head(text, start))
                and is_password(text[start:end])
            ):
                yield Finding(start, end, "PASSWORD", self.name)

    def _finding(self, match: Match, is_it: bool) -> Iterator[Finding]:
        if is_it:
            start, end = match.span
            end -= len(match.value) - len(match.value.rstrip(".,;:)\"'」』”»"))
            if end > start:
                yield Finding(start, end, "PASSWORD", self.name)


def _is_assigned(match: Match) -> bool:
    value = match.value
    quoted = match.text[match.start - 1 : match.start] in {'"', "'", "`"}
    if is_placeholder(value) or (value.isdigit() and len(value) < 4):  # noqa: PLR2004
        return False
    return (quoted and " " not in value) or is_password(value.rstrip(".,;:!?)"))


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
    prefilter: Sequence[str] = (r"://[^\s/\"'<>@]{0,128}:[^\s/\"'<>]{1,256}@",)

    def __init__(self) -> None:
        self._regex = Regex(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:\"'<>@]{0,128}:([^\s/\"'<>]{1,256})@[^\s@]")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the passwords in a text."""
        last = 0
        for match in self._regex.matches(text):
            start, end = match.span
            if start >= last and not is_placeholder(match.value):
                last = end
                yield Finding(start, end, "URL_WITH_CREDENTIALS", self.name)


PASSWORD = PasswordDetector()
URL_CREDENTIALS = UrlCredentialsDetector()
