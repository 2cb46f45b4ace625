"""One run: from data specs and a recipe to `runs/NAME/model.pt`."""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import seed_everything
from torch import Tensor

from cfcontra.allocator import keep_freed_memory
from cfcontra.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from cfcontra.claim import claimed
from cfcontra.datasets import SegmentationDataset, open_dataset
from cfcontra.device import resolve_device, set_threads
from cfcontra.errors import InputError
from cfcontra.files import atomic_write_text, prepare_output
from cfcontra.label_space import LabelSpace, get_label_space
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.models.pretrained import load_pretrained
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.torch_backend import TorchBackend

from .checks import check_data, check_network, check_stage, require_finite
from .class_prototypes import class_prototypes
from .class_statistics import RareClassSampler, class_weights, count_classes
from .data import PairedDomains, kept_in_memory, loader_workers
from .evaluate import evaluate_backend
from .fitting import fit
from .loggers import require_package
from .module import AdaptationModule
from .norm_statistics import estimate_statistics, mixed_batches
from .processes import process_rank
from .recipe import Stage
from .request import RunRequest, RunResult
from .resuming import Progress, forget, keep_earlier_log, read_progress, require_none_to_resume
from .run_features import note_banks
from .run_report import RunData, note_data, write_run_report
from .selection import Selection
from .settings import DataSettings
from .target_probe import TargetProbe
from .training_record import training_record

LOGGER = logging.getLogger(__name__)


def run(request: RunRequest) -> RunResult | None:
    """Train or adapt.

    Returns:
        The result; None in processes that only help with the steps.

    Raises:
        InputError: anything about the request, the data or the disk that does not work;
            nothing is written to `model.pt` then.
    """
    if process_rank():
        request = replace(request, quiet=True)
        logging.getLogger("cfcontra").setLevel(logging.ERROR)
    try:
        prepare_output(request.folder / "model.pt", request.overwrite)
        with nullcontext() if process_rank() else claimed(request.folder):
            return _run(request)
    except InputError:
        with suppress(OSError):  # where nothing was written, nothing stays
            request.folder.rmdir()
        raise


def _run(request: RunRequest) -> RunResult | None:
    for service in request.loggers:
        require_package(service)
    recipe, stage = request.recipe, getattr(request.recipe, request.stage)
    done = _done_before(request)
    device = resolve_device(request.device)
    set_threads(request.threads_each(device))
    keep_freed_memory()
    label_space = get_label_space(recipe.label_space)
    loading = max(1, loader_workers(recipe.data.workers, device)) * request.processes.devices
    source = kept_in_memory(open_dataset(request.source, label_space), loading)
    target = (
        None
        if request.target is None
        else kept_in_memory(open_dataset(request.target, label_space, labelled=False), loading)
    )
    val = None if request.val is None else open_dataset(request.val, label_space)
    check_stage(stage, target)
    check_data(recipe.data, {"source": source, "target": target})
    seed_everything(recipe.seed, verbose=False)
    checkpoint = _initial_checkpoint(request, label_space, done.network)
    check_network(stage, checkpoint.model)
    weights, rare_classes = _balance(source, recipe.data, stage)
    module = AdaptationModule(checkpoint, recipe, stage, weights, request.resume)
    placement = request.processes.placement(device, module.method.rests)
    if not process_rank():
        _lay_out(request)
    domains = PairedDomains(
        source,
        target,
        recipe.data,
        stage.light,
        checkpoint.metadata.preprocessing,
        recipe.seed,
        rare_classes,
    )
    selection = None if target is None else _selection(module, target, val, device)
    trainer = fit(module, request, domains, target, val, selection, device, placement, done.batches)
    if not trainer.is_global_zero:
        return None
    preprocessing = checkpoint.metadata.preprocessing
    if stage.norm_target is not None and target is not None:
        batches = mixed_batches(source, target, preprocessing, stage.norm_target)
        estimate_statistics(module.network.to(device), batches, module.normalize)
    require_finite(module.network.state_dict(), "after the last step")
    network = module.network.to(device).eval()
    kept = class_prototypes(network, source, target, preprocessing, module.normalize)
    require_finite({"A class prototype": kept.prototypes}, "after the last step")
    trained = Checkpoint(network.cpu(), checkpoint.metadata)
    scores = None
    if val is not None:
        scores = evaluate_backend(TorchBackend(trained, str(device)), val)
    record = training_record(request, stage, scores, checkpoint.metadata.training)
    if selection is not None:
        record["selection"] = selection.record()
    record["prototypes"] = kept.record(label_space.classes)
    metadata = replace(trained.metadata, training=record)
    model_path = request.folder / "model.pt"
    save_checkpoint(model_path, trained.model.cpu(), metadata, kept.prototypes)
    note_banks(request.folder, module)
    report = _report(request, device) if request.report else None
    return RunResult(model_path, scores, report)


def _done_before(request: RunRequest) -> Progress:
    if request.resume:
        return read_progress(request.folder, request.about())
    if not request.overwrite:
        require_none_to_resume(request.folder)
    return Progress()


def _report(request: RunRequest, device: torch.device) -> Path | None:
    try:
        return write_run_report(request.folder, {}, str(device), request.threads)
    except InputError as error:  # the model is there; a report can be written later
        LOGGER.warning("no report: %s", error)
        return None


def _lay_out(request: RunRequest) -> None:
    atomic_write_text(request.folder / "recipe.yaml", yaml.safe_dump(request.recipe.to_dict()))
    init = None if request.init is None else str(request.init)
    note_data(request.folder, RunData(request.source, request.target, request.val, init))
    if request.resume:
        keep_earlier_log(request.folder)
    else:
        forget(request.folder)


def _balance(
    source: SegmentationDataset, settings: DataSettings, stage: Stage
) -> tuple[Tensor | None, RareClassSampler | None]:
    """What evens out the classes: weights of the cross-entropy, and a sampler of frames."""
    most = 2000 if settings.rare_classes else 200 if stage.class_balance else 50
    statistics = count_classes(source, most)
    return (
        class_weights(statistics, stage.class_balance) if stage.class_balance else None,
        RareClassSampler(statistics, settings.rare_classes) if settings.rare_classes else None,
    )


def _selection(
    module: AdaptationModule,
    target: SegmentationDataset,
    val: SegmentationDataset | None,
    device: torch.device,
) -> Selection | None:
    settings = module.stage.selection
    if settings.score == "auto":
        settings = replace(settings, score="averaging" if module.stage.ema else "certainty")
    if settings.score == "miou" and val is None:
        raise InputError("--selection.score miou: needs labelled data to score on. Give --val.")
    if settings.score == "last" and not settings.log_all:
        return None
    preprocessing = module.metadata.preprocessing
    probe = TargetProbe(target, preprocessing, settings.frames, module.normalize, device)
    return Selection(probe, settings, module.stage.steps, val)


def _initial_checkpoint(
    request: RunRequest, label_space: LabelSpace, network: dict[str, Any] | None
) -> Checkpoint:
    """What the run begins with, or what its checkpoint of a `network` is loaded into."""
    recipe = request.recipe
    preprocessing = Preprocessing(recipe.data.work_size)
    if request.init is None:
        config = network or {"name": recipe.model.name}
        model = build_model(num_classes=label_space.num_classes, **config)
        if recipe.model.weights and not request.resume:
            load_pretrained(model, recipe.model.weights)
        return Checkpoint(model, ModelMetadata(label_space, preprocessing, model.config()))
    loaded = load_checkpoint(request.init)
    if loaded.metadata.label_space.classes != label_space.classes:
        raise InputError(
            f"{request.init}: predicts label space '{loaded.metadata.label_space.name}', but the "
            f"recipe says '{label_space.name}'. Use a recipe with the model's label space."
        )
    metadata = ModelMetadata(
        label_space,
        Preprocessing(
            recipe.data.work_size,
            loaded.metadata.preprocessing.mean,
            loaded.metadata.preprocessing.std,
        ),
        loaded.metadata.model,
        loaded.metadata.training,
    )
    return Checkpoint(loaded.model, metadata)
