"""Every network exports and agrees with its checkpoint at several sizes, odd ones among them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cfcontra.checkpoint import save_checkpoint
from cfcontra.export.exporter import export_model
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import MODELS, build_model
from cfcontra.preprocessing import Preprocessing

QUICK = {"light", "segformer-b0", "fpn-mobilenetv4"}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in sorted(MODELS)],
)
def test_it_exports_and_certifies(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model(name, 11).eval()
    metadata = ModelMetadata(
        LABEL_SPACES["camvid11"], Preprocessing((101, 150)), model.config(), {}
    )
    save_checkpoint(tmp_path / "model.pt", model, metadata)
    specs = ["streets:noon,size=96x160"]
    certificate = export_model(tmp_path / "model.pt", certify_specs=specs, certify_frames=3)
    assert certificate.agreement >= 0.9999
    sizes = [(row.size, row.batch) for row in certificate.sizes]
    assert sizes == [("96x160", 1), ("57x107", 3), ("101x150", 2)]
    # Of the networks themselves TensorRT takes every operator.
    refused = certificate.record["tensorrt"]["first"]
    assert not [text for text in refused if text.startswith("network/")]
