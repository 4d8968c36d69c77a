"""Names of detectors as the configuration has them, and the words that stand for several."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from untrace_pipeline.api import installed_detectors

__all__ = ["GROUPS", "resolve"]

_SECRETS = ("private_key", "jwt", "api_key", "url_credentials", "password")
_NATIONAL_IDS = (
    "us_ssn",
    "us_itin",
    "uk_nino",
    "uk_nhs",
    "de_tax_id",
    "fr_nir",
    "es_dni",
    "it_codice_fiscale",
    "pl_pesel",
    "br_cpf",
    "in_aadhaar",
    "in_pan",
    "ca_sin",
    "nl_bsn",
    "au_tfn",
    "se_personnummer",
    "fi_hetu",
    "no_fodselsnummer",
    "be_national_number",
    "ch_ahv",
    "tr_kimlik",
    "kr_rrn",
    "cn_resident_id",
    "cl_rut",
    "sg_nric",
    "mx_curp",
)
_FINANCIAL = ("credit_card", "iban", "crypto_address")
_NETWORK = ("ip", "mac")
_CONTACT = ("email", "phone")
_PERSONAL = ("date_of_birth", "passport")

GROUPS: dict[str, tuple[str, ...]] = {
    "all": (*_SECRETS, *_FINANCIAL, *_NATIONAL_IDS, *_CONTACT, *_NETWORK, *_PERSONAL),
    "secrets": _SECRETS,
    "national_id": _NATIONAL_IDS,
    # GDPR, article 4 (1): any information relating to an identifiable person, online identifiers included (recital 30).
    "gdpr": (*_SECRETS, *_FINANCIAL, *_NATIONAL_IDS, *_CONTACT, *_NETWORK, *_PERSONAL),
    # CCPA, § 1798.140 (v): identifiers, among them IP address, account and passport number, social security number.
    "ccpa": (*_SECRETS, *_FINANCIAL, "us_ssn", "us_itin", *_CONTACT, *_NETWORK, *_PERSONAL),
    # HIPAA, 45 CFR 164.514 (b) (2): Safe Harbor; of its 18 identifiers those that a pattern can find.
    "hipaa": (*_SECRETS, "credit_card", "iban", "us_ssn", "us_itin", *_CONTACT, *_NETWORK, *_PERSONAL),
}
"""What stands for several detectors. ``all`` is all that come with the daemon and need no library of their own."""


def resolve(names: Iterable[str]) -> tuple[str, ...]:
    """Return the detectors that these names and groups mean, each once, in the order of precedence.

    Raises ``ValueError`` that says which name is unknown and which is meant. Nothing is imported.
    """
    installed = installed_detectors()
    wanted = {one for name in names for one in _members(name, installed)}
    first_party = [name for name in GROUPS["all"] if name in wanted]
    return (*first_party, *sorted(wanted.difference(first_party)))


def _members(name: str, installed: list[str]) -> tuple[str, ...]:
    if name in GROUPS:
        return GROUPS[name]
    if name in installed:
        return (name,)
    known = [*GROUPS, *installed]
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    msg = f"{name!r} is no installed detector{hint} Known are {', '.join(known)}"
    raise ValueError(msg)
