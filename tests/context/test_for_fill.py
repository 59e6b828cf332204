"""What fill prompts quote, from a project on the disk to the prompt that a model gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ghostd.completion.fill import collect
from ghostd.config.context import ContextConfig
from ghostd.config.projects import IndexConfig
from ghostd.context.for_fill import quote_for
from ghostd.context.service import ContextService
from ghostd.engine import Engine
from ghostd.index.service import open_index
from ghostd.index.watch import NoWatch
from ghostd.models import FimVocabulary, ModelInfo
from ghostd.resolve.resolver import Resolver
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import Capability, CompletionRequest, FillRequest

PRICES = "def gross_price(net, tax_rate):\n    return net * (1 + tax_rate)\n"
TOKEN = "ghp_" + "a1" * 18
KEYS = f'def price_service_token():\n    return "{TOKEN}"\n'
SHOP = (
    "from prices import gross_price, price_service_token\n\n\n"
    "def total(net):\n    token = price_service_token()\n    return "
)


@dataclass(slots=True)
class Model(ScriptedProvider):
    """A model with FIM tokens that keeps the prompts it was given."""

    remote: bool = False

    def models(self) -> tuple[ModelInfo, ...]:
        fim = FimVocabulary({"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3})
        able: frozenset[Capability] = frozenset(("complete", "fill"))
        return (ModelInfo(self.model, self.name, able, context_tokens=4096, fim=fim, remote=self.remote),)


async def prompt_of(tmp_path: Path, request: FillRequest, *, remote: bool = False, tokens: int = 500) -> str:
    """The text of the prompt that a model gets for a hole in the shop."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "prices.py").write_text(PRICES + "\n\n" + KEYS)
    (root / "shop.py").write_text(SHOP + "\n")
    model = Model(["gross_price(net, 0.19)"], model="gguf", remote=remote)
    engine = Engine([model])
    async with open_index(tmp_path / "store", IndexConfig(), NoWatch()) as index:
        await index.add_root(root)
        await index.wait_ready(root)
        resolver = Resolver(index)
        config = ContextConfig(fill_tokens=tokens, deadline_ms=10_000)
        service = ContextService(index, resolver, None, config, lambda: engine.registry)
        engine.quote = partial(quote_for, service)
        reply = await collect(engine.fill(replace(request, path=root / "shop.py", root=root)))
        service.close()
        resolver.close()
    assert reply.text
    (completion,) = model.requests
    assert isinstance(completion, CompletionRequest)
    return "".join(piece for piece in completion.prompt if isinstance(piece, str))


REQUEST = FillRequest(model="gguf", prefix=SHOP, suffix="\n")


async def test_a_prompt_that_was_asked_for_quotes_the_project_before_the_file(tmp_path: Path) -> None:
    prompt = await prompt_of(tmp_path, REQUEST)
    assert "def gross_price(net, tax_rate)" in prompt
    assert prompt.index("def gross_price") < prompt.index("def total(net)")
    assert TOKEN in prompt  # it stays on this machine


async def test_a_model_on_this_machine_reads_only_the_file_while_the_user_types(tmp_path: Path) -> None:
    assert "def gross_price" not in await prompt_of(tmp_path, replace(REQUEST, trigger="automatic"))


async def test_a_model_elsewhere_gets_the_project_without_its_secrets_while_the_user_types(tmp_path: Path) -> None:
    prompt = await prompt_of(tmp_path, replace(REQUEST, trigger="automatic"), remote=True)
    assert "def gross_price" in prompt
    assert TOKEN not in prompt


async def test_quoting_can_be_switched_off(tmp_path: Path) -> None:
    assert "def gross_price" not in await prompt_of(tmp_path, REQUEST, tokens=0)
