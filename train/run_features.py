"""Where a run's classes lay in feature space before it and lie after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cfcontra.checkpoint import Checkpoint
from cfcontra.datasets import SegmentationDataset
from cfcontra.files import atomic_write_torch
from cfcontra.runtime.torch_backend import TorchBackend

from .data import labels_of, usable_pixels
from .feature_map import ClassPoints, Plane, class_means, draw_feature_map, labels_where
from .methods.contrast import Contrast
from .module import AdaptationModule
from .plain_frames import plain_frames
from .projection_head import ProjectionHead
from .settings import ContrastSettings

BANKS = "banks.pt"
_FRAMES, _BATCH = 12, 4


@dataclass(frozen=True)
class RunPrototypes:
    """The prototypes that a run ended with, and the space they are in.

    Attributes:
        about: what they are, in words.
        points: the prototypes.
        project: from features `[N, D, h, w]` before the classifier to their space.
    """

    about: str
    points: list[ClassPoints]
    project: Callable[[Tensor], Tensor]


def note_banks(folder: Path, module: AdaptationModule) -> None:
    """Keep a run's projection head and prototype banks, where it has them."""
    for term in module.method.terms:
        if isinstance(term, Contrast):
            atomic_write_torch(folder / BANKS, term.state_dict())


def run_prototypes(folder: Path, recipe: dict[str, Any], trained: Checkpoint) -> RunPrototypes:
    """A run's banks where it has them, else the class prototypes of its model file.

    Args:
        recipe: as run.
        trained: the run's `model.pt`.
    """
    if not (folder / BANKS).is_file():
        points = []
        if trained.prototypes is not None:
            classes = trained.prototypes.any(dim=1).nonzero()[:, 0]
            points.append(ClassPoints("prototype", trained.prototypes[classes], classes))
        about = "features before the classifier, with the class prototypes of the model file"
        return RunPrototypes(about, points, lambda features: features)
    settings = ContrastSettings(**recipe["adapt"]["contrast"])
    state = torch.load(folder / BANKS, map_location="cpu", weights_only=True)
    head = ProjectionHead(trained.model.feature_channels, settings.head, settings.dimension).eval()
    head.load_state_dict(
        {k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")}
    )
    points = []
    for domain in ("source", "target"):
        seen = state[f"{domain}_bank.seen"]
        prototypes = state[f"{domain}_bank.prototypes"][seen]
        points.append(ClassPoints(f"{domain} prototype", prototypes, seen.nonzero()[:, 0]))

    def project(features: Tensor) -> Tensor:
        rows: Tensor = head(features)
        count, _, height, width = features.shape
        return rows.view(count, height, width, -1).permute(0, 3, 1, 2)

    return RunPrototypes(
        "features through the run's projection head, with its banks", points, project
    )


def feature_maps(
    prototypes: RunPrototypes,
    before: TorchBackend | None,
    after: TorchBackend,
    source: SegmentationDataset,
    target: SegmentationDataset,
) -> str:
    """Class features of both domains before and after the run, as HTML.

    Both maps show the prototypes that the run ended with, in one plane: what moved between them
    are the features.
    """
    space, preprocessing = after.metadata.label_space, after.metadata.preprocessing
    frames = {
        "source": plain_frames(source, preprocessing, _FRAMES, labels_of),
        "target": plain_frames(target, preprocessing, _FRAMES, usable_pixels),
    }
    maps = {
        title: [*_points(backend, frames, prototypes.project), *prototypes.points]
        for title, backend in (("before", before), ("after", after))
        if backend is not None
    }
    plane = Plane.through([part for points in maps.values() for part in points])
    drawn = "".join(draw_feature_map(title, points, plane, space) for title, points in maps.items())
    both = "Both maps are" if len(maps) > 1 else "The map is"
    about = (
        f"Mean of each class in each frame: {prototypes.about}. {both} in the plane of the first "
        "two principal components of all points shown."
    )
    return f'<div class="curves">{drawn}</div><p>{about}</p>'


@torch.inference_mode()
def _points(
    backend: TorchBackend,
    frames: dict[str, tuple[Tensor, Tensor]],
    project: Callable[[Tensor], Tensor],
) -> list[ClassPoints]:
    space = backend.metadata.label_space
    points = []
    for domain, (images, ids) in frames.items():
        features, predicted = [], []
        for part in torch.split(images, _BATCH):
            output = backend.forward(part)
            features.append(project(output.features))
            classes = output.logits.argmax(dim=1, keepdim=True).float()
            predicted.append(F.interpolate(classes, size=ids.shape[1:], mode="nearest").long())
        labels = ids.long()
        if domain == "target":
            labels = labels_where(labels, torch.cat(predicted)[:, 0])
        points.append(class_means(domain, torch.cat(features), labels, space.num_classes))
    return points
