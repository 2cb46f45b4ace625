"""Datasets: `open_dataset(spec)` opens any of them; each yields `Sample`s."""

from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.spec import open_dataset

__all__ = ["Sample", "SegmentationDataset", "open_dataset"]
