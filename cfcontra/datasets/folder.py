"""`folder:PATH`: pictures in `images/` and, where labelled, id maps in `labels/`."""

from __future__ import annotations

from pathlib import Path

from cfcontra.config import read_yaml
from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.images import list_images, read_image, read_label
from cfcontra.errors import InputError
from cfcontra.label_space import LabelSpace

LABEL_SPACE_FILE = "label_space.yaml"


class FolderDataset(SegmentationDataset):
    """Pictures of one folder, sorted by name.

    `PATH/images/NAME.jpg` goes with `PATH/labels/NAME.png`, a single-channel picture
    of ids. A `PATH/label_space.yaml` states the labels' space; otherwise it is the
    one given. Without labels, the pictures may also lie in `PATH` itself.

    Args:
        root: the folder.
        label_space: space of the labels where the folder does not state its own.
        labelled: read labels; False never opens a label file.

    Raises:
        InputError: missing or empty folder, or (labelled) a picture without a label.
    """

    def __init__(self, root: Path, label_space: LabelSpace, labelled: bool = True) -> None:
        if not root.is_dir():
            what = "is not a folder" if root.exists() else "no such folder"
            raise InputError(f"{root}: {what}. Give the folder that holds images/ and labels/.")
        images = root / "images"
        if not images.is_dir():
            if labelled:
                raise InputError(f"{root}: has no images/ folder (pictures) beside labels/ (ids).")
            images = root
        self.labelled = labelled
        self.label_space = _stated_label_space(root) or label_space
        self._images = list_images(images)
        if not self._images:
            raise InputError(f"{images}: holds no pictures.")
        self._labels = root / "labels"
        if labelled:
            self._require_labels()

    def _require_labels(self) -> None:
        if not self._labels.is_dir():
            raise InputError(
                f"{self._labels}: no such folder, but labels are needed here. "
                "Put an id map NAME.png there for every picture."
            )
        have = {path.stem for path in self._labels.glob("*.png")}
        bare = [path for path in self._images if path.stem not in have]
        if bare:
            raise InputError(
                f"{bare[0]}: has no label {self._labels / bare[0].stem}.png "
                f"({len(bare)} of {len(self._images)} pictures have none). Add or remove them."
            )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        path = self._images[index]
        image = read_image(path)
        if not self.labelled:
            return Sample(image, None, str(path))
        label_path = self._labels / f"{path.stem}.png"
        raw = read_label(label_path)
        if raw.shape != image.shape[:2]:
            raise InputError(
                f"{label_path}: is {raw.shape[1]}×{raw.shape[0]} but {path.name} is "
                f"{image.shape[1]}×{image.shape[0]}. They must be the same size."
            )
        return Sample(image, self.label_space.encode(raw, str(label_path)), str(path))


def _stated_label_space(root: Path) -> LabelSpace | None:
    path = root / LABEL_SPACE_FILE
    return LabelSpace.from_dict(read_yaml(path), str(path)) if path.exists() else None
