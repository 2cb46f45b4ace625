"""A model for a demo that was given none: fitted in seconds, to show how things work."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cfcontra import __version__
from cfcontra.files import prepare_output_folder

SPEC = "streets:noon"
_FRAMES, _SIZE, _WORK_SIZE, _STEPS, _BATCH = 6, (128, 224), (64, 112), 40, 3

NOTE = (
    "No model given: this is a stand-in, fitted in seconds to a few generated streets. It shows "
    "how the page works, not how good a model is. cfcontra-quickstart makes a real one."
)


def stand_in_file() -> Path:
    """Where it is kept, for this version of the package."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "cfcontra" / f"stand-in-{__version__}.pt"


def make_stand_in(path: Path) -> None:
    """Fit a light network to labelled frames of generated streets, and write it as a `model.pt`.

    `cfcontra-train` does this properly; what is left here is cross-entropy on the same few
    frames, which is all that a page without a model needs.

    Raises:
        InputError: the file cannot be written.
    """
    import torch
    import torch.nn.functional as F

    from cfcontra.checkpoint import save_checkpoint
    from cfcontra.datasets import open_dataset
    from cfcontra.metadata import ModelMetadata
    from cfcontra.models import build_model
    from cfcontra.preprocessing import Preprocessing
    from cfcontra.runtime.torch_backend import letterbox

    prepare_output_folder(path.parent)
    dataset = open_dataset(f"{SPEC},size={_SIZE[0]}x{_SIZE[1]}")
    samples = [dataset[index] for index in range(_FRAMES)]
    preprocessing = Preprocessing(_WORK_SIZE)
    images = letterbox(torch.from_numpy(np.stack([s.image for s in samples])), preprocessing)
    labels = torch.from_numpy(np.stack([s.label for s in samples if s.label is not None]))
    labels = F.interpolate(labels[:, None].float(), size=_WORK_SIZE).long()[:, 0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("light", dataset.label_space.num_classes).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(_STEPS):
            chosen = torch.randint(_FRAMES, (_BATCH,))
            logits = F.interpolate(model(images[chosen]), size=_WORK_SIZE, mode="bilinear")
            loss = F.cross_entropy(logits, labels[chosen], ignore_index=255)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    training = {"method": "stand-in", "steps": _STEPS, "source": SPEC, "note": NOTE}
    metadata = ModelMetadata(dataset.label_space, preprocessing, model.config(), training)
    save_checkpoint(path, model.eval(), metadata)
