"""Domain-adaptive driving-scene segmentation: adapt, export, run."""

__version__ = "0.1.0"
