"""What the documentation lists is what the code has."""

import json
import re
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from ghostd.cli.main import ghostctl, ghostd
from ghostd.config.load import parse_config
from ghostd.config.local import LocalModelConfig
from ghostd.config.providers import DeploymentConfig, LongPriceConfig, ModelConfig, PriceConfig, ProviderConfig
from ghostd.config.routing import ExperimentArm, ExperimentConfig, RouteConfig, RouteEntry
from ghostd.config.settings import Config
from ghostd.routing import policies

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("editors/**/*.md")])


NAMED: dict[str, type[msgspec.Struct]] = {
    "local.models.NAME": LocalModelConfig,
    "providers.NAME": ProviderConfig,
    "providers.NAME.model.MODEL": ModelConfig,
    "providers.NAME.model.MODEL.price": PriceConfig,
    "providers.NAME.model.MODEL.price.long": LongPriceConfig,
    "deployments.NAME": DeploymentConfig,
    "routes.NAME": RouteConfig,
    "routes.NAME.deployments": RouteEntry,
    "experiments.NAME": ExperimentConfig,
    "experiments.NAME.arms.ARM": ExperimentArm,
}


def settings(struct: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= settings(field.type, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = field.default
    return found


def toml(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return ""
    if value is None:
        return "unset"
    return f"`{json.dumps(value)}`"  # numbers, strings, booleans and arrays of them look the same in TOML


def test_every_setting_is_documented_with_its_default() -> None:
    expected = settings(Config)
    for prefix, struct in NAMED.items():
        expected |= settings(struct, f"{prefix}.")
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    documented = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", text, re.M))
    assert documented.keys() == expected.keys()
    for name, default in expected.items():
        if default is not msgspec.NODEFAULT:
            said, meant = documented[name].replace(" ", ""), toml(default).replace(" ", "")
            assert said == meant, name


@pytest.mark.parametrize("group", [ghostd, ghostctl])
def test_every_command_is_documented(group: click.Group) -> None:
    text = "\n".join(path.read_text("utf-8") for path in DOCS)
    for name in group.list_commands(click.Context(group)):
        assert f"{group.name} {name}" in text, f"no page mentions `{group.name} {name}`"


@pytest.mark.parametrize("page", ["configuration.md", "providers.md", "routing.md", "secrets.md"])
def test_examples_of_configuration_are_valid(page: str) -> None:
    """All but those of other files: the price table, and a plug-in's packaging."""
    examples = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.M | re.S)
    own = [text for text in examples if "[project." not in text and "[prices." not in text]
    assert own
    for text in own:
        parse_config(text, ROOT / "docs" / page)


def test_the_weights_of_balanced_are_documented() -> None:
    text = (ROOT / "docs" / "routing.md").read_text("utf-8")
    documented = re.findall(r"^\| (simple|medium|complex) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M)
    assert {name: tuple(map(float, weights)) for name, *weights in documented} == policies._WEIGHTS


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
