"""What TensorBoard shows beside curves: frames, and how alike the prototypes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.datasets import SegmentationDataset
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.visualize import colorize

from .averaging import result_network
from .confusion import draw_matrix
from .data import labels_of, usable_pixels
from .methods.contrast import Contrast
from .module import AdaptationModule
from .plain_frames import plain_frames
from .step_callback import StepCallback

_FRAMES = 3


class Panels(StepCallback):
    """Draws now and then and at the end, into the TensorBoard log; changes nothing of the run.

    Args:
        dataset: of a run that adapts, the target, opened without labels; else the source, whose
            labels are shown beside the predictions.
        every: steps between drawings.
    """

    def __init__(self, dataset: SegmentationDataset, every: int) -> None:
        self._dataset, self._every = dataset, every
        self._frames: tuple[Tensor, Tensor] | None = None

    def on_step_end(self, trainer: Trainer, module: AdaptationModule) -> None:
        step = trainer.global_step
        due = step % self._every == 0 or step == trainer.max_steps
        if not due or not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                self._draw(trainer, module, logger.experiment, step)

    def _draw(self, trainer: Trainer, module: AdaptationModule, board: Any, step: int) -> None:
        name = "source" if self._dataset.labelled else "target"
        board.add_image(name, self._rows(trainer, module), step, dataformats="HWC")
        for term in module.method.terms:
            if isinstance(term, Contrast):
                classes = module.metadata.label_space.classes
                matrix = prototype_similarity(term)
                title = "row: source prototype, column: target prototype, cosine x 100"
                picture = draw_matrix(matrix, classes, title)
                board.add_image("prototype_similarity", picture, step, dataformats="HWC")
                board.add_scalar("bank_cosine_between_classes", between_classes(matrix), step)

    @torch.no_grad()
    def _rows(self, trainer: Trainer, module: AdaptationModule) -> NDArray[np.uint8]:
        """Rows of frame, prediction, and labels: a source's own, a target's pseudo-labels."""
        labelled = self._dataset.labelled
        if self._frames is None:
            preprocessing = module.metadata.preprocessing
            ids_of = labels_of if labelled else usable_pixels
            self._frames = plain_frames(self._dataset, preprocessing, _FRAMES, ids_of)
        images, ids = self._frames
        values = images.to(module.device).float() / 255.0
        network = result_network(trainer, module)
        with module.looking(network):
            logits = network(module.normalize(values))
        found = [logits.argmax(dim=1)]
        if labelled:
            found.append(ids)
        else:
            usable = ids.to(module.device) == 0
            with module.looking(module.network):
                labels = module.method.pseudo_labels(module.network, values, usable)
            found += [part for _, part in sorted(labels.items())]
        space = module.metadata.label_space
        rows = []
        for index, image in enumerate(images):
            cells = [image.permute(1, 2, 0).numpy()]
            for maps in found:
                mask = _enlarged(maps[index].cpu(), cells[0].shape[:2])
                picture = colorize(mask, space)
                without = mask == IGNORE_INDEX  # the frame itself, darkened, is no class's colour
                picture[without] = cells[0][without] // 4
                cells.append(picture)
            rows.append(np.concatenate(cells, axis=1))
        return np.concatenate(rows)


def _enlarged(classes: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = (
        torch.arange(whole) * part // whole for whole, part in zip(size, classes.shape, strict=True)
    )
    enlarged: NDArray[np.uint8] = classes[rows][:, columns].byte().numpy()
    return enlarged


def prototype_similarity(contrast: Contrast) -> NDArray[np.float64]:
    """Cosine of each source prototype with each target prototype `[C, C]`; NaN where unseen."""
    source, target = contrast.source_bank, contrast.target_bank
    cosine = (source.prototypes.double() @ target.prototypes.double().t()).cpu().numpy()
    both = source.seen[:, None] & target.seen[None]
    return np.where(both.cpu().numpy(), cosine, np.nan)


def between_classes(similarity: NDArray[np.float64]) -> float:
    """Mean cosine of prototypes of different classes; NaN where there are none."""
    others = similarity[~np.eye(len(similarity), dtype=bool)]
    others = others[~np.isnan(others)]
    return float(others.mean()) if len(others) else float("nan")
