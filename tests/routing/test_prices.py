"""What a request costs, and what a file of prices may say."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ghostd.config.providers import LongPriceConfig, PriceConfig
from ghostd.errors import ConfigError
from ghostd.routing.prices import PriceTable, cost_usd, load_prices
from ghostd.types import Usage


def written(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text, "utf-8")
    return path


def test_well_known_models_have_a_price() -> None:
    table = PriceTable()
    assert table.price_of("openai", "gpt-4.1") == PriceConfig(input=2, output=8, cached_input=0.5)
    assert table.price_of("anthropic", "claude-sonnet-4-5") == PriceConfig(
        input=3, output=15, cached_input=0.3, cache_write=3.75
    )
    for preset, model in (
        ("gemini", "gemini-2.5-flash"),
        ("mistral", "codestral-latest"),
        ("deepseek", "deepseek-v4-pro"),
        ("groq", "openai/gpt-oss-120b"),
        ("xai", "grok-4.5"),
    ):
        assert table.price_of(preset, model) is not None, model


def test_the_built_in_prices_say_when_they_were_noted() -> None:
    assert PriceTable().noted == date(2026, 11, 26)


@pytest.mark.parametrize("dated", ["gpt-4.1-2025-04-14", "gpt-4.1-20250414", "gpt-4.1@20250414"])
def test_a_dated_name_has_the_price_of_its_model(dated: str) -> None:
    table = PriceTable()
    assert table.price_of("openai", dated) == table.price_of("openai", "gpt-4.1")


def test_a_dated_name_with_a_price_of_its_own_has_that() -> None:
    table = PriceTable()
    assert table.price_of("openai", "gpt-4o-2024-05-13") == PriceConfig(input=5, output=15)
    assert table.price_of("openai", "gpt-4o-2024-08-06") == table.price_of("openai", "gpt-4o")


def test_a_longer_name_is_another_model(tmp_path: Path) -> None:
    table = load_prices(written(tmp_path, '[prices.x]\n"m" = { input = 1, output = 1 }'))
    for name in ("m-mini", "m-mini-2025-04-14", "m-0613", "m-2025", "m2", "M", "", "m-2025-04-14-preview"):
        assert table.price_of("x", name) is None, name
    mini = PriceTable().price_of("openai", "gpt-4.1-mini-2025-04-14")
    assert mini == PriceConfig(input=0.4, output=1.6, cached_input=0.1)


def test_an_unknown_model_or_provider_has_no_price() -> None:
    assert PriceTable().price_of("openai", "gpt-99") is None
    assert PriceTable().price_of("nobody", "gpt-4.1") is None


def test_the_users_prices_win_and_add(tmp_path: Path) -> None:
    table = load_prices(
        written(
            tmp_path,
            'date = 2026-01-01\n[prices.openai]\n"gpt-4.1" = { input = 1, output = 2 }\n'
            '[prices.lan."my/model:7b"]\ninput = 0\noutput = 0.5\n[prices.vllm]\n"*" = { input = 0, output = 0 }\n',
        )
    )
    assert table.price_of("openai", "gpt-4.1") == PriceConfig(input=1, output=2)
    assert table.price_of("openai", "gpt-4.1-2025-04-14") == PriceConfig(input=1, output=2)
    assert table.price_of("lan", "my/model:7b") == PriceConfig(input=0, output=0.5)
    assert table.price_of("vllm", "anything") == PriceConfig(input=0, output=0)
    assert table.price_of("openai", "gpt-4o") == PriceTable().price_of("openai", "gpt-4o")


def test_an_unknown_price_or_usage_gives_no_cost() -> None:
    assert cost_usd(None, Usage(1, 1)) is None
    assert cost_usd(PriceConfig(input=1, output=1), None) is None


def test_a_model_that_costs_nothing_costs_nothing() -> None:
    assert cost_usd(PriceConfig(input=0, output=0), Usage(1000, 1000)) == 0.0


def test_each_kind_of_token_has_its_price() -> None:
    price = PriceConfig(input=3, output=15, cached_input=0.3, cache_write=3.75)
    usage = Usage(1_000_000, 200_000, cached_tokens=600_000, cache_write_tokens=100_000, reasoning_tokens=150_000)
    assert cost_usd(price, usage) == pytest.approx(0.3 * 3 + 0.6 * 0.3 + 0.1 * 3.75 + 0.2 * 15)


def test_cached_tokens_without_a_price_of_their_own_cost_what_others_do() -> None:
    usage = Usage(1_000_000, 0, cached_tokens=600_000, cache_write_tokens=100_000)
    assert cost_usd(PriceConfig(input=2, output=8), usage) == pytest.approx(2.0)


def test_more_cached_tokens_than_the_prompt_has_give_no_negative_cost() -> None:
    price = PriceConfig(input=10, output=0, cached_input=1, cache_write=20)
    assert cost_usd(price, Usage(100, 0, cached_tokens=500, cache_write_tokens=500)) == pytest.approx(100e-6)


def test_all_of_a_long_prompt_has_the_price_of_long_ones() -> None:
    price = PriceConfig(input=1, output=2, long=LongPriceConfig(above_tokens=200_000, input=10, output=20))
    assert cost_usd(price, Usage(200_000, 100)) == pytest.approx(0.2 + 200e-6)
    assert cost_usd(price, Usage(200_001, 100)) == pytest.approx(2.00001 + 2000e-6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[prices.x]\n"a" = { input = -1, output = 1 }', ":2: `prices.x.a.input`: Expected `float` >= 0.0"),
        ('[prices.x]\n"a" = { input = nan, output = 1 }', ":2: `prices.x.a.input`: Expected `float` >= 0.0"),
        ('[prices.x]\n"a" = { input = inf, output = 1 }', ":2: `prices.x.a.input`: Expected `float` <= 1000000.0"),
        ('[prices.x]\n"a" = { input = "2", output = 1 }', ":2: `prices.x.a.input`: Expected `float`, got `str`"),
        ('[prices.x."b/c"]\ninput = 1\noutput = true', ":3: `prices.x.b/c.output`: Expected `float`, got `bool`"),
        ('[prices.x]\n"a" = 3', ":2: `prices.x.a`: Expected `object`, got `int`"),
        ("[prices]\nx = 3", ":2: `prices.x`: Expected `object`, got `int`"),
        ('[prices.x]\n"a" = { input = 1 }', ":2: `prices.x.a`: Object missing required field `output`"),
        ('\n[prices.x]\n"a" = { input = 1, output = 1, cached = 1 }', ":3: unknown setting `prices.x.a.cached`"),
        ("price = 1", ":1: unknown setting `price`; did you mean `prices`?"),
        ("date = 5", ":1: `date`: Expected `date | null`, got `int`"),
        ("date = 2026-13-01", ":1:"),
        ("[prices\n", ":1:"),
        ("[[[[" * 5000, "not valid TOML"),
    ],
)
def test_nonsense_in_a_file_of_prices_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_prices(path)
    assert str(raised.value).startswith(str(path))
    assert told in str(raised.value)


def test_a_file_of_prices_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml: cannot read the prices: No such file"):
        load_prices(tmp_path / "no.toml")
    (tmp_path / "bytes.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_prices(tmp_path / "bytes.toml")
    (tmp_path / "endless.toml").write_bytes(b"#" * 5_000_000)
    with pytest.raises(ConfigError, match="at most"):
        load_prices(tmp_path / "endless.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_prices(tmp_path)


def test_the_built_in_table_is_not_read_at_start() -> None:
    code = "import sys, tomllib; tomllib.loads = None; from ghostd.routing.prices import load_prices; load_prices(None)"
    subprocess.run([sys.executable, "-c", code], check=True)
