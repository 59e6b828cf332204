"""How many tokens a local model's step gives with drafts, and what that is in time, on held-out code.

    python benchmarks/drafts.py [--places 30]

The "model" writes what the author wrote, so this measures the drafts: the tokens of three removed lines at places in
held-out files, by the vocabulary of Qwen2 (Qwen2.5-Coder's, too). A step gives one token, and those drafted ones that
are right. Drafts: none; prompt look-up as in llama-cpp-python (its own class and defaults); ghostd's, from the file and
the prompt alone, and with what the index finds and ghostd/project expects. The time of a step is measured in the same
run on a 126 MB model with random weights: decoding n + 1 tokens at once over decoding one, on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from completion_corpora import REPORTED, Corpus, Place, fetch, files_of, places, split
from gguf_fixtures import QWEN, write_gguf
from project_model import indexed
from retrieval import on_project
from vocabularies import Tokenizer, vocabulary

from ghostd.completion.drafting import draft_sources
from ghostd.completion.window import window
from ghostd.config.completion import ProjectModelConfig
from ghostd.context.retriever import Retriever
from ghostd.context.selection import ContextRequest
from ghostd.project_model.provider import MODEL, project_model
from ghostd.testing.memory_index import MemoryIndex
from ghostd.types import DraftSources, FillRequest
from ghostd.workers.drafts import Drafts, Policy, joined, packed

WINDOW_TOKENS = 1024
LINES = 3
MAX_TOKENS = 64
MOST = 10
"""Tokens of a draft, as llama-cpp-python's look-up has it."""

Draft = Callable[[list[int]], list[int]]
"""From all tokens so far to those that may follow."""


def cost_of_steps(most: int) -> list[float]:
    """Time of decoding 1, 2, … tokens at once, in those of one; medians."""
    import llama_cpp.llama_cpp as lib

    recipe = replace(QWEN, layers=8, dim=512, ffn=2048, heads=8, extra_tokens=30_000)
    with tempfile.TemporaryDirectory() as folder:
        file = write_gguf(Path(folder) / "m.gguf", recipe)
        silent = lib.llama_log_callback(lambda *_: None)
        lib.llama_log_set(silent, None)
        model = lib.llama_model_load_from_file(str(file).encode(), lib.llama_model_default_params())
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = 2048, 128, 128
        params.n_threads = params.n_threads_batch = 1
        context = lib.llama_init_from_model(model, params)
        memory = lib.llama_get_memory(context)

        def decode(tokens: Sequence[int]) -> float:
            buffer = (lib.llama_token * len(tokens))(*tokens)
            began = time.perf_counter()
            assert lib.llama_decode(context, lib.llama_batch_get_one(buffer, len(tokens))) == 0
            return time.perf_counter() - began

        for _ in range(8):
            decode([100] * 128)
        times: list[list[float]] = [[] for _ in range(most + 1)]
        for _ in range(30):
            for extra in range(most + 1):
                times[extra].append(decode([100] * (extra + 1)))
                lib.llama_memory_seq_rm(memory, 0, 1024, -1)
        lib.llama_free(context)
        lib.llama_model_free(model)
    single = statistics.median(times[0])
    return [statistics.median(one) / single for one in times]


def steps_of(prompt: list[int], truth: list[int], draft: Draft, cost: Sequence[float]) -> tuple[int, float, int, int]:
    """Steps to write `truth`, their time in single steps, tokens drafted, tokens accepted."""
    said, steps, spent, drafted, accepted = list(prompt), 0, 0.0, 0, 0
    left = list(truth)
    while left:
        guess = draft(said)[: len(cost) - 1]
        right = 0
        while right < min(len(guess), len(left) - 1) and guess[right] == left[right]:
            right += 1
        steps, spent = steps + 1, spent + cost[len(guess)]
        drafted, accepted = drafted + len(guess), accepted + right
        said += left[: right + 1]
        del left[: right + 1]
    return steps, spent, drafted, accepted


def prompt_lookup() -> Draft:
    """llama-cpp-python's, with its defaults (two-grams, ten tokens)."""
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

    look = LlamaPromptLookupDecoding()
    return lambda said: [int(token) for token in look(np.array(said, dtype=np.intc))]


def ghostd_drafts(prompt: list[int], sources: DraftSources, tokenize: Tokenizer, policy: Policy) -> Draft:
    """As the worker uses them."""
    expected = tokenize(sources.expected) if sources.expected else ()
    drafts, seen = Drafts(joined(packed(tokenize(text)) for text in sources.texts), expected), len(prompt)
    drafts.start(prompt)
    last = evidence = 0

    def draft(said: list[int]) -> list[int]:
        nonlocal seen, last, evidence
        if len(said) > seen:
            policy.seen(evidence, last, min(len(said) - seen - 1, last))
            drafts.say(said[seen:])
            seen = len(said)
        found, evidence = drafts.draft(MOST)
        found = found[: policy.length(evidence)]
        last = len(found)
        return found

    return draft


def widened(place: Place) -> Place:
    """The same hole with LINES lines removed."""
    gone = place.suffix.split("\n")[:LINES]
    removed = "\n".join(gone)
    return replace(place, truth=place.truth + removed, suffix=place.suffix[len(removed) :])


async def gather(corpus: Corpus, count: int, scratch: Path) -> list[tuple[Place, DraftSources, DraftSources]]:
    """Places with what their tokens may be drafted from: the file alone, and all."""
    root = fetch(corpus)
    learn, held_out = split(corpus, files_of(corpus, root))
    chosen = [widened(place) for place in places(root, held_out, count, f"{corpus.name}-drafts")]
    index = MemoryIndex(file_list=indexed(root, learn))
    await index.add_root(root)
    async with project_model(index, scratch / "model", ProjectModelConfig()) as model:
        await model.wait_learned(root)

        async def work(retriever: Retriever, root: Path) -> list[tuple[Place, DraftSources, DraftSources]]:
            found = []
            for place in chosen:
                request = FillRequest(MODEL, place.prefix, place.suffix, path=root / place.path, min_confidence=0.0)
                async with aclosing(model.fill(replace(request, max_lines=4))) as deltas:
                    expected = "".join([delta.text async for delta in deltas])
                context = await retriever.select(
                    ContextRequest(root, PurePosixPath(place.path), place.prefix, place.suffix, 16000, deadline_s=5.0)
                )
                quoted = [(str(chunk.path), chunk.text) for chunk in context.in_prompt_order()]
                found.append((place, draft_sources(request, "", ()), draft_sources(request, expected, quoted)))
            return found

        return await on_project(root, scratch / "index", work)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=30, help="places in each package")
    parser.add_argument("--packages", type=int, default=4)
    args = parser.parse_args()
    cost = cost_of_steps(MOST)
    print("time of n tokens at once, in those of one: " + ", ".join(f"{n + 1}: {c:.2f}" for n, c in enumerate(cost)))
    tokenize = Tokenizer(vocabulary())
    costs = lambda tokens: cost[tokens - 1]  # noqa: E731
    policies = Policy(costs, MOST), Policy(costs, MOST)  # of one model: what is learned in one place serves the next
    total: dict[str, list[tuple[int, int, float, int, int]]] = {}
    for corpus in REPORTED[: args.packages]:
        with tempfile.TemporaryDirectory() as scratch:
            gathered = asyncio.run(gather(corpus, args.places, Path(scratch)))
        for place, alone, everything in gathered:
            prompt = tokenize(window(place.prefix, place.suffix, WINDOW_TOKENS)[0])
            truth = tokenize(place.truth)[:MAX_TOKENS]
            for name, draft in (
                ("none", lambda _: []),
                ("prompt look-up (llama-cpp-python)", prompt_lookup()),
                ("ghostd, file and prompt", ghostd_drafts(prompt, alone, tokenize, policies[0])),
                ("ghostd, with the project", ghostd_drafts(prompt, everything, tokenize, policies[1])),
            ):
                total.setdefault(name, []).append((len(truth), *steps_of(prompt, truth, draft, cost)))
    print("| drafts | tokens a step | drafted tokens right | speed-up |\n|---|---|---|---|")
    for name, rows in total.items():
        tokens, steps, spent, drafted, accepted = (sum(column) for column in zip(*rows, strict=True))
        right = f"{100 * accepted / drafted:.0f} %" if drafted else "–"
        print(f"| {name} | {tokens / steps:.2f} | {right} | {tokens / spent:.2f} |")


if __name__ == "__main__":
    main()
