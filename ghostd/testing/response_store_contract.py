"""What every ResponseStore must do. Subclass in a test module and provide the fixtures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ghostd.errors import InvalidRequest
from ghostd.ports import ResponseStore
from ghostd.stored import Item, StoredConversation, StoredResponse

MANY = 10_000_000


def item(name: str) -> Item:
    """An item of this id."""
    return Item(name, b'{"id":"%b"}' % name.encode())


def response(name: str, *, previous: str | None = None, conversation: str | None = None) -> StoredResponse:
    """A response with one item in and one out, called after it."""
    return StoredResponse(
        f"resp_{name}",
        1.5,
        b'{"output":[]}',
        (item(f"out_{name}"),),
        (item(f"in_{name}"),),
        f"resp_{previous}" if previous is not None else None,
        conversation,
    )


class ResponseStoreContract:
    """Needs a fixture `store`: an empty one."""

    async def test_a_response_is_found_as_it_was_kept_until_it_is_forgotten(self, store: ResponseStore) -> None:
        """And the last one of an id counts."""
        await store.keep(response("a"))
        assert await store.response("resp_a") == response("a")
        changed = replace(response("a"), body=b'{"new":1}', running=True)
        await store.keep(changed)
        assert await store.response("resp_a") == changed
        assert await store.forget("resp_a")
        assert await store.response("resp_a") is None
        assert not await store.forget("resp_a")

    async def test_a_history_is_all_that_was_said_the_oldest_first(self, store: ResponseStore) -> None:
        """Up to a response that is not known."""
        await store.keep(response("a", previous="elsewhere"))
        await store.keep(response("b", previous="a"))
        await store.keep(response("other", previous="a"))
        history = await store.history("resp_b", MANY)
        assert [found.id for found in history.items] == ["in_a", "out_a", "in_b", "out_b"]
        assert history.unknown_id == "resp_elsewhere"
        unknown = await store.history("resp_x", MANY)
        assert (unknown.items, unknown.unknown_id) == ((), "resp_x")

    async def test_a_history_that_is_too_long_or_goes_in_circles_ends(self, store: ResponseStore) -> None:
        """A service may give one id to all of its responses."""
        await store.keep(response("a", previous="b"))
        await store.keep(response("b", previous="a"))
        assert len((await store.history("resp_b", MANY)).items) == 4
        with pytest.raises(InvalidRequest) as caught:
            await store.history("resp_b", 10)
        assert caught.value.param == "previous_response_id"

    async def test_pages_go_on_behind_an_item(self, store: ResponseStore) -> None:
        """In both orders; an unknown item has no page."""
        items = tuple(item(f"i{number}") for number in range(5))
        await store.keep(replace(response("a"), input=items))
        first = await store.input_items("resp_a", 2, "asc", None)
        assert first is not None
        assert ([found.id for found in first.items], first.more) == (["i0", "i1"], True)
        rest = await store.input_items("resp_a", 5, "asc", "i1")
        assert rest is not None
        assert ([found.id for found in rest.items], rest.more) == (["i2", "i3", "i4"], False)
        last = await store.input_items("resp_a", 2, "desc", "i3")
        assert last is not None
        assert ([found.id for found in last.items], last.more) == (["i2", "i1"], True)
        assert await store.input_items("resp_a", 2, "asc", "x") is None
        assert await store.input_items("resp_x", 2, "asc", None) is None

    async def test_items_are_found_wherever_they_were_said(self, store: ResponseStore) -> None:
        """Of responses and of conversations."""
        await store.keep(response("a"))
        await store.begin_conversation(StoredConversation("conv_1", 1.0), [item("said")])
        assert await store.find(["out_a", "said", "x"]) == {"out_a": item("out_a"), "said": item("said")}

    async def test_a_conversation_gets_what_a_finished_response_holds(self, store: ResponseStore) -> None:
        """One that is still running adds nothing yet."""
        await store.begin_conversation(StoredConversation("conv_1", 1.0, {"a": "b"}), [item("first")])
        assert await store.conversation("conv_1") == StoredConversation("conv_1", 1.0, {"a": "b"})
        await store.keep(replace(response("a", conversation="conv_1"), running=True))
        assert await store.said("conv_1", MANY) == (item("first"),)
        await store.keep(response("a", conversation="conv_1"))
        assert await store.said("conv_1", MANY) == (item("first"), item("in_a"), item("out_a"))
        with pytest.raises(InvalidRequest) as caught:
            await store.said("conv_1", 10)
        assert caught.value.param == "conversation"

    async def test_a_conversation_is_described_added_to_and_forgotten(self, store: ResponseStore) -> None:
        """With all its items."""
        await store.begin_conversation(StoredConversation("conv_1", 1.0), [])
        assert await store.describe_conversation("conv_1", {"a": "b"}) == StoredConversation("conv_1", 1.0, {"a": "b"})
        assert await store.add_items("conv_1", [item("x"), item("y")])
        assert await store.conversation_item("conv_1", "x") == item("x")
        page = await store.conversation_items("conv_1", 1, "desc", None)
        assert page is not None
        assert (page.items, page.more) == ((item("y"),), True)
        assert await store.forget_item("conv_1", "x")
        assert not await store.forget_item("conv_1", "x")
        assert await store.forget_conversation("conv_1")
        assert not await store.forget_conversation("conv_1")
        assert await store.conversation("conv_1") is None
        assert not await store.add_items("conv_1", [item("z")])
        assert await store.describe_conversation("conv_1", {}) is None
        assert await store.conversation_items("conv_1", 1, "asc", None) is None
        assert await store.find(["y"]) == {}

    async def test_what_was_running_is_told(self, store: ResponseStore) -> None:
        """So that it can be ended after a start."""
        await store.keep(replace(response("a"), running=True))
        await store.keep(response("b"))
        assert [found.id for found in await store.broken_off()] == ["resp_a"]
