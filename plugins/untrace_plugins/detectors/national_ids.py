"""Numbers by which states know people: structure, check digits where there are any, and words where those are weak."""

from __future__ import annotations

from untrace_plugins.detectors import national_checks as checks
from untrace_plugins.detectors.gates import DIGITS
from untrace_plugins.detectors.numbers import NumberDetector, Shape

__all__ = [
    "AU_TFN",
    "BE_NATIONAL_NUMBER",
    "BR_CPF",
    "CA_SIN",
    "CH_AHV",
    "CL_RUT",
    "CN_RESIDENT_ID",
    "DE_TAX_ID",
    "ES_DNI",
    "FI_HETU",
    "FR_NIR",
    "IN_AADHAAR",
    "IN_PAN",
    "IT_CODICE_FISCALE",
    "KR_RRN",
    "MX_CURP",
    "NL_BSN",
    "NO_FODSELSNUMMER",
    "PL_PESEL",
    "SE_PERSONNUMMER",
    "SG_NRIC",
    "TR_KIMLIK",
    "UK_NHS",
    "UK_NINO",
    "US_ITIN",
    "US_SSN",
]

_DIGITS_LETTER = r"\d{7}[ -]?[A-Za-z]"

US_SSN = NumberDetector(
    "us_ssn",
    (
        Shape(r"\b\d{3}-\d{2}-\d{4}\b"),
        Shape(r"\b\d{3}[ .]\d{2}[ .]\d{4}\b", needs_context=True),
        Shape(r"\b\d{9}\b", needs_context=True),
        Shape(r"\b\d(?: \d){8}\b", needs_context=True),
    ),
    checks.us_ssn,
    (
        r"ssn|ss#|socials?|social[ _-]?security(?:[ _-]?(?:number|num|no|nr))?|socialsecurity\w*|taxpayer(?:[ _-]?id)?|"
        r"seguro social|社会保障"
    ),
)
US_ITIN = NumberDetector(
    "us_itin",
    (Shape(r"\b9\d{2}-\d{2}-\d{4}\b"), Shape(r"\b9\d{2} ?\d{2} ?\d{4}\b", needs_context=True)),
    checks.us_itin,
    r"itin|taxpayer|tax[ _-]?id",
)
UK_NINO = NumberDetector(
    "uk_nino",
    (
        Shape(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D]\b"),
        Shape(
            r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D]\b", needs_context=True
        ),
    ),
    checks.uk_nino,
    r"nino|ni[ _-]?(?:number|no|nr)|national[ _-]?insurance(?:[ _-]?(?:number|num|no|nr))?|nationalinsurance\w*",
    prefilter=(r"\d\d[ -]?\d\d[ -]?\d\d[ -]?[A-Da-d]",),
)
UK_NHS = NumberDetector(
    "uk_nhs",
    (Shape(r"\b\d{3}[ -]?\d{3}[ -]?\d{4}\b", needs_context=True),),
    checks.uk_nhs,
    r"nhs(?:[ _-]?(?:number|no|nr))?",
)
DE_TAX_ID = NumberDetector(
    "de_tax_id",
    (Shape(r"\b[1-9]\d ?\d{3} ?\d{3} ?\d{3}\b"), Shape(r"\b[1-9]\d[ /.-]\d{3}[ /.-]\d{3}[ /.-]\d{3}\b")),
    checks.de_tax_id,
    r"steuer",
)
FR_NIR = NumberDetector(
    "fr_nir",
    (Shape(r"\b[1-478] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"),),
    checks.fr_nir,
    r"nir|s[ée]cu",
    prefilter=(
        DIGITS,
        r"2[AB] ?\d{3} ?\d{3}",
    ),
)
ES_DNI = NumberDetector(
    "es_dni",
    (
        Shape(r"\b(?:\d{8}|\d{1,2}\.\d{3}\.\d{3}|[XYZ][ -]?\d{7})[ -]?[A-HJ-NP-TV-Z]\b"),
        Shape(r"(?i)\b(?:\d{8}|[XYZ][ -]?\d{7})[ -]?[A-HJ-NP-TV-Z]\b", needs_context=True),
    ),
    checks.es_dni,
    r"dni|nie|nif|documento|identidad",
    prefilter=(
        _DIGITS_LETTER,
        r"\d{3}\.\d{3}[ -]?[A-Za-z]",
    ),
)
IT_CODICE_FISCALE = NumberDetector(
    "it_codice_fiscale",
    (Shape(r"(?i)\b[A-Z]{3} ?[A-Z]{3} ?\d\d[ABCDEHLMPRST]\d\d ?[A-Z]\d{3}[A-Z]\b"),),
    checks.it_codice_fiscale,
    r"codice|c\.? ?f\.?",
    prefilter=(r"\d\d[A-Za-z]\d\d ?[A-Za-z]\d{3}[A-Za-z]",),
)
PL_PESEL = NumberDetector("pl_pesel", (Shape(r"\b\d{11}\b", needs_context=True),), checks.pl_pesel, r"pesel")
BR_CPF = NumberDetector(
    "br_cpf",
    (Shape(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"), Shape(r"\b\d{3}[ .]?\d{3}[ .]?\d{3}[ -]?\d{2}\b", needs_context=True)),
    checks.br_cpf,
    r"cpf",
)
IN_AADHAAR = NumberDetector(
    "in_aadhaar",
    (Shape(r"\b[2-9]\d{3}[ -]\d{4}[ -]\d{4}\b", needs_context=True), Shape(r"\b[2-9]\d{11}\b", needs_context=True)),
    checks.in_aadhaar,
    r"aadh?aa?r(?:[ _-]?(?:number|no|nr|card))?|uidai|uid|आधार(?:[ _-]?(?:नंबर|संख्या|कार्ड))?",
)
IN_PAN = NumberDetector(
    "in_pan",
    (
        Shape(r"\b[A-Z]{3}[ABCFGHJLPTEK][A-Z]\d{4}[A-Z]\b"),
        Shape(r"(?i)\b[A-Z]{3}[ABCFGHJLPTEK][A-Z]\d{4}[A-Z]\b", needs_context=True),
    ),
    None,
    r"pan(?:[ _-]?(?:number|no|nr|card))?|permanent account(?: number)?|पैन",
    prefilter=(r"\d{4}[A-Za-z]",),
)
CA_SIN = NumberDetector(
    "ca_sin",
    (Shape(r"\b\d{3}-\d{3}-\d{3}\b", needs_context=True), Shape(r"\b\d{3}[ .]?\d{3}[ .]?\d{3}\b", needs_context=True)),
    checks.ca_sin,
    r"sin|nas|social[ _-]?insurance(?:[ _-]?(?:number|num|no|nr))?|socialinsurance\w*|assurance sociale",
)
NL_BSN = NumberDetector(
    "nl_bsn",
    (
        Shape(r"\b\d{4}[ .]?\d{2}[ .]?\d{3}\b", needs_context=True),
        Shape(r"\b\d{3}[ .]\d{3}[ .]\d{3}\b", needs_context=True),
    ),
    checks.nl_bsn,
    r"bsn|burgerservicenummers?|burger ?service|sofi(?:[ _-]?nummer)?|citizen service(?: number)?",
)
AU_TFN = NumberDetector(
    "au_tfn",
    (Shape(r"\b\d{3}[ -]?\d{3}[ -]?\d{3}\b", needs_context=True),),
    checks.au_tfn,
    r"tfn|tax[ _-]?file(?:[ _-]?(?:number|num|no|nr))?|taxfile\w*",
)
SE_PERSONNUMMER = NumberDetector(
    "se_personnummer",
    (Shape(r"\b(?:19|20)?\d{6}[-+]\d{4}\b"), Shape(r"\b(?:19|20)?\d{10}\b", needs_context=True)),
    checks.se_personnummer,
    r"personnummer|personnr|pnr|samordningsnummer",
)
FI_HETU = NumberDetector(
    "fi_hetu",
    (Shape(r"\b\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]\b"),),
    checks.fi_hetu,
    r"hetu|henkilötunnus",
    prefilter=(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]",),
)
NO_FODSELSNUMMER = NumberDetector(
    "no_fodselsnummer",
    (Shape(r"\b\d{6} ?\d{5}\b", needs_context=True),),
    checks.no_fodselsnummer,
    r"f[øo]dselsnummer|personnummer|fnr",
)
BE_NATIONAL_NUMBER = NumberDetector(
    "be_national_number",
    (Shape(r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b"), Shape(r"\b\d{11}\b", needs_context=True)),
    checks.be_national_number,
    r"rijksregister(?:nummer)?|registre national|national register|nrn|insz|niss",
)
CH_AHV = NumberDetector("ch_ahv", (Shape(r"\b756\.?\d{4}\.?\d{4}\.?\d{2}\b"),), checks.ch_ahv, r"ahv|avs")
TR_KIMLIK = NumberDetector(
    "tr_kimlik",
    (Shape(r"\b[1-9]\d{10}\b", needs_context=True),),
    checks.tr_kimlik,
    r"t\.?c\.?|tckn|kimlik(?: (?:no|numarası))?",
)
KR_RRN = NumberDetector("kr_rrn", (Shape(r"\b\d{6}-[1-8]\d{6}\b"),), checks.kr_rrn, r"주민등록번호|rrn")
CN_RESIDENT_ID = NumberDetector("cn_resident_id", (Shape(r"\b[1-9]\d{16}[0-9Xx]\b"),), checks.cn_resident_id, r"身份证")
CL_RUT = NumberDetector(
    "cl_rut",
    (Shape(r"\b\d{2}\.\d{3}\.\d{3}-[0-9Kk]\b"), Shape(r"\b\d{8}-[0-9Kk]\b", needs_context=True)),
    checks.cl_rut,
    r"rut|run",
    prefilter=(
        DIGITS,
        _DIGITS_LETTER,
    ),
)
SG_NRIC = NumberDetector(
    "sg_nric",
    (Shape(r"\b[STFGM]\d{7}[A-Z]\b"),),
    checks.sg_nric,
    r"nric|fin",
    prefilter=(_DIGITS_LETTER,),
)
MX_CURP = NumberDetector(
    "mx_curp",
    (Shape(r"\b[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d\b"),),
    checks.mx_curp,
    r"curp",
    prefilter=(r"\d{6}[HMX][A-Z]{5}",),
)
