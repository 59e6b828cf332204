"""What every SecretStore must do, as tests. Needs pytest and pytest-asyncio (auto mode).

Subclass SecretContract in a test module and override the fixture `subject`:

    class TestMyStore(SecretContract):
        @pytest.fixture
        def subject(self) -> Subject:
            vault = MyVault({"openai": "value-of-the-key"})
            return Subject(MyStore(vault), "keyring:openai", "value-of-the-key", "keyring:nothing", vault.replace)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ghostd.errors import SecretError, SecretMissing
from ghostd.ports import SecretStore
from ghostd.redaction import REDACTED, redact

_TIMEOUT_S = 30.0
_NEW = "the-value-that-came-after"


@dataclass(frozen=True, slots=True)
class Subject:
    """A store under test that holds one secret."""

    store: SecretStore
    reference: str
    value: str = field(repr=False)
    """At least eight characters."""
    missing: str
    """A reference of the same kind behind which there is nothing."""
    replace: Callable[[str], object]
    """Put another value behind `reference`, without the store's knowledge; called in a thread."""


class SecretContract:
    """The contract's tests."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The store under test; override it."""
        raise NotImplementedError("override the fixture `subject`")

    async def test_a_secret_is_read(self, subject: Subject) -> None:
        """Exactly as it was stored."""
        assert await _get(subject, subject.reference) == subject.value

    async def test_many_who_ask_at_once_get_the_same(self, subject: Subject) -> None:
        """Requests come in parallel."""
        found = await asyncio.gather(*(_get(subject, subject.reference) for _ in range(50)))
        assert found == [subject.value] * 50

    async def test_a_known_secret_is_not_read_again(self, subject: Subject) -> None:
        """Cheap when asked again: the keyring takes 20 ms, a command may ask its user."""
        await _get(subject, subject.reference)
        await asyncio.to_thread(subject.replace, _NEW)
        assert await _get(subject, subject.reference) == subject.value

    async def test_a_forgotten_secret_is_read_anew(self, subject: Subject) -> None:
        """A refused key may have been replaced."""
        await _get(subject, subject.reference)
        await asyncio.to_thread(subject.replace, _NEW)
        subject.store.forget(subject.reference)
        assert await _get(subject, subject.reference) == _NEW

    async def test_a_secret_that_is_not_there_is_told_by_its_reference(self, subject: Subject) -> None:
        """The message names the place and holds no other secret."""
        await _get(subject, subject.reference)
        with pytest.raises(SecretMissing) as raised:
            await _get(subject, subject.missing)
        assert subject.missing.split()[0] in str(raised.value)
        assert subject.value not in str(raised.value)

    async def test_a_failure_is_not_remembered(self, subject: Subject) -> None:
        """What was missing may be there the next time; the same store still gives the others."""
        for _ in range(2):
            with pytest.raises(SecretMissing):
                await _get(subject, subject.missing)
        assert await _get(subject, subject.reference) == subject.value

    async def test_a_cancelled_reader_leaves_the_store_well(self, subject: Subject) -> None:
        """The client hung up while its key was read."""
        reader = asyncio.create_task(_get(subject, subject.reference))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait((reader,))
        assert await _get(subject, subject.reference) == subject.value

    @pytest.mark.parametrize("reference", ["", "sk-pasted-by-mistake", "vault:x", "keyring:", "env:A B", "command:"])
    async def test_what_is_no_reference_is_refused_without_repeating_it(self, subject: Subject, reference: str) -> None:
        """It may be a key."""
        with pytest.raises(SecretError) as raised:
            await _get(subject, reference)
        assert "sk-pasted-by-mistake" not in str(raised.value)

    def test_forgetting_what_is_not_known_does_nothing(self, subject: Subject) -> None:
        """A key may be refused twice."""
        subject.store.forget(subject.reference)
        subject.store.forget(subject.missing)
        subject.store.forget("nonsense")

    async def test_a_value_that_was_handed_out_is_kept_out_of_the_log(self, subject: Subject) -> None:
        """Redacted at the sink: in messages, also escaped, and never in the store's `repr`."""
        await _get(subject, subject.reference)
        assert redact(f"Authorization: Bearer {subject.value}!") == f"Authorization: Bearer {REDACTED}!"
        assert subject.value not in repr(subject.store)


async def _get(subject: Subject, reference: str) -> str:
    async with asyncio.timeout(_TIMEOUT_S):
        return await subject.store.get(reference)
