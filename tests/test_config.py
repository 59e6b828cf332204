"""The configuration file, as its user meets it."""

from pathlib import Path

import pytest

from ghostd.config.http import HttpConfig
from ghostd.config.load import load_config, parse_config
from ghostd.config.local import LocalModelConfig
from ghostd.config.settings import Config
from ghostd.errors import ConfigError

FILE = Path("/home/config.toml")


def test_no_file_means_the_defaults() -> None:
    assert load_config(None) == Config()


def test_settings_replace_the_defaults() -> None:
    text = """
[http]
port = 0
allowed_hosts = ["devbox.local:8080"]

[local.models."tiny coder"]
path = "~/models/tiny.gguf"
preload = true
"""
    config = parse_config(text, FILE)
    assert config.http == HttpConfig(port=0, allowed_hosts=("devbox.local:8080",))
    assert config.local.models == {"tiny coder": LocalModelConfig(path="~/models/tiny.gguf", preload=True)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[http]\nhost = '127.0.0.1'\nprot = 8080\n",
            f"{FILE}:3: unknown setting `http.prot`; did you mean `port`?",
        ),
        (
            "[providers.a]\nrpm = 1\n[providers.b]\nrpm = 0\n",
            f"{FILE}:4: `providers.b.rpm`: Expected `int` >= 1",
        ),
        (
            "[providers.a.model.'x/y.z']\nquality = 0.5\nprice = { input = 1, output = -2 }\n",
            f"{FILE}:3: `providers.a.model.x/y.z.price.output`: Expected `float` >= 0.0",
        ),
        (
            "drain_s = 1\n[indx]\nroots = []\n",
            f"{FILE}:2: unknown setting `indx`; did you mean `index`?",
        ),
        (
            '[local.models."a.b"]\npath = "x"\n\n[local.models."c d"]\npath = "y"\nthread = 2\n',
            f"{FILE}:6: unknown setting `local.models.c d.thread`; did you mean `threads`?",
        ),
        (
            "[log]\nzzzzzz = 1\n",
            f"{FILE}:2: unknown setting `log.zzzzzz`; known here: format, level",
        ),
        ("\n[http]\nport = '80'\n", f"{FILE}:3: `http.port`: Expected `int`, got `str`"),
        ("[http]\nport = 99999\n", f"{FILE}:2: `http.port`: Expected `int` <= 65535"),
        ("http.max_body_bytes = 0\n", f"{FILE}:1: `http.max_body_bytes`: Expected `int` >= 1"),
        (
            "[http]\n\nhost = '0.0.0.0'\n",
            f"{FILE}:3: `http.host`: '0.0.0.0' is not a loopback address; "
            "ghostd serves this machine only (use 127.0.0.1, ::1 or localhost)",
        ),
        ("[http]\nport = \n", f"{FILE}:2:8: not valid TOML: Invalid value"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_the_nearest_known_setting(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    assert str(caught.value) == message


def test_an_unreadable_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration: No such file"):
        load_config(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(binary)


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(ConfigError):
        parse_config("a = " + "[" * 5000, FILE)
