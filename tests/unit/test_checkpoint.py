from __future__ import annotations

import pickle
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from cfcontra.checkpoint import load_checkpoint, save_checkpoint
from cfcontra.errors import InputError


def test_round_trip(model_file: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(model_file)
    save_checkpoint(tmp_path / "again.pt", loaded.model, loaded.metadata)
    again = load_checkpoint(tmp_path / "again.pt")
    assert again.metadata == loaded.metadata
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    assert list(tmp_path.iterdir()) == [tmp_path / "again.pt"]


def test_prototypes_travel_and_older_files_do_without(model_file: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(model_file)
    assert loaded.prototypes is None and loaded.known_prototypes() is None
    prototypes = torch.eye(96)[:11]
    prototypes[3] = 0
    save_checkpoint(tmp_path / "m.pt", loaded.model, loaded.metadata, prototypes)
    again = load_checkpoint(tmp_path / "m.pt")
    known = again.known_prototypes()
    assert again.prototypes is not None and torch.equal(again.prototypes, prototypes)
    assert known is not None and torch.equal(known, prototypes[[0, 1, 2, *range(4, 11)]])


def _content(path: Path) -> dict:  # type: ignore[type-arg]
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(version=99), "newer than this version"),
        (lambda c: c.update(format="other"), "not a cfcontra model"),
        (lambda c: c["metadata"].update(version=99), "newer than this version"),
        (lambda c: c.pop("metadata"), "without weights or metadata"),
        (lambda c: c["metadata"]["preprocessing"].pop("mean"), "malformed preprocessing"),
        (lambda c: c["metadata"]["model"].update(name="lihgt"), "Did you mean 'light'"),
        (lambda c: c["state_dict"].pop("head.bias"), "1 weights missing and 0 unexpected"),
        (lambda c: c["state_dict"].update(x=torch.ones(1)), "0 weights missing and 1 unexpected"),
        (lambda c: c["state_dict"].update({"head.bias": torch.ones(3)}), "do not fit"),
        (lambda c: c.update(prototypes=torch.ones(11, 5)), "prototypes are not float32"),
        (lambda c: c.update(prototypes="none"), "prototypes are not float32"),
        (lambda c: c.update(prototypes=torch.full((11, 96), torch.nan)), "prototypes hold NaN"),
    ],
)
def test_damaged_content(model_file: Path, tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    content = _content(model_file)
    change(content)
    path = tmp_path / "m.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil"),))


def test_pickled_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": _Evil()}, tmp_path / "m.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(_Evil()))
    for name in ("m.pt", "raw.pt"):
        with pytest.raises(InputError, match="not a cfcontra model"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("keep", [0, 10, 1000, -100])
def test_truncated(model_file: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(model_file.read_bytes()[:keep])
    with pytest.raises(InputError, match="truncated"):
        load_checkpoint(path)


def test_full_disk_keeps_the_previous_file(model_file: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = model_file.read_bytes()
    loaded = load_checkpoint(model_file)

    def full(content: object, stream: BinaryIO) -> None:
        stream.write(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match="Is the disk full"):
        save_checkpoint(model_file, loaded.model, loaded.metadata)
    assert model_file.read_bytes() == before
    assert [p.name for p in model_file.parent.iterdir()] == ["model.pt"]
