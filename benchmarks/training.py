"""What CFContra's fine stage costs, against the ways it is usually written.

    python benchmarks/training.py --threads 2           # on a CPU
    python benchmarks/training.py --device cuda

The contrast step is the loss of all four terms, its backward pass, and the update of both
banks, on L2-normalised source and target features `[1, 2048, 81, 161]` with labels of 19
classes; the projection head and the pseudo-labels are the same for everyone and left out.
Baselines: `masked maps`, a masked full-size map for every class, as in the authors' code;
`selected pixels`, a loop over `z[label == k]`. All compute the same: the losses, gradients
and banks are compared before anything is timed. Then a whole CFContra step against a MinEnt
step on the same batch. Times are medians of runs that take turns.

Memory is the peak above what the inputs take: of torch's allocator on CUDA, of all
allocations that torch's profiler records on a CPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rows import row, write_rows
from torch import Tensor

from cfcontra.allocator import keep_freed_memory
from cfcontra.checkpoint import Checkpoint
from cfcontra.device import resolve_device, set_threads
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing
from cfcontra.train.data import DomainBatch, PairedBatch
from cfcontra.train.losses.contrastive import prototype_contrast
from cfcontra.train.module import AdaptationModule
from cfcontra.train.prototype_bank import PrototypeBank, class_sums
from cfcontra.train.recipe import load_recipe

CLASSES, CHANNELS, ROWS, COLUMNS = 19, 2048, 81, 161
TAU, MOMENTUM = 0.07, 0.9
Maps = tuple[Tensor, Tensor]
"""Features `[1, D, h, w]`, normalised over D, and labels `[1, h, w]`."""
Banks = tuple[PrototypeBank, PrototypeBank]
ContrastStep = Callable[[Maps, Maps, Banks], Tensor]


def make_maps(
    device: torch.device,
    seed: int,
    channels: int = CHANNELS,
    size: tuple[int, int] = (ROWS, COLUMNS),
) -> Maps:
    """Random maps in which neighbouring pixels share a class, and one in ten has none."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, channels, *size, generator=generator)
    coarse = torch.rand(1, 1, size[0] // 4 + 1, size[1] // 4 + 1, generator=generator)
    labels = (F.interpolate(coarse, size=size)[:, 0] ** 2 * CLASSES).long()
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = IGNORE_INDEX
    return F.normalize(features, dim=1).to(device), labels.to(device)


def make_banks(device: torch.device, channels: int = CHANNELS) -> Banks:
    generator = torch.Generator().manual_seed(7)
    banks = tuple(PrototypeBank(CLASSES, channels, MOMENTUM).to(device) for _ in range(2))
    for bank in banks:
        sums = torch.randn(CLASSES, channels, generator=generator).to(device)
        bank.update(sums, torch.ones(CLASSES, device=device))
    return banks[0], banks[1]


def package_step(source: Maps, target: Maps, banks: Banks) -> Tensor:
    """As this package does it."""
    rows = [
        (maps.permute(0, 2, 3, 1).flatten(0, 2), ids.flatten()) for maps, ids in (source, target)
    ]
    known = [(bank.prototypes, bank.seen) for bank in banks]
    losses = [loss for pixels in rows for loss in prototype_contrast(*pixels, known, TAU)]
    loss = torch.stack(losses).sum()
    loss.backward()
    for bank, pixels in zip(banks, rows, strict=True):
        bank.update(*class_sums(*pixels, CLASSES))
    return loss.detach()


def masked_maps_step(source: Maps, target: Maps, banks: Banks) -> Tensor:
    """A masked map of full size for every class, for the terms and for the means."""
    loss = source[0].new_zeros(())
    for features, labels in (source, target):
        counted = (labels != IGNORE_INDEX).sum()
        for index in range(CLASSES):
            mask = (labels == index).float().unsqueeze(1)
            if mask.sum() == 0:
                continue
            masked = features * mask
            for bank in banks:
                scores = F.conv2d(masked, bank.prototypes[:, :, None, None]) / TAU
                own = scores[:, index : index + 1]
                terms = (scores.logsumexp(dim=1, keepdim=True) - own) * mask
                loss = loss + terms.sum() / counted
    loss.backward()
    with torch.no_grad():
        for (features, labels), bank in zip((source, target), banks, strict=True):
            sums, counts = (
                torch.zeros_like(bank.prototypes),
                torch.zeros_like(bank.prototypes[:, 0]),
            )
            for index in range(CLASSES):
                mask = (labels == index).float().unsqueeze(1)
                sums[index] = (features * mask).sum(dim=(0, 2, 3))
                counts[index] = mask.sum()
            bank.update(sums, counts)
    return loss.detach()


def selected_pixels_step(source: Maps, target: Maps, banks: Banks) -> Tensor:
    """The pixels of every class by themselves: `z[label == k]`."""
    loss = source[0].new_zeros(())
    rows = [
        (maps.permute(0, 2, 3, 1).flatten(0, 2), ids.flatten()) for maps, ids in (source, target)
    ]
    for features, labels in rows:
        counted = (labels != IGNORE_INDEX).sum()
        for bank in banks:
            for index in range(CLASSES):
                selected = features[labels == index]
                if len(selected) == 0:
                    continue
                scores = selected @ bank.prototypes.t() / TAU
                wanted = torch.full((len(selected),), index, device=scores.device)
                loss = loss + F.cross_entropy(scores, wanted, reduction="sum") / counted
    loss.backward()
    with torch.no_grad():
        for (features, labels), bank in zip(rows, banks, strict=True):
            sums, counts = (
                torch.zeros_like(bank.prototypes),
                torch.zeros_like(bank.prototypes[:, 0]),
            )
            for index in range(CLASSES):
                selected = features[labels == index]
                sums[index], counts[index] = selected.sum(0), len(selected)
            bank.update(sums, counts)
    return loss.detach()


STEPS: dict[str, ContrastStep] = {
    "package": package_step,
    "masked maps": masked_maps_step,
    "selected pixels": selected_pixels_step,
}


def outcome(
    step: ContrastStep, device: torch.device, channels: int, size: tuple[int, int]
) -> list[Tensor]:
    """Loss, gradients and banks of one step from a fixed start."""
    maps = [make_maps(device, seed, channels, size) for seed in (0, 1)]
    banks = make_banks(device, channels)
    for features, _ in maps:
        features.requires_grad_()
    loss = step(maps[0], maps[1], banks)
    gradients = [features.grad for features, _ in maps if features.grad is not None]
    return [loss, *gradients, *(bank.prototypes for bank in banks)]


def compare_steps(
    device: torch.device, channels: int = 64, size: tuple[int, int] = (20, 30)
) -> None:
    """Raise an `AssertionError` where a baseline computes something else than the package."""
    expected = outcome(package_step, device, channels, size)
    for step in STEPS.values():
        for one, two in zip(outcome(step, device, channels, size), expected, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-6)


def contrast_work(step: ContrastStep, device: torch.device) -> Callable[[], None]:
    """One contrast step after another, on maps of the published size."""
    source, target = (make_maps(device, seed) for seed in (0, 1))
    banks = make_banks(device)

    def work() -> None:
        for features, _ in (source, target):
            features.requires_grad_().grad = None
        step(source, target, banks)

    return work


def training_work(
    method: str, model: str, size: tuple[int, int], batch: int, device: torch.device
) -> Callable[[], None]:
    """One step of a method after another: restyling, losses, backward pass, optimiser, banks."""
    torch.manual_seed(0)
    space = LABEL_SPACES["cityscapes19"]
    recipe = load_recipe(
        "streets-noon-to-dusk" if model == "light" else "paper",
        "adapt",
        {"method": method, "data.work_size": str(list(size)), "data.batch_size": str(batch)},
    )
    network = build_model(model, space.num_classes)
    metadata = ModelMetadata(space, Preprocessing(size), network.config())
    module = AdaptationModule(Checkpoint(network, metadata), recipe, recipe.adapt).to(device)
    optimizer = module.configure_optimizers()["optimizer"]
    images = torch.randint(0, 256, (2, batch, 3, *size), dtype=torch.uint8)
    labels = torch.randint(0, space.num_classes, (batch, *size), dtype=torch.uint8)
    usable = torch.zeros(batch, *size, dtype=torch.uint8)
    names = [""] * batch
    paired = PairedBatch(
        0, DomainBatch(images[0], labels, names), DomainBatch(images[1], usable, names)
    )
    dtype = torch.bfloat16
    module.train()

    def work() -> None:
        inputs = module.step_input(paired)
        with torch.autocast(device.type, dtype):
            losses = module.method.losses(network, inputs, 0)
            total = torch.stack([*losses.values()]).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        module.method.commit(network)

    module.trainer = None  # type: ignore[assignment]
    return work


def take_turns(
    works: dict[str, Callable[[], None]], rounds: int, device: torch.device
) -> dict[str, float]:
    """Median seconds of each, all measured in every round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            _wait(device)
            started = time.perf_counter()
            work()
            _wait(device)
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(work: Callable[[], None], device: torch.device) -> int:
    """Most bytes held at once above what was held before."""
    work()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        work()
    held = peak = 0
    events: Any = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="exit 1 where a floor is missed")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    set_threads(arguments.threads)
    keep_freed_memory()  # as every run does
    compare_steps(device)
    works = {name: contrast_work(step, device) for name, step in STEPS.items()}
    seconds = take_turns(works, arguments.rounds, device)
    memory = {name: peak_memory(work, device) / 2**20 for name, work in works.items()}
    rows = []
    for name, floor in (("masked maps", 10.0), ("selected pixels", 4.0)):
        title = f"contrast step against {name}"
        rows.append(row(title, seconds["package"] * 1e3, seconds[name] * 1e3, "ms", floor))
    for name, floor_of_memory in (("masked maps", 3.0), ("selected pixels", None)):
        title = f"contrast step's memory against {name}"
        rows.append(row(title, memory["package"], memory[name], "MiB", floor_of_memory))
    whole: list[tuple[str, tuple[int, int], int]] = [("light", (160, 320), 8)]
    if device.type == "cuda":
        whole.append(("deeplabv2-resnet101", (640, 1280), 1))
    for model, size, batch in whole:
        methods = {
            method: training_work(method, model, size, batch, device)
            for method in ("cfcontra", "minent")
        }
        seconds = take_turns(methods, arguments.rounds, device)
        title = (
            f"CFContra step against MinEnt step, {model} {size[0]}x{size[1]} batch {batch}+{batch}"
        )
        ms = {method: value * 1e3 for method, value in seconds.items()}
        rows.append(row(title, ms["cfcontra"], ms["minent"], "ms", 1 / 1.10))
        if device.type == "cuda":
            for method, work in methods.items():
                print(f"{method}, {model}: peak {peak_memory(work, device) / 2**30:.2f} GiB")
    if device.type != "cuda":
        print("skipped without CUDA: deeplabv2-resnet101 at 640x1280, and its memory\n")
    print(f"{device}, torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| | package | baseline | ratio | floor |\n| --- | --- | --- | --- | --- |")
    for entry in rows:
        floor_text = "" if entry["floor"] is None else f"{entry['floor']:.2f}"
        missed = "" if entry["holds"] else " missed"
        print(
            f"| {entry['name']} | {entry['value']:.1f} {entry['unit']} | {entry['baseline']:.1f} "
            f"{entry['unit']} | {entry['ratio']:.2f} | {floor_text}{missed} |"
        )
    write_rows(arguments.json, rows)
    if arguments.check and not all(entry["holds"] for entry in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
