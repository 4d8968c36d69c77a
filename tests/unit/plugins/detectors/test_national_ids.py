"""National ids: the numbers that authorities publish as examples are found, and those with a wrong digit are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.api import load_detector
from untrace_plugins.detectors import checksums
from untrace_plugins.detectors import national_checks as checks
from untrace_plugins.detectors.names import GROUPS

NUMBERS = {
    "us_ssn": ("SSN", "536-90-4399", "536 90 4399", "536904399", "5 3 6 9 0 4 3 9 9"),
    "us_itin": ("ITIN", "912-70-1234"),
    "uk_nino": ("National Insurance number", "AB123456C", "AB 12 34 56 C", "ab123456c"),
    "uk_nhs": ("NHS number", "943 476 5919", "9434765919"),
    "de_tax_id": ("Steuer-ID", "86095742719", "47 036 892 816"),
    "fr_nir": ("NIR", "2 55 08 14 168 025 38", "255081416802538"),
    "es_dni": ("DNI", "12345678Z", "12345678-Z", "X1234567L", "12345678z"),
    "it_codice_fiscale": ("codice fiscale", "RSSMRA85T10A562S", "rssmra85t10a562s"),
    "pl_pesel": ("PESEL", "44051401359"),
    "br_cpf": ("CPF", "529.982.247-25", "52998224725"),
    "in_aadhaar": ("Aadhaar", "9999 4105 7058", "999941057058"),
    "in_pan": ("PAN", "ABCPE1234F", "abcpe1234f"),
    "ca_sin": ("SIN", "046 454 286", "046-454-286", "046454286"),
    "nl_bsn": ("BSN", "111222333", "1112.22.333"),
    "au_tfn": ("TFN", "123 456 782", "123456782"),
    "se_personnummer": ("personnummer", "811218-9876", "19811218-9876"),
    "fi_hetu": ("hetu", "131052-308T", "131052A308T"),
    "no_fodselsnummer": ("fødselsnummer", "15076500565", "150765 00565"),
    "be_national_number": ("rijksregisternummer", "85.07.30-033.28", "85073003328"),
    "ch_ahv": ("AHV", "756.9217.0769.85", "7569217076985"),
    "tr_kimlik": ("TC kimlik no", "10000000146"),
    "kr_rrn": ("주민등록번호", "790101-1234567"),
    "cn_resident_id": ("身份证", "11010519491231002X"),
    "cl_rut": ("RUT", "12.345.678-5"),
    "sg_nric": ("NRIC", "S1234567D"),
    "mx_curp": ("CURP", "HEGG560427MVZRRL04"),
}
"""A word that announces it, and ways to write it."""
UNCHECKED = {"in_pan", "kr_rrn", "us_ssn", "us_itin", "uk_nino"}
"""Those without a check digit."""


def found(name: str, text: str) -> list[str]:
    return [text[finding.start : finding.end] for finding in load_detector(name).find(text)]


def test_every_national_id_has_an_example() -> None:
    """No detector of the group is without a number here."""
    assert set(NUMBERS) == set(GROUPS["national_id"])


@pytest.mark.parametrize("name", NUMBERS)
def test_published_numbers_are_found(name: str) -> None:
    """Beside its word a number is found in each of its spellings, as a whole."""
    word, *values = NUMBERS[name]
    for value in values:
        for text in (
            f"{word}: {value}.",
            f'{{"{word}": "{value}"}}',
            f"the {word} {value} is here",
            f"{value} ({word})",
        ):
            assert value in found(name, text), text


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - UNCHECKED))
def test_wrong_check_digit(name: str) -> None:
    """With another last character, of the same kind, it is none."""
    word, *values = NUMBERS[name]
    for value in values:
        digits = "0123456789" if value[-1].isdigit() else "ABCDEFGHJKLMNPQRSTVWXYZ"
        others = [value[:-1] + other for other in digits if other != value[-1].upper()]
        wrong = [other for other in others if other in found(name, f"{word}: {other}.")]
        assert not wrong


@pytest.mark.parametrize("name", NUMBERS)
def test_never_within_a_longer_number(name: str) -> None:
    """A part of a longer row of characters is no number."""
    word, *values = NUMBERS[name]
    for value in values:
        for text in (f"{word}: 7{value}", f"{word}: {value}7", f"{word}: x{value}y", f"{word} 0.7{value}"):
            assert value not in found(name, text)


@pytest.mark.parametrize(
    "name",
    [
        "us_ssn",
        "uk_nhs",
        "nl_bsn",
        "au_tfn",
        "ca_sin",
        "tr_kimlik",
        "no_fodselsnummer",
        "pl_pesel",
        "br_cpf",
        "in_aadhaar",
    ],
)
def test_weak_numbers_need_their_word(name: str) -> None:
    """A bare number that one of ten passes for is left alone, but for a word beside it or at the head of its column."""
    word, *values = NUMBERS[name]
    value = values[-1]
    assert found(name, f"Order {value} was shipped.") == []
    assert found(name, f"{word}: none, order: {value}") == []
    assert found(name, f"name,{word},city\nA,{value},B\n") == [value]
    assert found(name, f"| id | {word} |\n|---|---|\n| 7 | {value} |\n") == [value]


@given(st.text("0123456789", min_size=1, max_size=24))
def test_luhn_has_one_check_digit(body: str) -> None:
    """Exactly one last digit is right, and swapping it for another is noticed."""
    assert sum(checksums.luhn(body + digit) for digit in "0123456789") == 1


@given(st.text("0123456789", min_size=1, max_size=20))
def test_verhoeff_has_one_check_digit(body: str) -> None:
    """Exactly one last digit is right."""
    assert sum(checksums.verhoeff(body + digit) for digit in "0123456789") == 1


@given(st.text("0123456789", min_size=10, max_size=10))
def test_steuer_id_has_one_check_digit(body: str) -> None:
    """At most one last digit is right."""
    assert sum(checks.de_tax_id(body + digit) for digit in "0123456789") <= 1


@given(st.text("0123456789", min_size=9, max_size=9))
def test_cpf_has_one_pair_of_check_digits(body: str) -> None:
    """At most one pair of check digits is right."""
    assert sum(checks.br_cpf(f"{body}{pair:02}") for pair in range(100)) <= 1


@given(st.text("0123456789", min_size=13, max_size=13).filter(lambda body: 1 <= int(body[3:5]) <= 12))
def test_nir_has_one_key(body: str) -> None:
    """Exactly one key is right."""
    assert sum(checks.fr_nir(f"{body}{key:02}") for key in range(100)) == 1


@given(st.sampled_from(["DE", "GB", "FR"]), st.text("0123456789", min_size=18, max_size=18))
def test_iban_has_one_pair_of_check_digits(country: str, body: str) -> None:
    """Exactly one pair of check digits is right, of those that are given out: 02 to 98."""
    assert sum(checksums.mod97(f"{country}{pair:02}{body}") for pair in range(2, 99)) == 1
