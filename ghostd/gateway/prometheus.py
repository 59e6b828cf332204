"""The daemon's figures in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from ghostd.suggestion_reports import CompletionsReport
from ghostd.suggestions.service import SuggestionService

__all__ = ["CONTENT_TYPE", "figures"]


def figures(suggestions: SuggestionService) -> bytes:
    """All of them as they are now."""
    registry = CollectorRegistry()
    registry.register(_Completions(suggestions))
    return generate_latest(registry)


class _Completions(Collector):
    """Completions for editors: https://prometheus.io/docs/practices/naming (base units, `_total`)."""

    def __init__(self, suggestions: SuggestionService) -> None:
        self._suggestions = suggestions

    def collect(self) -> Iterator[Metric]:
        """From the counters that are kept anyway."""
        report = self._suggestions.report()
        for name, text, value in (
            ("requests", "Completions that editors have asked for.", report.requests),
            ("empty", "Of them, those that nothing was shown for.", report.empty),
            ("unanswered", "Of them, those that were cancelled, or failed.", report.unanswered),
            ("accepted", "Completions that were accepted.", report.accepted),
        ):
            counter = CounterMetricFamily(f"ghostd_completion_{name}", text)
            counter.add_metric([], value)
            yield counter
        yield _latency(report)
        stages = CounterMetricFamily(
            "ghostd_completion_stage_seconds",
            "Where the time of completions went for which a model was asked.",
            labels=("model", "source", "stage"),
        )
        for source in report.sources:
            for stage, sum_ms in source.stages_sum_ms.items():
                stages.add_metric([source.model, source.origin, stage], sum_ms / 1000)
        yield stages


def _latency(report: CompletionsReport) -> HistogramMetricFamily:
    found = HistogramMetricFamily(
        "ghostd_completion_latency_seconds",
        "From an editor's request to the completion, by model and by how it came about.",
        labels=("model", "source"),
    )
    bounds = [f"{bound / 1000:g}" for bound in report.bounds_ms] + ["+Inf"]
    for source in report.sources:
        total, buckets = 0, []
        for bound, count in zip(bounds, source.counts, strict=True):
            total += count
            buckets.append((bound, total))
        found.add_metric([source.model, source.origin], buckets, sum_value=source.sum_ms / 1000)
    return found
