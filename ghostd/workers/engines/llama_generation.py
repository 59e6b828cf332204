"""One generation of the in-process engine: the tokens it has, and those it picks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from ghostd.workers import healing
from ghostd.workers.drafts import MOST_TOKENS, Drafts
from ghostd.workers.engines.contract import (
    PENALTY_WINDOW_TOKENS,
    EndStep,
    GenerationOptions,
    Logprob,
    Owner,
    TokenStep,
)
from ghostd.workers.engines.drafting import Drafting
from ghostd.workers.engines.llama_sampling import Sampler, best_tokens, log_probabilities, penalises
from ghostd.workers.engines.llama_sequences import KvSequence, KvSequences
from ghostd.workers.engines.llama_vocabulary import LlamaVocabulary
from ghostd.workers.engines.prefix import common_prefix

Loop = Generator[TokenStep | EndStep | None, tuple[int, Sequence[int]], None]
"""Yields None where it wants its tokens computed. Then it is sent the row of the last one's logits, and the tokens of
the draft that were computed with it, whose rows follow."""


class LlamaGeneration:
    """Implements contract.Generation and llama_sequences.Holder.

    `tokens` is all of the text so far; how much of it is computed is the sequence's affair, so that a generation
    that has lost its sequence goes on in another one. `draft` is what may come next: each of its tokens is only taken
    where the sampler picks it anyway.
    """

    pausable = True

    def __init__(
        self,
        lib: Any,
        context: int,
        vocabulary: LlamaVocabulary,
        sequences: KvSequences,
        prompt: Sequence[int],
        options: GenerationOptions,
        owner: Owner,
        drafting: Drafting | None = None,
    ) -> None:
        """Raises RequestInvalid."""
        self._lib, self._context, self._vocabulary, self._sequences = lib, context, vocabulary, sequences
        self._options = options
        self._prompt_tokens = len(prompt)
        self._shown = vocabulary.ids_of(options.markers)
        self.tokens = list(prompt)
        self._left = b"" if options.max_tokens == 0 else self._take_back()
        """What has been taken back of the prompt and is not written anew yet."""
        self.owner = owner
        self.warming = options.max_tokens == 0
        self.sequence: KvSequence | None = None
        self.cached_tokens = 0
        """Of the prompt, found in the cache when it began."""
        self.told = False
        """Whether that has been said."""
        self.draft: list[int] = []
        """Tokens that are worth being computed with the next step, as the next ones may be the same."""
        self._evidence = 0
        self._drafting = drafting
        self._drafts: Drafts | None = None
        if drafting is not None and _may_draft(options):
            expected = self._left.decode("ascii") + options.expected
            self._drafts = drafting.drafts(self.tokens, expected if options.expected else "", options.references)
        self._sampler = None if self.warming else Sampler(lib, vocabulary.native, vocabulary.size, options, prompt)
        self._loop = self._continue()
        self._begun = False
        self.wants = False
        """Whether it waits for its tokens to be computed."""

    def resume(self, row: int = -1, drafted: Sequence[int] = ()) -> TokenStep | EndStep | None:
        """Go on up to the next token or the end, or None where tokens have to be computed first; `row` has the logits
        of the last one, and the rows behind it those of `drafted`. Raises RequestInvalid."""
        step = self._loop.send((row, drafted)) if self._begun else next(self._loop)
        self._begun = True
        self.wants = step is None
        return step

    def close(self) -> None:
        """Free the samplers, and leave the sequence to others."""
        self._loop.close()
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        if self.sequence is not None:
            self._sequences.release(self.sequence)
            self.sequence = None

    def _continue(self) -> Loop:
        options, vocabulary = self._options, self._vocabulary
        late = options.late_grammar
        if self._sampler is None:
            yield None
            yield EndStep("length")
            return
        written = 0
        while written < options.max_tokens and len(self.tokens) < self._prompt_tokens + options.max_tokens:
            self.draft = self._drafted(options.max_tokens - written - 1)
            row, drafted = yield None
            if self._left:
                if data := self._heal(row):
                    written += 1
                    yield TokenStep(data, 1, (), (self.tokens[-1],))
                continue
            tokens, over = self._pick(self._sampler, row, drafted)
            right = common_prefix(tokens, drafted, min(len(tokens), len(drafted)))
            if drafted and self._drafting is not None:
                self._drafting.policy.seen(self._evidence, len(drafted), right)
            written += len(tokens)
            pieces = [vocabulary.piece(token, special=token in self._shown) for token in tokens]
            logprobs: tuple[Logprob, ...] = ()
            if options.logprobs is not None:
                described = enumerate(zip(tokens, pieces, strict=True), row)
                logprobs = tuple(self._logprob(at, *token, options.logprobs) for at, token in described)
            self._take(tokens)
            if tokens:
                yield TokenStep(b"".join(pieces), len(tokens), logprobs, tuple(tokens), len(drafted), right)
            if over:
                yield EndStep("stop")
                return
            if late is not None and (opening := late.opened()) is not None:
                self._bind(self._sampler, late.text(), opening.encode())
        yield EndStep("length")

    def _pick(self, sampler: Sampler, row: int, drafted: Sequence[int]) -> tuple[list[int], bool]:
        """The tokens that come next: those of the draft, as far as they are picked, and one more; whether the text ends
        behind them."""
        picked: list[int] = []
        over = False
        for place in range(len(drafted) + 1):
            token = sampler.sample(self._context, row + place)
            over = self._vocabulary.ends(token) and not self._options.ignore_end
            if over:
                break
            picked.append(token)
            if place < len(drafted) and token != drafted[place]:
                break
        return picked, over

    def _drafted(self, most: int) -> list[int]:
        """What may come next, as far as it pays to have it computed in one step."""
        if self._drafts is None or self._drafting is None or self._left or most < 1:
            return []
        draft, self._evidence = self._drafts.draft(min(most, MOST_TOKENS))
        return draft[: self._drafting.policy.length(self._evidence)] if draft else []

    def _take(self, tokens: Sequence[int]) -> None:
        self.tokens.extend(tokens)
        if self._drafts is not None:
            self._drafts.say(tokens)

    def _take_back(self) -> bytes:
        options, vocabulary = self._options, self._vocabulary
        bound = options.grammar or options.json_schema or options.late_grammar or options.logit_bias
        if not options.heal or options.temperature > 0 or bound or penalises(options) or options.logprobs is not None:
            return b""
        last = self.tokens[1:][-healing.MOST_TOKENS - 1 :]  # one is left
        pieces = [vocabulary.piece(token) for token in last]
        count = healing.taken_back(pieces)
        spelled = b"".join(pieces[len(pieces) - count :])
        # What cannot be spelled by itself (SentencePiece puts a space before it) is left alone.
        alone = vocabulary.tokenize(spelled.decode("ascii"), special=False)
        if not count or b"".join(map(vocabulary.piece, alone)) != spelled:
            return b""
        del self.tokens[-count:]
        return spelled

    def _heal(self, row: int) -> bytes:
        """Pick a token that spells what was taken back; what it writes behind that."""
        vocabulary, left = self._vocabulary, self._left
        best = best_tokens(self._lib, self._context, row, vocabulary.size, healing.CANDIDATES)
        token = healing.pick(((one, vocabulary.piece(one)) for one in best), left)
        if token is None:
            token = vocabulary.tokenize(left.decode("ascii"), special=False)[0]
        data = vocabulary.piece(token)
        self._left = left[len(data) :]
        self._take((token,))
        return data[len(left) :]

    def _bind(self, sampler: Sampler, grammar: str, opening: bytes) -> None:
        """Let the grammar take over from `opening` on, the end of what was written."""
        size, first = 0, len(self.tokens)
        while size < len(opening) and first > self._prompt_tokens:
            first -= 1
            size += len(self._vocabulary.piece(self.tokens[first], special=True))
        recent = max(self._prompt_tokens - PENALTY_WINDOW_TOKENS, 0)
        sampler.bind(grammar, opening, self.tokens[first:], self.tokens[recent:])

    def _logprob(self, row: int, token: int, data: bytes, alternatives: int) -> Logprob:
        """From the full distribution, before penalties and truncation."""
        best = log_probabilities(self._lib, self._context, row, self._vocabulary.size, token, alternatives)
        top = tuple((self._vocabulary.piece(other), value) for other, value in best.top)
        return Logprob(token, data, best.own, top, tuple(other for other, _ in best.top))


def _may_draft(options: GenerationOptions) -> bool:
    """Not where a late grammar may bind the reply from any token on, nor with a seed that promises a text: computed
    with others, a token's logits differ in their last digits, which may turn a draw."""
    seeded = options.seed is not None and options.temperature > 0
    return options.max_tokens > 0 and options.late_grammar is None and not (options.ignore_end or seeded)
