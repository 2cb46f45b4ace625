"""The model in brief, from the metadata in its file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from cfcontra.runtime import Backend


def card_html(path: Path, backend: Backend) -> str:
    """A small table: what the model is, how it came about, how good it is."""
    metadata = backend.metadata
    height, width = metadata.preprocessing.work_size
    space = metadata.label_space
    rows = {
        "file": path.name,
        "network": metadata.model.get("name"),
        "classes": f"{space.num_classes} ({space.name})",
        "working size": f"{width}×{height}",
        **_training_rows(metadata.training),
        "exported": _agreement(metadata.certificate),
        "runs in": f"{backend.runtime}, {backend.device}",
    }
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in rows.items()
        if value
    )
    return f'<div class="card"><dl>{items}</dl></div>'


def _training_rows(training: dict[str, Any]) -> dict[str, Any]:
    method, steps = training.get("method"), training.get("steps")
    scores = training.get("val")
    score = None
    if isinstance(scores, dict) and isinstance(scores.get("miou"), int | float):
        score = f"{100 * scores['miou']:.1f} mIoU on {scores.get('data', 'its validation data')}"
    return {
        "method": f"{method}, {steps} steps" if method and steps else method,
        "source": training.get("source"),
        "target": training.get("target"),
        "score": score,
    }


def _agreement(certificate: dict[str, Any]) -> str | None:
    agreement = certificate.get("agreement")
    if not isinstance(agreement, int | float):
        return None
    return f"certified, {agreement:.2%} of pixels as the checkpoint"
