"""What is looked at before a video is begun: settings, and what lies where results go."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.files import prepare_output, prepare_output_folder

from .source import Source


def refuse_existing(outputs: Iterable[Path]) -> None:
    """Refuse to write where there is something already.

    Raises:
        InputError: an output exists.
    """
    for output in outputs:
        if output.exists():
            raise InputError(f"{output}: exists already. Use --overwrite to replace it.")


def refuse_source_as_output(source: Path | Source, output: Path) -> None:
    """Refuse to write over what is being read.

    Raises:
        InputError: they are the same file.
    """
    path = source if isinstance(source, Path) else Path(source.name)
    if output.exists() and path.exists() and output.samefile(path):
        raise InputError(f"{output}: is the source itself; choose another --output.")


def check_settings(opacity: float, batch: int | None, every: int = 1) -> None:
    """Refuse values out of range.

    Raises:
        InputError: opacity outside 0–1, or a batch or step below 1.
    """
    if not 0.0 <= opacity <= 1.0:
        raise InputError(f"--opacity {opacity}: give a number from 0 to 1.")
    if batch is not None and batch < 1:
        raise InputError(f"--batch {batch}: give 1 or more.")
    if every < 1:
        raise InputError(f"--every {every}: give 1 or more.")


def prepare_result(output: Path, folder: bool, overwrite: bool) -> None:
    """Make sure that a file, or a folder of pictures, can be written.

    Args:
        output: the file or folder.
        folder: which of them.
        overwrite: whether what is there may be replaced.

    Raises:
        InputError: something in the way, or no folder can be made for it.
    """
    if not folder:
        prepare_output(output, overwrite)
        return
    if not overwrite:
        refuse_existing([output])
    prepare_output_folder(output.parent)
