"""Which model answers to a name."""

import pytest

from ghostd.errors import InvalidRequest, ModelNotFound
from ghostd.routing.route import deployments, resolve
from ghostd.testing.scripted import ScriptedProvider


def test_a_name_that_two_providers_have_is_the_first_ones() -> None:
    first, second = ScriptedProvider(name="first"), ScriptedProvider(name="second")
    assert [d.provider for d in deployments([first, second])] == [first]


def test_auto_is_the_first_model_that_can_do_what_is_asked_most() -> None:
    filler = ScriptedProvider(model="filler", capabilities=frozenset(("fill",)))
    writer = ScriptedProvider(model="writer", capabilities=frozenset(("complete", "chat")))
    assert resolve([filler, writer], "auto", ("complete", "fill")).info.id == "writer"
    assert resolve([filler], "auto", ("complete", "fill")).info.id == "filler"
    with pytest.raises(ModelNotFound):
        resolve([filler], "auto", ("chat",))


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match=r"'gpt-9' does not exist.*Known models: scripted-model"):
        resolve([ScriptedProvider()], "gpt-9", ("chat",))


def test_a_model_that_cannot_do_it_says_so() -> None:
    filler = ScriptedProvider(model="filler", capabilities=frozenset(("fill",)))
    with pytest.raises(InvalidRequest, match="The model 'filler' cannot chat"):
        resolve([filler], "filler", ("chat",))
