"""Scores on labelled data while a run is going on; for show only, nothing learns from them."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from cfcontra.checkpoint import Checkpoint
from cfcontra.datasets import Sample, SegmentationDataset
from cfcontra.datasets.cache import CachedDataset
from cfcontra.datasets.spec import SlicedDataset
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.runtime.torch_backend import TorchBackend

from .averaging import result_network
from .evaluate import evaluate_backend
from .methods.base import resize_labels
from .module import AdaptationModule
from .plain_frames import plain_frames
from .step_callback import StepCallback

_FRAMES, _BATCH = 16, 4


class Validation(StepCallback):
    """Every so many steps, scores what the run would end with as `cfcontra-eval` does.

    Where the method labels target frames, the labels it would give to some of these frames
    are held against the true ones: `pseudo_label_accuracy/CLASS`, the share of those labelled
    so that are of that class, and `pseudo_label_coverage/CLASS`, the share of that class's
    pixels that are labelled at all. The mIoU is also the metric `val/miou` of the trainer.

    Args:
        dataset: with labels.
        every: steps between scores; the last step is left out, the run's end scores it.
        frames: most frames that are scored, evenly spread; 0 for all.
    """

    def __init__(self, dataset: SegmentationDataset, every: int, frames: int = 0) -> None:
        if 0 < frames < len(dataset):
            dataset = SlicedDataset(dataset, slice(0, None, -(-len(dataset) // frames)), "val")
        self._dataset, self._every = CachedDataset(dataset), every
        self._frames: tuple[Tensor, Tensor] | None = None

    def on_step_end(self, trainer: Trainer, module: AdaptationModule) -> None:
        step = trainer.global_step
        due = step % self._every == 0 and step < trainer.max_steps
        if not due or not trainer.is_global_zero:
            return
        network = result_network(trainer, module)
        with module.looking(network):
            backend = TorchBackend(Checkpoint(network, module.metadata), str(module.device))
            miou = evaluate_backend(backend, self._dataset).miou
        module.log("val/miou", miou, logger=False, rank_zero_only=True)
        figures = {"val/miou": miou, **self._pseudo_labels(module)}
        for logger in trainer.loggers:  # at once, not at the next step that is logged anyway
            logger.log_metrics(figures, step - 1)

    @torch.no_grad()
    def _pseudo_labels(self, module: AdaptationModule) -> dict[str, float]:
        if self._frames is None:
            preprocessing = module.metadata.preprocessing
            self._frames = plain_frames(self._dataset, preprocessing, _FRAMES, _true_classes)
        classes = module.metadata.label_space.classes
        count = len(classes)
        joint: dict[str, Tensor] = {}
        parts: list[tuple[Tensor, ...]] = [torch.split(part, _BATCH) for part in self._frames]
        for images, truth in zip(*parts, strict=True):
            values = images.to(module.device).float() / 255.0
            with module.looking(module.network):
                valid = torch.ones_like(truth, dtype=torch.bool).to(module.device)
                found = module.method.pseudo_labels(module.network, values, valid)
            for giver, labels in found.items():
                same_size = resize_labels(truth.long(), labels[:, None])
                counts = label_counts(labels.cpu(), same_size, count)
                joint[giver] = joint.get(giver, torch.zeros_like(counts)) + counts
        figures = {}
        for giver, counts in joint.items():
            place = "" if len(joint) == 1 else f"_{giver}"
            for name, accuracy, coverage in zip(
                classes, *accuracy_and_coverage(counts), strict=True
            ):
                figures[f"pseudo_label_accuracy{place}/{name}"] = accuracy
                figures[f"pseudo_label_coverage{place}/{name}"] = coverage
        return {name: value for name, value in figures.items() if value == value}


def _true_classes(sample: Sample) -> Any:
    assert sample.label is not None, "validation data is opened with labels"
    return sample.label


def label_counts(labels: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Pixels `[C, C + 1]` by true class and given label, the last column having none.

    Args:
        labels, truth: long, of one shape, 255 for none.
    """
    counted = truth != IGNORE_INDEX
    given = labels[counted].where(labels[counted] != IGNORE_INDEX, num_classes)
    joint = torch.bincount(
        truth[counted] * (num_classes + 1) + given, minlength=num_classes * (num_classes + 1)
    )
    return joint.view(num_classes, num_classes + 1)


def accuracy_and_coverage(counts: Tensor) -> tuple[list[float], list[float]]:
    """Per class, NaN where there is nothing to say, from what `label_counts` gives."""
    labelled = counts[:, :-1].double()
    accuracy = labelled.diagonal() / labelled.sum(dim=0)
    coverage = labelled.sum(dim=1) / counts.sum(dim=1)
    return accuracy.tolist(), coverage.tolist()
