"""Several processes over gloo make the steps of one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from cfcontra.checkpoint import load_checkpoint
from cfcontra.train.prototype_bank import PrototypeBank, class_sums
from cfcontra.train.resuming import LAST

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {
        "method": "cfcontra",
        "steps": 4,
        "ema": 0.9,
        "checkpoint_every": 2,
        "contrast": {"pseudo_labels": "teacher", "init_batches": 2},
        "teacher": {"threshold": 0.1},
    },
}
_CLASSES, _DIMENSION, _STEPS = 5, 8, 4
# One of two processes: its half of the pixels of each step.
_HALF = """
import sys
import torch
import torch.distributed as dist
from cfcontra.train.prototype_bank import PrototypeBank, class_sums
rank, folder, full_count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
bank = PrototypeBank(5, 8, 0.9, full_count)
for features, labels in torch.load(f"{folder}/pixels.pt"):
    half = slice(rank * len(labels) // 2, (rank + 1) * len(labels) // 2)
    bank.update(*class_sums(features[half], labels[half], 5))
torch.save(bank.state_dict(), f"{folder}/bank{rank}.pt")
dist.destroy_process_group()
"""


@pytest.mark.parametrize("full_count", [0, 10])
def test_two_processes_have_the_banks_of_one_with_the_whole_batch(
    tmp_path: Path, full_count: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    steps = []
    for _ in range(_STEPS):
        features = torch.randn(40, _DIMENSION, generator=generator)
        labels = torch.randint(0, _CLASSES - 1, (40,), generator=generator)
        labels[:20][labels[:20] == 2] = 255  # a class that only the second process sees
        steps.append((torch.nn.functional.normalize(features, dim=1), labels))
    torch.save(steps, tmp_path / "pixels.pt")
    started = [
        subprocess.Popen([sys.executable, "-c", _HALF, str(rank), str(tmp_path), str(full_count)])
        for rank in (0, 1)
    ]
    assert [process.wait(60) for process in started] == [0, 0]
    whole = PrototypeBank(_CLASSES, _DIMENSION, 0.9, full_count)
    for features, labels in steps:
        whole.update(*class_sums(features, labels, _CLASSES))
    for rank in (0, 1):
        bank = torch.load(tmp_path / f"bank{rank}.pt")
        torch.testing.assert_close(bank["prototypes"], whole.prototypes, rtol=0, atol=1e-6)
        assert torch.equal(bank["seen"], whole.seen)
        assert not bool(bank["seen"][_CLASSES - 1])


def test_two_processes_bear_parameters_that_rest_during_the_warm_up(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    make_folder(tmp_path / "day", frames=5)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "cfcontra-adapt"), "--recipe", "small.yaml"),
            *("--source", "folder:day", "--target", "folder:day", "--run", "advent", "--quiet"),
            *("--device", "cpu", "--devices", "2", "--method", "advent", "--target_warmup", "2"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_run_of_two_processes_and_its_resuming(
    tmp_path: Path, make_folder: Callable[..., Path], model_file: Path
) -> None:
    make_folder(tmp_path / "day", frames=5)
    make_folder(tmp_path / "dusk", frames=5, seed=5)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    shutil.copy(model_file, tmp_path / "first.pt")
    command = [
        *(str(Path(sys.executable).parent / "cfcontra-adapt"), "--recipe", "small.yaml"),
        *("--source", "folder:day", "--target", "folder:dusk", "--val", "folder:dusk"),
        *("--init", "first.pt", "--run", "two", "--device", "cpu", "--devices", "2"),
    ]
    # Children find each other through these; a test run of many processes may have set them.
    environment = {k: v for k, v in os.environ.items() if k not in {"LOCAL_RANK", "MASTER_PORT"}}

    def call(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    ended = call()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("mIoU") == 1 and ended.stdout.count("model:") == 1
    place = tmp_path / "runs" / "two"
    model = load_checkpoint(place / "model.pt").model
    banks = torch.load(place / LAST, weights_only=True)["current_model_state"]
    assert bool(banks["method.terms.2.source_bank.seen"].any())
    (place / "model.pt").unlink()
    ended = call("--resume")
    assert ended.returncode == 0, ended.stderr
    again = load_checkpoint(place / "model.pt").model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
    one_process = call("--resume", "--overwrite", "--devices", "1")
    assert one_process.returncode == 2
    assert "processes (2 → 1)" in one_process.stderr
