"""Large texts are read beside the event loop, whatever is asked of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from next_edit_harness import project

from ghostd.next_edit import service

_LONG = "".join(f"value_{number} = {number}\n" for number in range(1000))
FILES = {
    "shop.py": f"class Shop:\n    def sell(self, item):\n        return item\n\n\n{_LONG}",
    "kiosk.py": "from shop import Shop\n\n\nclass Kiosk(Shop):\n    def sell(self, item):\n        return 1\n\n\n"
    f"{_LONG}Shop().sell(2)\n",
    "prices.py": "def price_of(item):\n    return 3\n",
}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """What was called, and whether that was on the event loop's thread."""
    loop, seen = threading.get_ident(), dict[str, set[bool]]()

    def watched(name: str) -> None:
        function = getattr(service, name)

        def call(*args: Any) -> Any:
            seen.setdefault(name, set()).add(threading.get_ident() == loop)
            return function(*args)

        monkeypatch.setattr(service, name, call)

    for name in ("_here", "calls", "new_names", "keeps_order"):
        watched(name)
    return seen


async def test_no_rule_reads_a_large_text_on_the_event_loop(tmp_path: Path, threads: dict[str, set[bool]]) -> None:
    shop = await project(tmp_path, FILES)
    shop.edit("shop.py", "def sell(self, item):", "def sell(self, item, price):")
    assert {(str(each.path), each.kind) for each in await shop.proposals()} >= {("kiosk.py", "signature")}
    shop.edit("shop.py", "return item", "return price_of(item)")
    assert {(str(each.path), each.kind) for each in await shop.proposals()} >= {("shop.py", "import")}
    assert threads == {name: {False} for name in ("_here", "calls", "new_names", "keeps_order")}
