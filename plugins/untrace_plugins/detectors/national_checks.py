"""Check digits and structure of national identification numbers in compact form: letters and digits, upper case."""

# ruff: noqa: PLR2004  weights and moduli are those of the issuing authorities
from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from untrace_plugins.detectors.checksums import is_date, iso7064_mod11_10, luhn, verhoeff, weighted

__all__ = [
    "au_tfn",
    "be_national_number",
    "br_cpf",
    "ca_sin",
    "ch_ahv",
    "cl_rut",
    "cn_resident_id",
    "de_tax_id",
    "es_dni",
    "fi_hetu",
    "fr_nir",
    "in_aadhaar",
    "it_codice_fiscale",
    "kr_rrn",
    "mx_curp",
    "nl_bsn",
    "no_fodselsnummer",
    "pl_pesel",
    "se_personnummer",
    "sg_nric",
    "tr_kimlik",
    "uk_nhs",
    "uk_nino",
    "us_itin",
    "us_ssn",
]


def us_ssn(number: str) -> bool:
    """Area, group and serial that are issued (20 CFR 422.103): not 000, 666, 9xx; not 00; not 0000."""
    area, group, serial = number[:3], number[3:5], number[5:]
    return area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"


def us_itin(number: str) -> bool:
    """Taxpayer number of the IRS: 9xx, fourth and fifth digit in the ranges that are issued."""
    group = int(number[3:5])
    return number[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def uk_nino(number: str) -> bool:
    """Prefix that is issued (HMRC, NIM39110)."""
    return number[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def uk_nhs(number: str) -> bool:
    """Modulus 11 over ten digits."""
    check = 11 - weighted(number[:9], range(10, 1, -1)) % 11
    return check % 11 == int(number[9]) if check != 10 else False


def de_tax_id(number: str) -> bool:
    """Exactly one digit occurs twice or three times in the first ten; ISO 7064 MOD 11,10 (BZSt)."""
    counts = Counter(number[:10]).values()
    return (
        number[0] != "0"
        and sorted(counts)[-1] in {2, 3}
        and sum(n > 1 for n in counts) == 1
        and iso7064_mod11_10(number)
    )


def fr_nir(number: str) -> bool:
    """Key 97 - n mod 97; the departments of Corsica count as 19 and 18."""
    month = int(number[3:5])
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return (
        (1 <= month <= 12 or 20 <= month <= 42 or month >= 50)
        and body.isdigit()
        and 97 - int(body) % 97 == int(number[13:])
    )


def es_dni(number: str) -> bool:
    """Letter number mod 23; X, Y, Z of an NIE count as 0, 1, 2."""
    body = number[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(body) % 23] == number[-1]


_CODICE_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ),
        strict=True,
    )
)


def it_codice_fiscale(number: str) -> bool:
    """Check letter (D.M. 23.12.1976)."""
    odd = sum(_CODICE_ODD[char] for char in number[:15:2])
    even = sum(int(char) if char.isdigit() else ord(char) - ord("A") for char in number[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == number[15]


def pl_pesel(number: str) -> bool:
    """Date of birth with the century in its month, and check digit."""
    century, month = divmod(int(number[2:4]), 20)
    year = (1900, 2000, 2100, 2200, 1800)[century] + int(number[:2])
    return is_date(year, month, int(number[4:6])) and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def br_cpf(number: str) -> bool:
    """Two check digits modulo 11; not all digits equal."""
    first = weighted(number[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(number[:10], range(11, 1, -1)) * 10 % 11 % 10
    return number[9:] == f"{first}{second}" and len(set(number)) > 1


def in_aadhaar(number: str) -> bool:
    """Verhoeff; never begins with 0 or 1."""
    return number[0] not in "01" and verhoeff(number)


def ca_sin(number: str) -> bool:
    """Luhn; 0 and 8 do not begin one for a person, but are seen."""
    return luhn(number) and len(set(number)) > 1


def nl_bsn(number: str) -> bool:
    """The eleven test, last digit counted negative."""
    return weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(number)) > 1


def au_tfn(number: str) -> bool:
    """Weighted sum modulo 11."""
    return weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(number)) > 1


def se_personnummer(number: str) -> bool:
    """Date of birth (day + 60 in a coordination number) and Luhn over the last ten digits."""
    short = number[-10:]
    day = int(short[4:6])
    return is_date(2000, int(short[2:4]), day - 60 if day > 60 else day) and luhn(short)


def fi_hetu(number: str) -> bool:
    """Date of birth, individual number, check character modulo 31; ``number`` has nine digits and the character."""
    digits = number[:6] + number[-4:-1]
    return (
        is_date(2000, int(digits[2:4]), int(digits[:2]))
        and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == number[-1]
    )


def no_fodselsnummer(number: str) -> bool:
    """Date of birth and two check digits modulo 11."""
    day = int(number[:2])
    first = 11 - weighted(number[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = 11 - weighted(number[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return is_date(2000, int(number[2:4]), day - 40 if day > 40 else day) and number[9:] == f"{first % 11}{second % 11}"


def be_national_number(number: str) -> bool:
    """Key 97 - n mod 97, with a 2 before n for who is born since 2000."""
    body, key = int(number[:9]), int(number[9:])
    return key in {97 - body % 97, 97 - (2_000_000_000 + body) % 97}


def ch_ahv(number: str) -> bool:
    """EAN-13 with the country code 756."""
    return number.startswith("756") and weighted(number, (1, 3) * 6 + (1,)) % 10 == 0


def tr_kimlik(number: str) -> bool:
    """Two check digits; does not begin with 0."""
    odd, even = sum(map(int, number[:9:2])), sum(map(int, number[1:8:2]))
    return (
        number[0] != "0"
        and (odd * 7 - even) % 10 == int(number[9])
        and sum(map(int, number[:10])) % 10 == int(number[10])
    )


def kr_rrn(number: str) -> bool:
    """Date of birth and a digit for century and sex; the check digit is not used since 2020."""
    return is_date(2000, int(number[2:4]), int(number[4:6])) and number[6] in "12345678"


def cn_resident_id(number: str) -> bool:
    """Date of birth and ISO 7064 MOD 11-2."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return (
        is_date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        and "10X98765432"[weighted(number[:17], weights) % 11] == number[17]
    )


def cl_rut(number: str) -> bool:
    """Check character modulo 11."""
    total = weighted(reversed(number[:-1]), (2, 3, 4, 5, 6, 7, 2, 3))
    return "0K987654321"[total % 11] == number[-1]


def sg_nric(number: str) -> bool:
    """Check letter of an NRIC or FIN."""
    total = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if number[0] in "TG" else 3 if number[0] == "M" else 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}[
        number[0]
    ]
    return letters[total % 11] == number[8]


def mx_curp(number: str) -> bool:
    """Date of birth and check digit."""
    alphabet = "0123456789ABCDEFGHIJKLMN_OPQRSTUVWXYZ"
    total = sum(alphabet.index(char) * weight for char, weight in zip(number[:17], range(18, 1, -1), strict=True))
    return is_date(2000, int(number[6:8]), int(number[8:10])) and (10 - total % 10) % 10 == int(number[17])


Check = Callable[[str], bool]
