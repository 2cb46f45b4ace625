"""Figures for Prometheus: how busy the server is, and how sure its models are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cfcontra.runtime import Prediction

from .drift import Drift
from .jobs import Jobs
from .models import Models, ServedModel

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FRAMES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """One server's figures, in a registry of its own.

    Args:
        models: whose batches and predictions are watched.
        jobs: whose states are counted.
    """

    def __init__(self, models: Models, jobs: Jobs) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._requests = Histogram(
            "cfcontra_request_seconds",
            "From a request's first byte to its answer's last",
            ("route", "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._answers = Counter(
            "cfcontra_requests",
            "Requests answered",
            ("route", "method", "status"),
            registry=registry,
        )
        self._errors = Counter(
            "cfcontra_errors",
            "Requests that failed in the server, were turned away, or took too long",
            ("kind",),
            registry=registry,
        )
        self._runs = Histogram(
            "cfcontra_model_seconds",
            "One run of a model",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "cfcontra_batch_frames",
            "Frames in one run of a model",
            ("model",),
            buckets=_FRAMES,
            registry=registry,
        )
        self._depth = Gauge(
            "cfcontra_queue_frames", "Frames that wait for a model", ("model",), registry=registry
        )
        registry.register(_JobStates(jobs))
        self._drift = {name: Drift() for name in models}
        registry.register(_Scores(self._drift))
        for name, model in models.items():
            self._watch(name, model)

    def text(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self.registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        method = method if method in ("GET", "HEAD", "POST", "DELETE") else "other"
        self._requests.labels(route, method).observe(seconds)
        self._answers.labels(route, method, str(status or 499)).inc()
        kinds = {429: "busy", 504: "timeout", 500: "internal", 507: "full"}
        if status in kinds:
            self._errors.labels(kinds[status]).inc()

    def _watch(self, name: str, model: ServedModel) -> None:
        self._depth.labels(name).set_function(lambda: model.batcher.depth)
        model.batcher.on_batch = partial(self._batch, name)

    def _batch(self, name: str, prediction: Prediction, seconds: float) -> None:
        self._runs.labels(name).observe(seconds)
        self._batches.labels(name).observe(len(prediction.mask))
        self._drift[name].add(prediction)


class _JobStates(Collector):
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("cfcontra_jobs", "Videos by state", labels=["state"])
        for state, count in self._jobs.counts().items():
            family.add_metric([state.value], count)
        yield family


class _Scores(Collector):
    """Means over the last frames, and how far they are from where they should be."""

    def __init__(self, drifts: dict[str, Drift]) -> None:
        self._drifts = drifts

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels = ["model", "score"]
        means = GaugeMetricFamily(
            "cfcontra_score", "Mean of a score over the last frames", labels=labels
        )
        references = GaugeMetricFamily(
            "cfcontra_score_reference", "What the score is compared with", labels=labels
        )
        drifts = GaugeMetricFamily(
            "cfcontra_drift",
            "Distance of the score from its reference, in its standard deviations there",
            labels=labels,
        )
        for name, drift in self._drifts.items():
            for score, found in drift.scores().items():
                means.add_metric([name, score], found.mean)
                if not math.isnan(found.reference):
                    references.add_metric([name, score], found.reference)
                    drifts.add_metric([name, score], found.drift)
        yield from (means, references, drifts)
