"""What each detector finds, and what it leaves alone."""

from __future__ import annotations

import pytest

from tests.support.pii import all_detectors
from untrace_pipeline.api import load_detector
from untrace_plugins.detectors.keccak import keccak256

FOUND = {
    "email": (
        "jane.doe+tag@mail.example.com", "JANE@EXAMPLE.COM", "josé@ñandú.es", "jane (at) example (dot) com", "jane[@]example[.]com",
        "jane at example dot com", "o'brien@example.ie",
    ),
    "phone": (
        "+1 (415) 555-0132", "415-555-0187", "(512) 555-0143", "+49 151 23456789", "0049 1512 3450438", "+44 20 7946 0035",
        "01-99-00-53-03", "+33612345995", "+81312345487", "+55 11 96123-4202", "+351 912 345 678", "+49 (0)30 123456",
    ),
    "credit_card": (
        "4111 1111 1111 1111", "5555555555554444", "3782-822463-10005", "6011111111111117", "3530111333300000", "30569309025904",
        "6200000000000005", "2223003122003222", "6759649826438453", "2200000000000004",
    ),
    "iban": ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "fr1420041010050500013m02606", "NL91ABNA0417164300", "MT84MALT011000012345MTLCAST001S"),
    "ip": ("203.0.113.42", "192.168.0.17", "2001:db8:85a3::8a2e:370:7334", "::ffff:16.63.174.116", "fe80::1ff:fe23:4567:890a"),
    "mac": ("ac:54:22:99:7c:52", "AC-54-22-99-7C-52", "3cab.cd9d.3e7d"),
    "jwt": ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0NzExIn0.c2lnbmF0dXJlLW9mLWEtdGVzdC10b2tlbg",),
    "private_key": (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAlq/oFlOi3HvnH7dW\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    "api_key": (
        "sk-proj-Zx9Tq2LmN8vRf4KpWc7YbHs3DgJt6QeUa1", "sk-ant-api03-Qm7Zt4Lp9WxKc2Vf8RbNy5HsTgJd", "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "xoxb-537189572825-3495629258732-uivgWYj3aCCX", "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",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv", "gsk_YLuQfgjTizNKkVhFlJqxaecHKL8y", "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",
        "glpat-lEJjpW1wpKM1zMRolgx2", "SG.PjOxwZ2cHNvxbz4zJAESwb.2AXxLaAsTjDDBaj0c_o3HAVSXHpNeSX32DdH", "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789",
    ),
    "crypto_address": (
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    ),
}  # fmt: skip
WITHIN = {
    "ip": {"ssh root@186.112.254.194": "186.112.254.194", "ssh ubuntu@10.0.0.5": "10.0.0.5"},
    "credit_card": {
        "card 180066437725677": "180066437725677",
        "Kreditkarte 3509513674308178": "3509513674308178",
    },
    "password": {
        'password = "Marble9788#"': "Marble9788#",
        "DB_PASSWORD=sunshine_pepper-740": "sunshine_pepper-740",
        "DB_PASSWORD=correct-horse": "correct-horse",
        "PASSWORD=v(cfyn9(pI44Pwu4": "v(cfyn9(pI44Pwu4",
        '{"password": "oTB2Qs3q("}': "oTB2Qs3q(",
        "pwd=MO&tRBwxT0V&dov": "MO&tRBwxT0V&dov",
        "password: $P8kLxMpL": "$P8kLxMpL",
        "    password: bSn3QBazH8\n": "bSn3QBazH8",
        'password: str = "Guit4r#961"': "Guit4r#961",
        "My password is Rocket3737! but it does not work": "Rocket3737",
        "Mein Passwort lautet monkey-marble_943.": "monkey-marble_943",
        "パスワードはB4n4n4x044です": "B4n4n4x044",
        "Hasło: M0nk3y#135": "M0nk3y#135",
        "Mein Kennwort ist M0nk3y#135.": "M0nk3y#135",
        "Mon mot de passe c'est M0nk3y#135": "M0nk3y#135",
        "Мой пароль M0nk3y#135": "M0nk3y#135",
        "log in as bob with password M0nk3y#135": "M0nk3y#135",
        "password is: M0nk3y#135": "M0nk3y#135",
        "Password (temporary): M0nk3y#135": "M0nk3y#135",
        '<add key="Password" value="M0nk3y#135"/>': "M0nk3y#135",
        "pw: M0nk3y#135": "M0nk3y#135",
        "<password>s3cr3t99</password>": "s3cr3t99",
        "Authorization: Basic dXNlcjpwYXNzd29yZDE=": "dXNlcjpwYXNzd29yZDE=",
        "curl -u report:2VthtHeMdhAe12 https://a.example": "2VthtHeMdhAe12",
        "mysql -h db -u svc -pHunter22x -e 'select 1'": "Hunter22x",
        "docker login -u svc -p fNeaRN_ZK76 registry.example": "fNeaRN_ZK76",
        "CREATE USER a IDENTIFIED BY 'Xy77pass'": "Xy77pass",
    },
    "url_credentials": {
        "postgres://app:s3cr3t!x@db.example:5432/app": "s3cr3t!x",
        "redis://:0pWuTTzYTjB47BN@cache": "0pWuTTzYTjB47BN",
        "https://u:p@ss@host/": "p@ss",
    },
    "date_of_birth": {
        "DOB: 2002-04-18": "2002-04-18",
        "I was born on June 3, 1959.": "June 3, 1959",
        "Ich bin am 10. September 1949 geboren.": "10. September 1949",
        "生年月日：2007年1月7日": "2007年1月7日",
        "name,dob\nA,1987-12-23\n": "1987-12-23",
    },
    "passport": {
        "My US passport number is 890001276.": "890001276",
        "passport_number=Y44252237": "Y44252237",
        "Reisepass C01X00T47": "C01X00T47",
    },
    "api_key": {
        "Authorization: Bearer 3FmYVsVcPY9bT_FuyYS41SX_GIQSURKYRFwF": "3FmYVsVcPY9bT_FuyYS41SX_GIQSURKYRFwF",
        '"secret": "035419e6-750f-4679-b83b-37878465f5d4"': "035419e6-750f-4679-b83b-37878465f5d4",
        "api_key = 9e5468ebbae576965a7996e022efc5e8": "9e5468ebbae576965a7996e022efc5e8",
        'SecretAccessKey: "vCfTK97qEHs73un01y1EC1kiEBM18MxY4XHT8AVC"': "vCfTK97qEHs73un01y1EC1kiEBM18MxY4XHT8AVC",
    },
    "phone": {
        "Phone: 284-740-0390x266": "284-740-0390x266",
        "call (527) 373-0689 ext. 8575 now": "(527) 373-0689 ext. 8575",
        "Tel. 555 0143": "555 0143",
        "電話：090-1234-5678": "090-1234-5678",
        "call me at 612 34 11 71": "612 34 11 71",
    },
}
CLEAN = (
    "We upgraded from 6.5.22 to 28.16.51-rc.7, Chrome 112.0.5736.197, version 10.0.19045.3803, firmware 15.0.7.4.",
    "std::vector<int>::iterator it; a::b; face::detect; 12:30:45; matmul is written x @ w + b",
    'npm i -D @types/node @tanstack/sdk-node express@11.37.28; git@github.com:example/queue.git; logo@2x.png; @app.get("/")',
    "Set OPENAI_API_KEY to your own key. api_key=settings.api_key password: ${env:DB_PASSWORD} token=$TOKEN key: <your-key>",
    "password: str = Field(min_length=12); I forgot my password, how can I reset it? The password must have 12 characters.",
    "if (password.length < 12) throw new Error('too short'); jwt.sign({ sub: user.id }, process.env.JWT_SECRET, { expiresIn: '1h' })",
    "token_count=168249 max_tokens=112736 next_page_token=CAUQAA primary_key=True cache_key=user_profile_2024_settings_v2",
    "chatcmpl-ScQ9QBiIGFPAZ44nOlmL78tywrWsm fp_809fc863af thread_HgE0feVrmzOlhwTxnLvLJgQE call_9pLYyhIEgpcKBh61tT3RJOHU",
    "trace_id=110ee6b7e804f248ed8f824ea18b8b22 commit 9a5000a5f1c2d3e4b5a69788123456789abcdef0 4f1c2b1e-5d7a-4a7e-9a53-0f5b8f6f2a11",
    "sha256:6592ee9f2a8cbafb283e0e3ac10f872e8aec9061c0c16ca3b8f375c813f6142c; sk-circle-fade-dot is a CSS class; task-specific-training-data",
    "4111 1111 1111 1112; order 2145660064; ISBN 978-3-16-148410-0; 1731943200000; Serial 2415 8994 1580 2136; ZIP 94076-5663",
    "Check: 410-511-1505 evaluates to -1606. Compute 324 - 354 - 3306 = -3336. 0.67972505180992293, -0.3512973, 89.9 %, 1,234,567,890",
    "Invoice date: 06/01/2025. Meeting moved to 12/10/2000. The years 1987-2016 were good. Valid from 1994-05-16 to 2014-10-12.",
    "It listens on 127.0.0.1:4317 and 0.0.0.0:4318, mask 255.255.255.0. Ports 80, 443, 3000. 00:00:00:00:00:00",
    "key = base64.b64decode(text); signature == stringEndArchive64; password = auth[2]; Boston, MA 02110-1301 USA",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----",
)  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_values_are_found_by_themselves(name: str) -> None:
    """A value is found whole: alone, in a sentence, in JSON, between signs."""
    for value in FOUND[name]:
        for text in (
            value,
            f"It is {value} here.",
            f'{{"a":"{value}"}}',
            f"({value})",
            f"値は{value}です",
            f"x={value}&y=1",
        ):
            spans = [text[one.start : one.end] for one in load_detector(name).find(text)]
            assert value in spans, text


@pytest.mark.parametrize(("name", "text", "value"), [(name, *pair) for name in WITHIN for pair in WITHIN[name].items()])
def test_values_that_something_announces(name: str, text: str, value: str) -> None:
    """What only its surroundings make a secret is found, by that detector and by all together."""
    assert any(text[one.start : one.end].startswith(value) for one in load_detector(name).find(text))
    assert not any(value in piece for piece in _left(text))


def _left(text: str) -> list[str]:
    pieces, last = [], 0
    for finding in all_detectors().find(text):
        pieces.append(text[last : finding.start])
        last = finding.end
    return [*pieces, text[last:]]


@pytest.mark.parametrize("text", CLEAN)
def test_look_alikes_stay(text: str) -> None:
    """Versions, hashes, ids, placeholders, code and dates are nobody's data."""
    assert [(one.detector, text[one.start : one.end]) for one in all_detectors().find(text)] == []


def test_keccak() -> None:
    """The digest is that of the original Keccak, for inputs of one block and of several."""
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"testing").hex() == "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"
    assert keccak256(b"a" * 136) != keccak256(b"a" * 137)
