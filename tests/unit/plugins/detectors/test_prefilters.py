"""Prefilters decide what a text costs, never what is found in it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pii import all_detectors, lines
from untrace_pipeline.api import Detector, Finding, load_detector
from untrace_plugins.detectors.detector_set import DetectorSet
from untrace_plugins.detectors.names import resolve

VALUES = (
    *(
        "jane.doe@example.com",
        "jane (at) example (dot) com",
        "jane at example dot com",
        "jane @ example.com",
        "josé@ñandú.es",
    ),
    *(
        "+49 171 53900695",
        "0171 539 006 95",
        "(512) 555-0143",
        "303-555-0143",
        "01 99 00 53 03",
        "+1.404.555.0128",
        "555 0143",
    ),
    *(
        "4111 1111 1111 1111",
        "378282246310005",
        "4111\n1111\n1111\n1111",
        "DE89 3704 0044 0532 0130 00",
        "de89370400440532013000",
    ),
    *(
        "536-90-4399",
        "536904399",
        "536 90 4399",
        "AB 12 34 56 C",
        "79 356 091 823",
        "2 54 02 76 953 683 08",
        "12345678Z",
        "X1234567L",
    ),
    *(
        "RSSMRA85T10A562S",
        "44051401359",
        "529.982.247-25",
        "52998224725",
        "2341 2341 2346",
        "ABCPE1234F",
        "046-454-286",
        "111222333",
    ),
    *(
        "203.0.113.42",
        "2001:db8::1",
        "::ffff:16.63.174.116",
        "fe80::1",
        "ac:54:22:99:7c:52",
        "AC-54-22-99-7C-52",
        "3cab.cd9d.3e7d",
    ),
    *(
        "postgres://app:s3cr3t!x@db:5432/app",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "AKIAIOSFODNN7EXAMPLE",
        "sk-proj-Zx9Tq2LmN8vRf4KpWc7Yb",
    ),
    *(
        "Bearer 3FmYVsVcPY9bT_FuyYS41SX_GIQSURKYRFwF",
        "Basic dXNlcjpwYXNzd29yZDE=",
        "curl -u app:x1f7SI~W8Qn",
        "mysql -u a -pHunter22x",
    ),
    *(
        "docker login -u a -p Hunter22x",
        "--password Hunter22x",
        "Rocket3737!",
        "hunter2",
        "monkey-marble_943",
        "2f87dc4fa69abb8e6a3ded4f23d794f3",
    ),
    *(
        "1987-12-23",
        "January 4, 1989",
        "4 February 1952",
        "2007年1月7日",
        "10. September 1949",
        "01/02/1960",
        "Y44252237",
        "398705336",
    ),
    *(
        "1Br266uiwdtABfkJrZXPGfqFtdRupjmBKc",
        "bc1qc4xnffdt5m6e9h8lxl4a95xmdntcnkngspt682",
        "0xB32d931E2fd5DE3103DB34dc7d653B9A8F254D7B",
    ),
    *("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.c2ln", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"),
    *(
        "one two one two five five five zero one three four",
        "131052-308T",
        "131052A308T",
        "S1234567D",
        "12.345.678-5",
        "756.9217.0769.85",
    ),
)
WORDS = (
    *(
        "password",
        "PASSWORD",
        "Passwort lautet",
        "my password is",
        "パスワードは",
        "пароль:",
        "ПАРОЛЬ:",
        "Şifre",
        "pw:",
        "Kennwort ist",
        "requirepass",
        "password (new):",
        "me at",
        "hasło to",
        "pwd=",
        "db_pass:",
    ),
    *(
        "api_key",
        "token",
        "secret:",
        "api key is",
        "APIキーは",
        "authorization",
        "clé API :",
        "SECRET",
        "aws_secret_access_key",
    ),
    *(
        "date of birth",
        "born",
        "DOB",
        "Geburtsdatum:",
        "生年月日：",
        "née le",
        "FÖDD",
        "doğum tarihi",
        "geboren",
        "Nació el",
    ),
    *(
        "SSN",
        "ssn",
        "BSN:",
        "TFN",
        "SIN",
        "passport no.",
        "Reisepass",
        "NINO",
        "PESEL",
        "dni",
        "Aadhaar",
        "PAN",
        "pan_number",
    ),
    *(
        "phone",
        "Tel.",
        "call me at",
        "電話",
        "mobile:",
        "fax",
        "order number",
        "version",
        "the",
        "and",
        "id",
        "total_tokens",
    ),
)
JOINTS = (
    " ",
    ": ",
    "=",
    '": "',
    '","',
    "\n",
    ", ",
    " | ",
    "\t",
    " is ",
    "(",
    ")",
    "\\n",
    '\\"',
    "\\\\n",
    "：",
    "&",
    "?x=",
    "<",
    ">",
    "。",
    "é",
    "\u200b",
)
ESCAPES = str.maketrans({"@": "\\u0040", "/": "\\/", '"': '\\"', "\n": "\\n"})
fragments = st.one_of(
    st.sampled_from(VALUES), st.sampled_from(WORDS), st.sampled_from(JOINTS), st.text("a1 -.:/@é\\u0%&;世", max_size=6)
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Values, words that announce them and what stands between, as they are or as something escaped them."""
    text = "".join(draw(st.lists(fragments, min_size=1, max_size=14)))
    match draw(st.integers(0, 5)):
        case 0:
            return text.translate(ESCAPES)
        case 1:
            return text.replace("@", "%40").replace("+", "%2B")
        case 2:
            return text.replace("@", "＠").replace("1", "１").replace(" ", "\u00a0").replace("-", "–")
        case 3:
            return text.replace("@", "&#64;")
    return text


class Unfiltered:
    """A detector that looks at every text."""

    prefilter = (r"(?s:.)",)

    def __init__(self, detector: Detector) -> None:
        self.name = detector.name
        self._detector = detector

    def find(self, text: str) -> Iterable[Finding]:
        """Return what the detector finds."""
        return self._detector.find(text)


@cache
def unfiltered() -> DetectorSet:
    """Return all detectors, without their prefilters."""
    return DetectorSet([Unfiltered(load_detector(name)) for name in resolve(["all"])])


@settings(max_examples=400, deadline=None)
@given(texts())
def test_nothing_is_missed(text: str) -> None:
    """The same is found with prefilters and without."""
    assert all_detectors().find(text) == unfiltered().find(text)


def test_nothing_is_missed_in_the_corpus() -> None:
    """The same is found in every line of the corpus."""
    for row in lines():
        assert all_detectors().find(row["text"]) == unfiltered().find(row["text"]), row["id"]
