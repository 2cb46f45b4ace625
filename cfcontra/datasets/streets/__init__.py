"""Procedural street scenes: the embedded default data, in two domains."""

from cfcontra.datasets.streets.dataset import StreetsDataset, drive, open_spec
from cfcontra.datasets.streets.styles import STYLES

__all__ = ["STYLES", "StreetsDataset", "drive", "open_spec"]
