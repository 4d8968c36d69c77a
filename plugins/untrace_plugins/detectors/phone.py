"""Telephone numbers: international (ITU-T E.164), and as they are written in many countries."""

# ruff: noqa: PLR2004  numbers of digits
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.context import Context, is_isolated
from untrace_plugins.detectors.gates import DIGITS, any_case
from untrace_plugins.detectors.regex import Regex

__all__ = ["PHONE", "PhoneDetector"]

_NATIONAL_DIGITS = {
    code: limits
    for limits, codes in {
        (6, 11): "39",
        (6, 13): "43 49",
        (7, 10): "46 95",
        (8, 8): "45 47 53 65",
        (8, 9): "32 36 51 66",
        (8, 10): "20 57 60 63 64 82",
        (8, 12): "62",
        (9, 9): "27 31 33 34 40 41 48 56 61 93 94",
        (9, 10): "44 81 84 92",
        (9, 11): "86",
        (10, 10): "1 7 30 58 90 91 98",
        (10, 11): "52 54 55",
    }.items()
    for code in codes.split()
}
"""Digits behind the country code (national numbering plans at the ITU)."""
_OTHER_CODES = re.compile(
    r"2[1-69]\d|3[578]\d|37\d|42[013]|50\d|59\d|6[7-9]\d|800|85[0-35-6]|8[78]\d|9[679]\d",
)
"""Codes of three digits; behind them come six to twelve."""

_STRONG = (
    r"tel|tel\.|telephones?|phones?|cellphones?|cell|mobiles?|fax|telefax|sms|whatsapp|signal|dial|ring(?: me| us)?|"
    r"voicemail|hotline|caller[ _-]?id|"
    r"phone[ _-]?(?:number|num|no|nr)s?|phonenumber|mobile[ _-]?(?:number|num|no|nr|phone)|msisdn|(?:call|text|phone|"
    r"ring|reach)(?:ing|ed)? (?:me|us|him|her|them|back)|call|"
    r"telefon(?:nummer|nr)?|handy(?:nummer|nr)?|mobil(?:e|nummer|telefon|funk)?|rufnummer|durchwahl|erreich(?:en|"
    r"bar)|anrufen|ruf(?:en)? (?:sie|mich)|"
    r"t[ée]l[ée]phone|t[ée]l|portable|appel(?:ez|er|le)(?:[ -]moi)?|joindre|joignable|"
    r"tel[ée]fono|m[óo]vil|celular|ll[áa]m(?:a|e|ar)(?:me|nos)?|telefone|telem[óo]vel|lig(?:ue|ar|a)|fone|"
    r"cellulare|chiam(?:a|ami|are|atemi)|telefoon(?:nummer)?|mobiel(?:e)?|bel(?:len)?(?: me| mij| ons)?|gsm|"
    r"telefonu|kom[óo]rk[aię]|kom[óo]rkowy|zadzwo[ńn]|dzwoni[ćc]|telefonnumret?|mobilnummer|ring(?:a)?(?: mig| oss)?|"
    r"puhelin|"
    r"telefonum|telefonu|cep|aray[ıi]n|numaram|電話(?:番号)?|携帯(?:電話)?(?:番号)?|电话(?:号码)?|手机(?:号码?)?|電話號碼|전화(?:번호)?|휴대폰|"
    r"телефон\pL*|тел\.?|फ़?ोन|फोन|मोबाइल|هاتف|جوال|☎|📞|📱"
)
_EXTENSION = r"(?:,? ?(?:x|ext\.?|extension|#) ?\d{1,6})?"
"""What leads to a desk within an office."""
_EXTENDED = re.compile(_EXTENSION + r"\Z")
_POSTCODE = re.compile(r"\d{5}-\d{4}\Z")
"""Of the United States, with four more digits."""
_MATH = Regex(r"(?i)(?:compute|calculate|evaluate|check|why is|what is|solve|sum| = |[*+/%^])[:\s]{0,3}$")
_MATH_AFTER = Regex(r"(?i)^\s{0,2}(?:=|evaluates|equals|is equal|[*/^%]|[+-]\s?\d)")
_OTHER = Regex(
    r"(?i)(?:isbn|issn|doi|order|ref(?:erence)?|invoice|ticket|serial|tracking|part|sku|id|zip|ean|upc|gtin|"
    r"barcode|version)[^0-9\n]{0,12}$"
)
_DATE = Regex(r"^(?:(?:19|20)\d\d[-/. ]?[01]?\d[-/. ]?[0-3]?\d|[0-3]?\d[-/.][01]?\d[-/.](?:19|20)\d\d)(?:\D|$)")
_DIGIT_WORDS = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_NAMES = (
    "tel|telephone|phone|mobile|mobil|fax|cell|me at|me on|telefon|handy|téléphone|teléfono|telefono|móvil|"
    "電話|携帯|电话|手机|전화|телефон"
)
"""Words beside which fewer than nine digits are a number."""
_SHORT, _BEFORE = 9, 32


class PhoneDetector:
    """Finds numbers with a country code, in the usual groups of a country, or beside a word for telephones."""

    name = "phone"

    def __init__(self) -> None:
        self._forms: tuple[tuple[Regex, Callable[[str, int, int], bool]], ...] = (
            (Regex(r"(?:\+|\b00) ?[1-9]\d{0,2}(?:[ .\-/]{0,2}\(?\d{1,5}\)?){2,7}" + _EXTENSION), _is_international),
            (
                Regex(r"(?:\b1[ .-])?(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}[.-])[2-9]\d{2}[.-]\d{4}" + _EXTENSION + r"\b"),
                _is_north_american,
            ),
            (Regex(r"\(?\b0[1-9]\d{0,3}\)?(?:[ ./-]{1,3}\d{2,8}){1,5}\b|\(\d{2}\) ?9?\d{4}-\d{4}\b"), _is_national),
        )
        self._any = Regex(r"[(+]{0,2}\d(?:[ .\-/()]{0,2}\d){6,14}" + _EXTENSION)
        self._spelled = Regex(rf"(?i)\b(?:{_DIGIT_WORDS})(?: (?:{_DIGIT_WORDS})){{6,14}}\b")
        self._context = Context(_STRONG)
        self._near = Regex(rf"(?i)(?:{_NAMES})[^0-9\n]{{1,12}}$")
        self.prefilter: Sequence[str] = (
            DIGITS,
            rf"(?:{'|'.join(any_case(_NAMES.split('|')))})[^0-9\n]{{1,12}}\d",
            *any_case(f"{one} {other}" for one in _DIGIT_WORDS.split("|") for other in _DIGIT_WORDS.split("|")),
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the numbers in a text."""
        for regex, is_number in self._forms:
            last = 0
            for match in regex.matches(text):
                start, end = _balanced(text, *match.spans[0])
                if start >= last and is_number(text, start, end):
                    last = end
                    yield Finding(start, end, "PHONE", self.name)
        if self._context.occurs_in(text):
            for match in self._any.distinct(text):
                start, end = _balanced(text, *match.spans[0])
                if self._is_announced(text, start, end):
                    yield Finding(start, end, "PHONE", self.name)
        for match in self._spelled.distinct(text):
            yield Finding(*match.spans[0], "PHONE", self.name)

    def _is_announced(self, text: str, start: int, end: int) -> bool:
        digits = _digits(text[start:end])
        if not (7 <= len(digits) <= 15 and is_isolated(text, start, end)) or _is_date(text[start:end]):
            return False
        if len(digits) < _SHORT:
            return self._near.search(text[max(0, start - _BEFORE) : start])
        return self._context.is_beside(text, start, end) and not _OTHER.search(text[max(0, start - 24) : start])


def _balanced(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without a bracket at its border that belongs to what stands around it."""
    surplus = text.count("(", start, end) - text.count(")", start, end)
    return start + (surplus > 0 and text[start] == "("), end - (surplus < 0 and text[end - 1] == ")")


def _digits(number: str) -> str:
    """Return the digits without those of an extension."""
    return "".join(filter(str.isdigit, _EXTENDED.sub("", number)))


def _is_date(value: str) -> bool:
    return _DATE.search(value)


def _is_international(text: str, start: int, end: int) -> bool:
    if text[start] == "+":
        before = text[start - 1 : start]
        if (before.isalnum() and before.isascii()) or before in {")", "_", "+"}:
            return False
    elif not is_isolated(text, start, end) or _OTHER.search(text[max(0, start - 24) : start]):
        return False
    after = text[end : end + 1]
    if after.isalnum() and after.isascii():
        return False
    digits = _digits(text[start:end].replace("(0)", ""))
    if text[start] != "+":
        digits = digits[2:]
    return _has_country(digits)


def _has_country(digits: str) -> bool:
    for width in (1, 2):
        limits = _NATIONAL_DIGITS.get(digits[:width])
        if limits is not None:
            national = digits[width:]
            return limits[0] <= len(national) - national.startswith("0") and len(national) <= limits[1] + 1
    return _OTHER_CODES.match(digits) is not None and 6 <= len(digits) - 3 <= 12


def _is_north_american(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    digits = _digits(value)[-10:]
    if digits[1:3] == "11" or digits[4:6] == "11" or ("." in value and "-" in value):
        return False
    if not is_isolated(text, start, end):
        return False
    return not (_MATH.search(text[max(0, start - 24) : start]) or _MATH_AFTER.search(text[end : end + 16]))


def _is_national(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    is_postcode = _POSTCODE.match(value) is not None
    return 9 <= len(_digits(value)) <= 12 and is_isolated(text, start, end) and not (is_postcode or _is_date(value))


PHONE = PhoneDetector()
