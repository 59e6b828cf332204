"""What the core asks of the outside (about code: `ghostd.code_ports`). Contract tests: `ghostd.testing`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from ghostd.batch import Batch, NewBatch, StoredFile
from ghostd.models import KeyState, LoadedModel, ModelDescription, ModelInfo, PullProgress
from ghostd.records import LedgerRow, OutcomeKind
from ghostd.stored import History, Item, Order, Page, StoredConversation, StoredResponse
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
    Relayed,
    RelayRequest,
    Usage,
)


class Provider(Protocol):
    """An adapter for one source of models.

    `request.model` is already the provider's own name of the model, one of `models()`. Every stream ends with a
    delta that carries `finish_reason` and `usage`. Closing the generator, or cancelling the task that iterates
    it, ends the work behind it within 50 ms.

    All methods raise ProviderError or RequestError and nothing else, before the first delta or between two.
    A method is only called for a model whose capabilities include it.
    """

    name: str
    """Short and unique among the configured providers, e.g. "local"."""

    def models(self) -> Sequence[ModelInfo]:
        """What can be asked for now, in a stable order. Cheap; never blocks."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message (capability "chat")."""
        ...

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of `request.prompt`; `suffix` is None here (capability "complete")."""
        ...

    def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Stream the text of the hole, for a model that fills by itself (capability "fill").

        A model with `ModelInfo.fim` and "complete" need not: the engine lays out its FIM prompt. A model that
        has nothing to say ends with an empty text and "stop".
        """
        ...

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed each input (capability "embed")."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """What a provider also is when it can count a prompt's tokens exactly. Raises as Provider does."""

    async def count_tokens(self, request: ChatRequest | CompletionRequest) -> int:
        """How many tokens the prompt has: what `Usage.prompt_tokens` of the same request says."""
        ...


@runtime_checkable
class Tokenizer(TokenCounter, Protocol):
    """What a provider also is when it holds its models' tokenizers. Raises likewise."""

    async def tokenize(self, model: str, text: str, *, special: bool, bos: bool) -> Sequence[int]:
        """Token ids of a text: with control tokens recognised (`special`) or as plain text, with a BOS or without."""
        ...

    async def pieces(self, model: str, tokens: Sequence[int]) -> Sequence[bytes]:
        """The bytes of each of these tokens; raises InvalidRequest for an id that the vocabulary does not have."""
        ...

    async def detokenize(self, model: str, tokens: Sequence[int]) -> bytes:
        """The bytes of these tokens; raises likewise."""
        ...

    async def render(self, request: ChatRequest) -> str:
        """The text that the model's chat template makes of a conversation; raises InvalidRequest if it has none."""
        ...

    def chat_template(self, model: str) -> str:
        """The template itself; "" if it has none."""
        ...


@runtime_checkable
class PromptCache(Protocol):
    """What a provider also is when its models keep the prompts that they have read. Raises as Provider does."""

    async def warm(self, request: CompletionRequest) -> Usage:
        """Read a prompt, so that one that begins alike finds it read; nothing is written (`max_tokens` is ignored).

        Says how many of its tokens were cached before. Whoever has a more urgent claim interrupts it: then it has read
        a part, and goes on when the model is free. Cancel the task to stop.
        """
        ...


@runtime_checkable
class Rescanned(Protocol):
    """What a provider also is when its models may have changed since it looked."""

    async def look_again(self) -> None:
        """Look now, for a second at most."""
        ...


class ModelStore(Protocol):
    """The model files on this machine, for people who look after them. Names are those of `Provider.models`.

    Methods for one model raise ModelNotFound for another one's name, InvalidRequest for what must not or cannot be
    done to it, and ProviderError.
    """

    def holds(self, model: str) -> bool:
        """Whether the model is one of these files."""
        ...

    def pulled(self, name: str) -> str | None:
        """The model that a pull of this name has fetched; None if there is none."""
        ...

    def loaded(self) -> Sequence[LoadedModel]:
        """Those in memory."""
        ...

    async def describe(self, model: str) -> ModelDescription:
        """What its file says."""
        ...

    async def load(self, model: str) -> None:
        """Have it in memory."""
        ...

    async def unload(self, model: str) -> None:
        """Let it go when its requests have ended."""
        ...

    def keep(self, model: str, seconds: float) -> None:
        """How long it stays in memory without use from now on, until another value is given; negative: for ever."""
        ...

    def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model; it is offered once the generator ends. Closing the generator stops the download, and a
        later pull goes on from there."""
        ...

    async def copy(self, source: str, destination: str) -> None:
        """Offer a model under another name, too."""
        ...

    async def delete(self, model: str) -> None:
        """Remove the file. Nothing that belongs to other programs, or that the configuration names, is removed."""
        ...


class UpstreamProvider(Provider, Protocol):
    """A provider behind a network: one base URL of one configured service.

    It enforces `request.timeouts`, and takes a key from its KeyPool for each request; a key that is refused rests
    and the next one is tried at once. It never retries otherwise.
    """

    endpoint: str
    """The base URL, to tell the provider's endpoints apart."""
    open_ended: bool
    """Whether it takes model names that `models()` does not list."""

    def model(self, name: str) -> ModelInfo:
        """What is known of a model of this name, listed or not."""
        ...

    def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Pass a request on in its own dialect (an operation in the model's `ModelInfo.relays`).

        The first piece comes only once the reply's status, type and first event are known to be good, so that
        the caller may still turn elsewhere before it. A stream that breaks, or ends without what its dialect
        ends with, raises UpstreamError instead of a last piece.
        """
        ...

    async def check(self, timeout_s: float) -> None:
        """Ask something cheap that costs no tokens; raises UpstreamError when it is not well."""
        ...

    def keys(self) -> Sequence[KeyState]:
        """The keys and how they fare, for people; never their values."""
        ...


class SecretStore(Protocol):
    """Where keys lie. Values never appear in messages, logs or `repr`."""

    async def get(self, reference: str) -> str:
        """The secret behind "keyring:NAME", "env:NAME" or "command:…"; raises SecretError.

        Cheap when asked again; answers within a bounded time.
        """
        ...

    def forget(self, reference: str) -> None:
        """Read it anew next time."""
        ...


class Ledger(Protocol):
    """One row for each request, exactly once, also across kill -9."""

    def record(self, row: LedgerRow) -> None:
        """Write the row down before this returns (one write(2)); never blocks on the database, never raises.

        Call it from the event loop's thread.
        """
        ...

    def record_outcome(self, request_id: str, kind: OutcomeKind, value: float = 1.0) -> None:
        """Write down what became of a reply, likewise; `request_id` is LedgerRow.id."""
        ...


class ResponseStore(Protocol):
    """What the Responses API keeps on this machine. Nothing blocks the event loop; writing raises StoreError where the
    disk takes nothing, reading where it gives nothing. What has expired is not found.
    """

    async def keep(self, response: StoredResponse) -> None:
        """Keep a response, or replace the one of its id; once finished, what it holds is added to its conversation."""
        ...

    async def response(self, response_id: str) -> StoredResponse | None:
        """A response with all its items."""
        ...

    async def broken_off(self) -> Sequence[StoredResponse]:
        """The responses that are `running`: after a start, those that nobody makes any more."""
        ...

    async def forget(self, response_id: str) -> bool:
        """Delete a response; whether there was one."""
        ...

    async def history(self, response_id: str, max_bytes: int) -> History:
        """All that was said up to the end of a response; raises InvalidRequest where that is more than `max_bytes`.

        A response that is not known gives no items, and its id as `unknown_id`.
        """
        ...

    async def input_items(self, response_id: str, limit: int, order: Order, after: str | None) -> Page | None:
        """Some of a response's own input, behind the item `after`; None where there is no such response or item."""
        ...

    async def find(self, item_ids: Sequence[str]) -> Mapping[str, Item]:
        """The items of these ids, wherever they were said, as far as they are known."""
        ...

    async def begin_conversation(self, conversation: StoredConversation, items: Sequence[Item]) -> None:
        """Keep a new conversation."""
        ...

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """A conversation without its items."""
        ...

    async def describe_conversation(
        self, conversation_id: str, metadata: Mapping[str, str]
    ) -> StoredConversation | None:
        """Replace its metadata."""
        ...

    async def forget_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation and its items; whether there was one."""
        ...

    async def said(self, conversation_id: str, max_bytes: int) -> Sequence[Item]:
        """All items of a conversation; raises InvalidRequest where they are more than `max_bytes`."""
        ...

    async def conversation_items(
        self, conversation_id: str, limit: int, order: Order, after: str | None
    ) -> Page | None:
        """Some of a conversation's items, as `input_items`."""
        ...

    async def conversation_item(self, conversation_id: str, item_id: str) -> Item | None:
        """One item of a conversation."""
        ...

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation; whether there is such a one."""
        ...

    async def forget_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete one item of a conversation; whether there was one."""
        ...


class ProjectModel(Provider, Protocol):
    """The provider of `ghostd/project`: learns from the index's roots by itself, through the Index port."""

    def learned(self, root: Path) -> bool:
        """Whether the model covers the root's first complete pass."""
        ...

    async def wait_learned(self, root: Path) -> None:
        """Wait until the model covers the root's current generation."""
        ...


class IncomingFile(Protocol):
    """A file on its way into the store; left without `keep` it is gone."""

    async def write(self, block: bytes) -> None:
        """Append; raises BodyTooLarge, StorageFull or StoreError."""
        ...

    async def keep(
        self, *, purpose: str, filename: str, expires_after_s: int | None = None, file_id: str | None = None
    ) -> StoredFile:
        """It is complete: from now on it is there, also after a crash. Raises StorageFull or StoreError.

        `expires_after_s` None: as the purpose has it. `file_id` makes the operation repeatable: it replaces the file
        that has the id already.
        """
        ...


class FileStore(Protocol):
    """Files of clients, by id. What has expired is not there. Raises StoreError where the disk fails."""

    def incoming(self, *, limited: bool = True) -> AbstractAsyncContextManager[IncomingFile]:
        """Begin a file; `limited` False: what ghostd made itself is kept whatever the limits on uploads say."""
        ...

    async def get(self, file_id: str) -> StoredFile | None:
        """What is known of a file."""
        ...

    async def list(
        self, *, after: str | None = None, limit: int, descending: bool = True, purpose: str | None = None
    ) -> tuple[Sequence[StoredFile], bool]:
        """Files by age, behind the one named `after`, and whether there are more. Raises InvalidRequest for `after`.

        Without a `purpose` those of UPLOAD_PART are left out.
        """
        ...

    async def delete(self, file_id: str) -> bool:
        """Whether it was there."""
        ...

    def read(self, file_id: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Its content from the byte `start` on, in blocks; raises StoreError where it is not there, or was damaged."""
        ...


class Batches(Protocol):
    """Batches of requests, run in the background, also across restarts. Raises StoreError where the disk fails."""

    async def create(self, wanted: NewBatch) -> Batch:
        """Begin one. Raises InvalidRequest, or Overloaded when too many have not ended."""
        ...

    async def get(self, batch_id: str) -> Batch | None:
        """How it fares."""
        ...

    async def list(self, *, after: str | None = None, limit: int) -> tuple[Sequence[Batch], bool]:
        """The newest first, behind the one named `after`, and whether there are more. Raises InvalidRequest."""
        ...

    async def cancel(self, batch_id: str) -> Batch | None:
        """End it; what has been answered is kept. One that ends by itself by now is given back as it is."""
        ...
