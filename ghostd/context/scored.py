"""How good retrieval is on one project, step by step: hidden lines, and git history's co-change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from ghostd.code_ports import GitHistory
from ghostd.context.evaluate import LANGUAGES, METHODS, Recall, evaluate, hidden_lines
from ghostd.context.retriever import Retriever
from ghostd.context_reports import CoChangeReport, EvaluationOrder, RetrievalReport
from ghostd.errors import InvalidRequest

MAX_LINES = 5_000
COMMITS = 200
"""The last ones, by which co-change is judged."""


def check(order: EvaluationOrder) -> None:
    """Raises InvalidRequest."""
    if not 1 <= order.lines <= MAX_LINES:
        raise InvalidRequest(f"`lines` is a number from 1 to {MAX_LINES}.", "lines")
    unknown = sorted(set(order.languages) - LANGUAGES)
    if unknown:
        known = ", ".join(sorted(LANGUAGES))
        raise InvalidRequest(f"`languages`: {unknown[0]!r:.100} cannot be judged; what can: {known}.", "languages")


async def score_project(
    retriever: Retriever, history: GitHistory | None, order: EvaluationOrder
) -> AsyncGenerator[RetrievalReport, None]:
    """The result so far, once the lines have been chosen and after each of them; the last one is `finished`."""
    root = Path(order.root)
    languages = frozenset(order.languages) or LANGUAGES
    hidden = await hidden_lines(retriever.parts.index, root, order.lines, order.seed, languages)
    report = _report(order, len(hidden), Recall())
    yield report
    async for recall in evaluate(retriever, root, hidden, seed=order.seed):
        report = _report(order, len(hidden), recall)
        yield report
    yield _finished(report, None if history is None else await _co_change(history, root))


async def _co_change(history: GitHistory, root: Path) -> CoChangeReport | None:
    score = await history.co_change_score(root, COMMITS)
    if not score.tried:
        return None
    return CoChangeReport(score.tried, score.hits / score.tried, score.floor_hits / score.tried)


def _report(order: EvaluationOrder, found: int, recall: Recall) -> RetrievalReport:
    return RetrievalReport(
        root=order.root,
        wanted=order.lines,
        found=found,
        done=recall.lines,
        methods={
            method: {str(budget): round(share, 4) for budget, share in recall.recall[method].items()}
            for method in METHODS
            if method in recall.recall
        },
        p50_ms=round(_percentile(recall.wall_ms, 0.5), 2),
        p95_ms=round(_percentile(recall.wall_ms, 0.95), 2),
        later_p50_ms=round(_percentile(recall.later_ms, 0.5), 2),
        later_p95_ms=round(_percentile(recall.later_ms, 0.95), 2),
        seed=order.seed,
    )


def _finished(report: RetrievalReport, co_change: CoChangeReport | None) -> RetrievalReport:
    from msgspec.structs import replace

    return replace(report, co_change=co_change, finished=True)


def _percentile(values: Sequence[float], share: float) -> float:
    """0 for none."""
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0
