"""Secrets are taken out; what only looks a little like one stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.context.secrets_in_text import REDACTED, without_secrets


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 8,
        "glpat-" + "a1B2" * 5,
        "xoxb-" + "1234567890-abc",
        "sk-ant-" + "a1B2" * 8,
        "sk-proj-" + "a1B2" * 8,
        "AIza" + "a1B2c" * 7,
        "sk_live_" + "a1B2" * 6,
        "npm_" + "a1B2" * 9,
        "hf_" + "a1B2" * 9,
        "xai-" + "a1B2" * 20,
        "gsk_" + "a1B2" * 13,
        "SG." + "a1B2" * 5 + "." + "a1B2" * 10,
        "dop_v1_" + "0a1b" * 16,
        "123456789:AA" + "a1B" * 11,
        "MTAx" + "a1B2" * 5 + ".Gabc1E." + "a1B2" * 8,
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----",
        "xapp-1-" + "a1B2" * 8,
        "hooks.slack.com/services/" + "T0000/B0000/" + "a1B2" * 6,
        "GOCSPX-" + "a1B2" * 6,
        "whsec_" + "a1B2" * 8,
        "shpat_" + "0a1b" * 8,
        "dckr_pat_" + "a1B2" * 6,
        "hvs." + "a1B2" * 8,
        "glsa_" + "a1B2" * 8 + "_0a1b2c3d",
        "AGE-SECRET-KEY-1" + "QW" * 29,
    ],
)
def test_keys_of_known_forms_are_taken_out_wherever_they_stand(secret: str) -> None:
    text, count = without_secrets(f"key = {secret}\n")
    assert (REDACTED in text, count, secret in text) == (True, 1, False)


LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"


@pytest.mark.parametrize(
    "piece",
    [
        f"{LINE}\n{LINE[:20]}\n-----END PRIVATE KEY-----\nlast = 1",
        f"{LINE}\n{LINE}\n{LINE}",
        f'    "{LINE}\\n"\n    "{LINE}\\n"\n    "{LINE}\\n"\nlast = 1',
        f"first = 1\n{LINE}\n{LINE}\n{LINE}\nlast = 1",
    ],
)
def test_a_private_key_that_is_cut_into_pieces_is_taken_out_of_each(piece: str) -> None:
    text, count = without_secrets(piece)
    assert (LINE in text, LINE[:20] in text, count) == (False, False, 1)
    assert ("last = 1" in text) is ("last = 1" in piece)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('password = "correcthorse"', f'password = "{REDACTED}"'),
        ("'api_key': 'abcdefgh12'", f"'api_key': '{REDACTED}'"),
        ('DB_PASSWORD := "correcthorse"', f'DB_PASSWORD := "{REDACTED}"'),
        ("export DB_PASSWORD=c0rrecthorse", f"export DB_PASSWORD={REDACTED}"),
        ("db:\n  password: c0rrecthorse  # of the test\n", f"db:\n  password: {REDACTED}  # of the test\n"),
        ("API_KEY=k9s8d7f6g5\r\nPORT=1\r\n", f"API_KEY={REDACTED}\r\nPORT=1\r\n"),
        ('{"Authorization": "Bearer abcdefgh12"}', f'{{"Authorization": "Bearer {REDACTED}"}}'),
        ("curl -H 'Authorization: Basic dXNlcjpwYXNz123='", f"curl -H 'Authorization: Basic {REDACTED}'"),
        ("curl --token abcdefgh12 https://x", f"curl --token {REDACTED} https://x"),
        ('"Server=db;User Id=sa;Password=passw0rd1;"', f'"Server=db;User Id=sa;Password={REDACTED};"'),
        ('url = "postgres://me:hunter22@db/x"', f'url = "postgres://me:{REDACTED}@db/x"'),
        ('let secret: &\'static str = "correcthorse";', f'let secret: &\'static str = "{REDACTED}";'),
        ("const apiKey: string = `correcthorse`;", f"const apiKey: string = `{REDACTED}`;"),
        ('password = b"""correcthorse"""', f'password = b"""{REDACTED}"""'),
        ('os.environ["API_KEY"] = "correcthorse"', f'os.environ["API_KEY"] = "{REDACTED}"'),
        ('os.environ.get("DB_PASSWORD", "c0rrecthorse")', f'os.environ.get("DB_PASSWORD", "{REDACTED}")'),
        ('TOKEN = "d9f8a7b6c5d4e3f2"', f'TOKEN = "{REDACTED}"'),
        ('"x-api-key": "c0rrecthorse"', f'"x-api-key": "{REDACTED}"'),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", f"aws_secret_access_key = {REDACTED}"),
        ("//packages.example.org/:_authToken=c0rrecthorse", f"//packages.example.org/:_authToken={REDACTED}"),
        ("jdbc:mysql://h/db?user=a&password=c0rrecthorse", f"jdbc:mysql://h/db?user=a&password={REDACTED}"),
        ("<password>c0rrecthorse</password>", f"<password>{REDACTED}</password>"),
        ("curl -u admin:c0rrecthorse https://x", f"curl -u admin:{REDACTED} https://x"),
    ],
)
def test_what_is_assigned_to_a_name_of_a_secret_is_taken_out(text: str, expected: str) -> None:
    assert without_secrets(text) == (expected, 1)


@pytest.mark.parametrize(
    "text",
    [
        'password = "changeme123"',
        'password = "{settings.password}"',
        'password = "short"',
        "password = read_password()",
        "token_count = 12345678",
        "password=settings.database2.password",
        "  password: string\n  token: Token\n",
        "password=read_password(2)",
        "API_KEY=$OTHER_KEY_2\nTOKEN=${TOKEN_2:-}\n",
        "parser.add_argument('--token', default_2)",
        "Authorization: Bearer <your-token-1>",
        "def password(self): ...",
        "https://example.com:8080/path@home",
        "sk-short",
        'token = "<|end_of_text_1|>"',
        'token = "identifier"',
        "access_token = refreshed_token_2_of_this",
        "MAX_TOKEN = 0x10FFFF",
        "(?P<token>[a-z0-9]+)",
        "x: Token = tokens[12345678]",
        "import sklearn",
        f"{LINE}\n{LINE}\n",
        "from_a_module_with_a_name_that_is_longer_than_most_of_them\n" * 4,
        "",
    ],
)
def test_code_about_secrets_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == (text, 0)


@given(st.text())
def test_what_is_clean_stays_clean(text: str) -> None:
    once, _ = without_secrets(text)
    assert without_secrets(once)[0] == once
