"""What types cannot say of providers, routes, aliases and experiments is told with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghostd import plugins
from ghostd.config.load import parse_config
from ghostd.config.settings import Config
from ghostd.errors import ConfigError

FILE = Path("/etc/ghostd/config.toml")
BASE = """
[providers.acme]
preset = "openai-compatible"
base_urls = ["http://one.test/v1", "http://two.test/v1"]
models = ["m", "n"]
"""


def parse(text: str) -> Config:
    return parse_config(text, FILE)


def test_what_is_right_is_taken() -> None:
    config = parse(
        BASE
        + """
        [providers.open]
        preset = "openai"
        [providers.off]
        preset = "mistral"
        enabled = false
        [deployments.d]
        model = "acme/m"
        base_url = "http://two.test/v1/"
        [routes.r]
        deployments = ["acme/n", "d", "open/anything", "off/x", "ollama/q", "ghostd/project", "a-file", "nick"]
        fallbacks = ["s", "auto"]
        [routes.s]
        deployments = [{model = "d", order = 2, weight = 0.5}]
        fallbacks = ["smart"]
        [aliases]
        nick = "d"
        gpt = "r"
        [experiments.x]
        model = "r"
        arms.a.model = "r"
        arms.b.model = "s"
        [experiments.y]
        model = "r"
        enabled = false
        arms.a.model = "s"
        """
    )
    assert set(config.routes) == {"r", "s"}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        # providers
        ("[providers.nonsense]\nkeys = []", 6, "`providers.nonsense`: no provider is called 'nonsense'; known: "),
        ('[providers.x]\npreset = "opnai"', 7, "did you mean 'openai'?"),
        ('[providers."a/b"]\npreset = "openai"', 6, "a provider's name has no slash"),
        ('[providers.x]\npreset = "openai"\nkeys = ["sk-123"]', 8, "`providers.x.keys`"),
        ('[providers.openai.headers]\nAuthorization = "Bearer x"', 7, "is set from `keys`"),
        ('[providers.openai.headers]\nx-team = "a\\nb"', 7, "a header's value is one line"),
        ('[providers.openai.headers]\n"x team" = "a"', 6, "'x team' is not a header's name"),
        ('[providers.openai]\nmodels = ["a", ""]', 7, "a model's name is missing"),
        # deployments
        ('[deployments.d]\nmodel = "m"', 7, "'m' is not \"provider/model\""),
        ('[deployments.d]\nmodel = "acm/m"', 7, "no provider 'acm' is configured; did you mean 'acme'?"),
        ('[deployments.d]\nmodel = "acme/q"', 7, "providers.acme.models does not list 'q'"),
        ('[deployments.d]\nmodel = "acme/m"\nbase_url = "http://three.test"', 8, "none of providers.acme.base_urls"),
        # routes
        ("[routes.r]\ndeployments = []", 7, "a route needs at least one deployment"),
        ('[routes.r]\ndeployments = [""]', 7, "a model's name is missing"),
        ('[routes.r]\ndeployments = ["acme/mm"]', 7, "did you mean 'm'?"),
        ('[routes.r]\ndeployments = [{model = "acme/m", weight = 0}]', 7, "Expected `float` > 0.0"),
        ('[routes.r]\ndeployments = [{model = "acme/m", weight = inf}]', 7, "inf is not a number that this can be"),
        ('[routes.r]\ndeployments = ["s"]\n[routes.s]\ndeployments = ["acme/m"]', 7, "'s' is a route"),
        ('[routes.r]\ndeployments = ["acme/m"]\nfallbacks = ["oh/no"]', 8, "no provider 'oh' is configured"),
        ('[routes.r]\ndeployments = ["acme/m"]\nfallbacks = ["r"]', 8, "a cycle: r → r"),
        # aliases
        ('[aliases]\na = "b"\nb = "a"', 7, "a cycle: a → b → a"),
        ('[aliases]\na = "oh/no"', 7, "no provider 'oh' is configured"),
        ('[aliases]\nr = "acme/m"\n[routes.r]\ndeployments = ["acme/m"]', 7, "'r' is the name of a route, too"),
        ('[aliases]\nd = "acme/m"\n[deployments.d]\nmodel = "acme/m"', 7, "'d' is the name of a deployment, too"),
        (
            '[routes.d]\ndeployments = ["acme/m"]\n[deployments.d]\nmodel = "acme/m"',
            8,
            "'d' is the name of a route, too",
        ),
        # experiments
        ('[experiments.x]\nmodel = "acme/m"\narms = {}', 8, "an experiment needs at least one arm"),
        ('[experiments.x]\nmodel = "acme/m"\narms.a.model = "oh/no"', 8, "no provider 'oh' is configured"),
        # numbers
        ("[routing]\nrest_s = nan", 7, "`routing.rest_s`"),
        ("[routing]\ntimeout_s = inf", 7, "inf is not a number that this can be"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(BASE + text)
    assert str(caught.value).startswith(f"{FILE}:{line}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://x.test", "begins with http:// or https://"),
        ("x.test/v1", "begins with http:// or https://"),
        ("file:///etc/passwd", "begins with http:// or https://"),
        ("http://", "names a host"),
        ("http://x.test:99999", "not a URL"),
        ("http://x.test:0", "no port 0"),
        ("http://[::1", "not a URL"),
        ("https://user:key@x.test", "keys belong into `keys`"),
        ("https://x.test/v1?key=1", "no query"),
        ("https://x.test/#a", "no fragment"),
    ],
)
def test_a_base_url_must_be_one(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"providers\.x\.base_urls") as caught:
        parse(f'[providers.x]\npreset = "openai"\nbase_urls = ["{url}"]')
    assert problem in str(caught.value)


def test_two_experiments_cannot_split_one_model_also_by_an_alias() -> None:
    text = (
        BASE
        + """
    [aliases]
    nick = "acme/m"
    [experiments.x]
    model = "acme/m"
    arms.a.model = "acme/n"
    [experiments.y]
    model = "nick"
    arms.a.model = "acme/n"
    """
    )
    with pytest.raises(ConfigError, match=r"`experiments.y.model`: the experiment 'x' splits the model 'nick', too"):
        parse(text)
    parse(text + "enabled = false")


def routes(fallbacks: dict[str, list[str]]) -> str:
    return BASE + "".join(
        f'[routes.{name}]\ndeployments = ["acme/m"]\nfallbacks = {others}\n' for name, others in fallbacks.items()
    )


def test_a_cycle_of_fallbacks_is_told_whole_also_through_an_alias() -> None:
    with pytest.raises(ConfigError, match="a cycle: b → c → b"):
        parse(routes({"a": ["b"], "b": ["c"], "c": ["nick"]}) + '[aliases]\nnick = "b"')


def test_many_routes_that_fall_back_on_each_other_are_checked_at_once() -> None:
    """A look at every path would take two to the power of 300 steps."""
    names = [f"r{number}" for number in range(300)]
    parse(routes({name: names[number + 1 :] for number, name in enumerate(names)}))
    with pytest.raises(ConfigError, match="a cycle: "):
        parse(routes({name: names[number + 1 :] or ["r0"] for number, name in enumerate(names)}))


def test_every_preset_is_known() -> None:
    presets = {"openai", "anthropic", "gemini", "mistral", "ollama", "openai-compatible"}
    assert presets <= set(plugins.known("ghostd.providers"))


def test_a_base_url_that_is_ghostds_own_port_is_refused() -> None:
    """Each request would go round and round."""
    text = '[http]\nport = 8123\n\n[providers.loop]\npreset = "openai-compatible"\nbase_urls = ["http://localhost:8123/v1"]\n'
    with pytest.raises(ConfigError, match=r":6: `providers.loop.base_urls`: .* is ghostd's own port"):
        parse_config(text, Path("/c.toml"))
    parse_config(text.replace("port = 8123", "port = 8124"), Path("/c.toml"))
