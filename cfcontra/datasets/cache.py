"""Keeping frames in memory that will be asked for again."""

from __future__ import annotations

from cfcontra.datasets.base import Sample, SegmentationDataset


class CachedDataset(SegmentationDataset):
    """Another data set whose samples are read, or generated, once while they fit.

    Args:
        dataset: what to keep.
        limit: most bytes kept in one process; samples beyond it are read each time.
    """

    def __init__(self, dataset: SegmentationDataset, limit: int = 1 << 30) -> None:
        self._dataset = dataset
        self._room = limit
        self._kept: dict[int, Sample] = {}
        self.label_space = dataset.label_space
        self.labelled = dataset.labelled

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self._kept.get(index)
        if sample is None:
            sample = self._dataset[index]
            parts = (sample.image, sample.label, sample.ignore)
            size = sum(part.nbytes for part in parts if part is not None)
            if size <= self._room:
                self._room -= size
                self._kept[index] = sample
        return sample
