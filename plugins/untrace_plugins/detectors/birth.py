"""Dates of birth and passports: what only words beside a value tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.context import Context
from untrace_plugins.detectors.gates import any_case
from untrace_plugins.detectors.numbers import NumberDetector, Shape
from untrace_plugins.detectors.regex import Regex
from untrace_plugins.detectors.tables import cells_below

__all__ = ["DATE_OF_BIRTH", "PASSPORT", "DateOfBirthDetector"]

_MONTHS = (
    r"jan(?:uary|uar|vier|eiro|uari)?|feb(?:ruary|ruar|braio|rero|ruari)?|f[ée]v(?:rier|ereiro)?|mar(?:ch|s|zo|ço|"
    r"zec)?|mär(?:z|ts)?|maart|"
    r"apr(?:il|ile)?|avr(?:il)?|abr(?:il)?|may|mai|mayo|maio|maggio|mei|maj|june?|juni|juin|junio|junho|giugno|"
    r"july?|juli|juillet|julio|julho|luglio|aug(?:ust|ustus)?|ao[uû]t|ago(?:sto)?|sep(?:t|tember|tembre|tiembre)?|"
    r"set(?:embro|tembre)?|"
    r"oct(?:ober|obre|ubre)?|okt(?:ober)?|out(?:ubro)?|ott(?:obre)?|nov(?:ember|embre|iembre|embro)?|dec(?:ember|"
    r"embre)?|dez(?:ember|embro)?|"
    r"d[ée]c(?:embre)?|dic(?:iembre|embre)?|"
    r"stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|listopada|grudnia|"
    r"января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря|"
    r"ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık"
)
_DATE = (
    r"(?:(?:18|19|20)\d\d[-/. ][01]?\d[-/. ][0-3]?\d"
    r"|[0-3]?\d[-/. ][01]?\d[-/. ](?:(?:18|19|20)\d\d|\d\d)"
    r"|[01]?\d[-/.][0-3]?\d[-/.](?:(?:18|19|20)\d\d|\d\d)"
    r"|(?:18|19|20)\d\d(?:0\d|1[0-2])[0-3]\d"
    r"|(?:18|19|20)\d\d ?[年년] ?[01]?\d ?[月월] ?[0-3]?\d ?[日일]"
    rf"|(?:{_MONTHS})\.? [0-3]?\d(?:st|nd|rd|th)?,? (?:18|19|20)\d\d"
    rf"|[0-3]?\d(?:st|nd|rd|th|er|º)?\.?(?: de | of |[ -])(?:{_MONTHS})\.?(?:(?: de |,? |-)(?:18|19|20)\d\d|-\d\d))"
)
_WORDS = (
    r"d\.?o\.?b\.?|birth[ _-]?(?:date|day)s?|date[ _-]?of[ _-]?birth|dateofbirth|born(?: on| in)?|bday|"
    r"geburts(?:datum|tag)|geboren(?: am)?|geb\.?|date de naissance|n[ée]e? le|naissance|"
    r"fecha de nacimiento|naci[óo]?(?: el)?|nacid[oa](?: el)?|nacimiento|data di nascita|nat[oa](?: il)?|nascita|"
    r"data de nascimento|nasci(?: em)?|nascid[oa](?: em)?|nascimento|geboortedatum|geboren op|"
    r"data urodzenia|urodzon[ya]|urodzenia|ur\.|f[öo]delsedatum|f[öo]dd(?: den)?|fødselsdato|født|syntymäaika|"
    r"do[ğg]um(?: tarihi(?:m)?| günü)?|do[ğg]du|"
    r"生年月日|誕生日|出生日期|生日|出生|생년월일|생일|дата рождения|родил(?:ся|ась)|"
    r"जन्म(?: ?तिथि| दिनांक)?|تاريخ الميلاد"
)
_STEMS = (
    *(
        "birth",
        "born",
        "bday",
        "d.o.b",
        "geburt",
        "geboren",
        "geb.",
        "naissance",
        "né le",
        "née le",
        "ne le",
        "nee le",
        "nacimiento",
    ),
    *(
        "naci",
        "nací",
        "nascita",
        "nato",
        "nata",
        "nasci",
        "nascimento",
        "geboorte",
        "urodz",
        "ur. ",
        "födel",
        "fodel",
        "född",
    ),
    *(
        "fodd",
        "fødsel",
        "født",
        "syntym",
        "doğum",
        "dogum",
        "doğdu",
        "dogdu",
        "生年月日",
        "誕生日",
        "出生",
        "生日",
        "生まれ",
    ),
    *("생년월일", "생일", "дата рождения", "родил", "जन्म", "الميلاد"),
)
"""What one of these words begins with."""
_AFTER = r"geboren|born|doğdu|doğumlu|に生まれ|生まれ|出生|生"


_BEFORE, _BEHIND = 40, 100
"""Characters around a word in which a date is looked for."""


class DateOfBirthDetector:
    """Finds dates beside a word for birth, in numbers and with names of months in eleven languages."""

    name = "date_of_birth"

    def __init__(self) -> None:
        self._words = Regex(rf"(?i)(?:{_WORDS}|{_AFTER})")
        self._date = Regex(rf"(?i)(?:^|[^0-9\pL.-])({_DATE})(?:$|[^0-9-])")
        self._only = Regex(rf"(?i)^{_DATE}$")
        self._context = Context(_WORDS)
        self._behind = Regex(rf"(?i)^\s?(?:{_AFTER})")
        self.prefilter: Sequence[str] = (*any_case(_STEMS), r"[Dd][Oo][Bb][^A-Za-z]")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the dates of birth in a text."""
        stop = 0
        for word in self._words.distinct(text):
            start = max(stop, word.spans[0][0] - _BEFORE)
            stop = min(len(text), word.spans[0][1] + _BEHIND)
            yield from self._near(text, start, stop)
        for start, end in cells_below(text, self._words):
            if self._only.search(text[start:end]):
                yield Finding(start, end, "DATE_OF_BIRTH", self.name)

    def _near(self, text: str, start: int, stop: int) -> Iterator[Finding]:
        for match in self._date.matches(text[start:stop]):
            begin, end = start + match.spans[1][0], start + match.spans[1][1]
            if self._context.is_beside(text, begin, end) or self._behind.search(text[end : end + _BEFORE]):
                yield Finding(begin, end, "DATE_OF_BIRTH", self.name)


DATE_OF_BIRTH = DateOfBirthDetector()
_PASSPORTS = (
    *(
        "passport",
        "reisepass",
        "passeport",
        "pasaporte",
        "passaport",
        "paspoort",
        "paszport",
        "pasaport",
        "passnummer",
        "passnr",
    ),
    *("パスポート", "护照", "護照", "여권", "паспорт"),
)
PASSPORT = NumberDetector(
    "passport",
    (
        Shape(
            r"\b(?:[A-Z]{1,2} ?\d{6,8}|\d{8,9}|[A-Z]{3}\d{6}|\d{2}[A-Z]{2}\d{5}|[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8})\b",
            needs_context=True,
        ),
    ),
    None,
    r"passports?(?:[ _-]?(?:number|num|no|nr|id))?|passport\w*|reisepass(?:nummer)?|passeport|pasaporte|passaporto|"
    r"passaporte|paspoort(?:nummer)?|"
    r"paszportu?|pasaport|pass(?:nummer|nr)|パスポート(?:番号)?|[护護]照(?:号码?)?|여권|паспорт\pL*|पासपोर्ट",
    type="PASSPORT",
    prefilter=(*any_case(_PASSPORTS), "पासपोर्ट"),
)
