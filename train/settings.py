"""The settings of a run's parts; `recipe` puts them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from cfcontra.config import STRICT

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Side = Annotated[int, Field(ge=32)]  # the least that every network takes
Rate = Annotated[float, Field(gt=0, le=1e30)]  # float32 overflows above, in torch
Zoom = Annotated[float, Field(ge=0.1, le=10)]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first number is the lower one")
    return bounds


@dataclass(frozen=True)
class ModelSettings:
    """The network.

    Attributes:
        name: in the registry of networks.
        weights: `imagenet` for published weights of the encoder, which are downloaded, or a
            file of them; empty for random ones.
    """

    __pydantic_config__: ClassVar = STRICT
    name: str = "light"
    weights: str = ""


@dataclass(frozen=True)
class DataSettings:
    """Sizes, sampling and geometric augmentation of both domains.

    Attributes:
        work_size: `(height, width)` a frame is fitted into, 32 at least; also the size of the
            crops.
        batch_size: frames of each domain per step and process.
        scale: random zoom range around the fitted size, within 0.1–10.
        flip: mirror half of the frames.
        rare_classes: temperature of rare-class sampling on the source (DAFormer: 0.01), the
            lower the rarer; 0 is off.
        workers: loader processes; None takes none on a CPU, which the step itself fills, and
            as many as there are cores, 8 at most, beside a GPU.
    """

    __pydantic_config__: ClassVar = STRICT
    work_size: tuple[Side, Side] = (256, 512)
    batch_size: Positive = 8
    scale: Annotated[tuple[Zoom, Zoom], AfterValidator(_rising)] = (1.0, 1.0)
    flip: bool = True
    rare_classes: NonNegative = 0.0
    workers: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True)
class LightSettings:
    """Random light and focus, on frames of both domains.

    Attributes:
        jitter: strength of random brightness, contrast and saturation, 0–1.
        gamma: strength of random gamma, drawn log-uniformly from `1/(1+g)` to `1+g`.
        blur: share of frames that are blurred a little.
    """

    __pydantic_config__: ClassVar = STRICT
    jitter: Share = 0.0
    gamma: NonNegative = 0.0
    blur: Share = 0.0


@dataclass(frozen=True)
class OptimizerSettings:
    """Optimiser and its polynomial schedule `lr · (1 − step/horizon)^power`.

    Attributes:
        name: the optimiser; beside `sgd`, AdvEnt's discriminators take Adam, as published.
        lr: learning rate of the encoder, at its highest.
        head_lr_factor: factor on the rate of decoder, classifier and projection head.
        momentum: of `sgd`.
        weight_decay: of every weight.
        power: of the schedule.
        warmup: steps of linear warm-up.
        horizon: step at which the rate would reach zero; None: the last step.
        clip: largest gradient norm, 0 for no limit.
        accumulate: batches per step; their gradients are averaged.
    """

    __pydantic_config__: ClassVar = STRICT
    name: Literal["adamw", "sgd"] = "adamw"
    lr: Rate = 1e-3
    head_lr_factor: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    momentum: Share = 0.9
    weight_decay: NonNegative = 0.01
    power: NonNegative = 0.9
    warmup: Annotated[int, Field(ge=0)] = 0
    horizon: Positive | None = None
    clip: NonNegative = 0.0
    accumulate: Positive = 1


@dataclass(frozen=True)
class StyleSettings:
    """Coarse alignment: source frames take on the look of target frames.

    Attributes:
        name: how frames are restyled.
        share: share of the source frames that are restyled; the rest keeps the source
            domain in the training.
        beta: half the side of the square of frequencies that `fourier` takes from the
            target, as a share of the shorter side of the frame.
        file: the trained style network of `adain`.
        alpha: share of the style with `adain`.
    """

    __pydantic_config__: ClassVar = STRICT
    name: Literal["none", "image-stats", "fourier", "adain"] = "none"
    share: Share = 1.0
    beta: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    file: str = ""
    alpha: Share = 1.0


@dataclass(frozen=True)
class EntropySettings:
    """The entropy term on target predictions (MinEnt).

    Attributes:
        weight: of the term.
        aux_weight: of the same on the auxiliary classifier's predictions.
    """

    __pydantic_config__: ClassVar = STRICT
    weight: NonNegative = 0.001
    aux_weight: NonNegative = 0.0002


@dataclass(frozen=True)
class ContrastSettings:
    """Fine alignment: contrast of pixel features against the prototype banks.

    Attributes:
        source_to_source, target_to_target, target_to_source, source_to_target: weight of
            the term, named features to bank.
        temperature: τ of the softmax over prototypes.
        momentum: share of the old prototype kept at each update.
        head: projection head between features and prototypes.
        dimension: channels of the projected features.
        full_count: pixels of a class from which on a batch moves its prototype in full; fewer
            move it in proportion. 0 takes every batch as full.
        pseudo_labels: `margin` takes the nearest source prototype where it leads the second
            by `margin`; `confidence` the classifier's class where its probability reaches
            `threshold`; `teacher` the same of the teacher.
        margin: lead in cosine that a pseudo-label by `margin` needs.
        threshold: probability that a pseudo-label by `confidence` or `teacher` needs.
        balance: weigh pixels so that each class present counts the same.
        pixels_per_class: most random pixels of each class that are contrasted, 0 for all.
        stride: pixels of the input per contrasted feature; features that lie closer are
            taken on this grid only.
        init_batches: batches from which the banks are initialised.
    """

    __pydantic_config__: ClassVar = STRICT
    source_to_source: NonNegative = 0.001
    target_to_target: NonNegative = 0.001
    target_to_source: NonNegative = 0.001
    source_to_target: NonNegative = 0.001
    temperature: Annotated[float, Field(gt=0)] = 0.07
    momentum: Share = 0.9
    head: Literal["mlp", "linear", "none"] = "mlp"
    dimension: Positive = 256
    full_count: Annotated[int, Field(ge=0)] = 0
    pseudo_labels: Literal["margin", "confidence", "teacher"] = "margin"
    margin: NonNegative = 0.05
    threshold: Share = 0.9
    balance: bool = False
    pixels_per_class: Annotated[int, Field(ge=0)] = 0
    stride: Positive = 8
    init_batches: Positive = 16


@dataclass(frozen=True)
class AdversarialSettings:
    """Weights of AdvEnt's adversarial terms, and the discriminators' learning rate.

    Attributes:
        weight: of the term on the logits.
        aux_weight: of the term on auxiliary logits, in networks that have them.
        lr: of the discriminators.
    """

    __pydantic_config__: ClassVar = STRICT
    weight: NonNegative = 0.001
    aux_weight: NonNegative = 0.0002
    lr: Rate = 1e-4


@dataclass(frozen=True)
class TeacherSettings:
    """The average of the student that gives pseudo-labels.

    Attributes:
        decay: share of the teacher kept at each step.
        threshold: probability from which on it counts as sure.
    """

    __pydantic_config__: ClassVar = STRICT
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    threshold: Share = 0.968


@dataclass(frozen=True)
class MixingSettings:
    """Self-training on target frames with half of a source frame's classes pasted on.

    Attributes:
        weight: of the term; 0 leaves it out, but is 1 in the method `self-training`.
        jitter: strength of random brightness, contrast and saturation, 0–1.
        blur: share of frames that are blurred.
    """

    __pydantic_config__: ClassVar = STRICT
    weight: NonNegative = 0.0
    jitter: Share = 0.25
    blur: Share = 0.5


@dataclass(frozen=True)
class MaskingSettings:
    """Masked image consistency on target frames.

    Attributes:
        weight: of the term; 0 leaves it out.
        patch: side of the hidden squares in pixels.
        share: share of the patches that are hidden.
        jitter: strength of random brightness, contrast and saturation, 0–1.
        blur: share of frames that are blurred.
    """

    __pydantic_config__: ClassVar = STRICT
    weight: NonNegative = 0.0
    patch: Positive = 64
    share: Share = 0.7
    jitter: Share = 0.25
    blur: Share = 0.5


@dataclass(frozen=True)
class SelectionSettings:
    """Which of a run's networks is kept, decided without labels of the target.

    Attributes:
        score: of `target_probe`; `last` keeps the last network whatever it scores; `auto` is
            `averaging` where there is a weight average (`ema`), else `certainty`; `miou` looks at
            the labels of `--val`, which nothing else does but for reporting.
        candidates: networks that are compared, evenly spaced over the steps.
        frames: target frames they are scored on.
        log_all: also log all other scores, for comparing them.
    """

    __pydantic_config__: ClassVar = STRICT
    score: Literal[
        "auto",
        "last",
        "certainty",
        "mutual-information",
        "density",
        "transfer",
        "consistency",
        "mixing",
        "averaging",
        "miou",
    ] = "auto"
    candidates: Positive = 8
    frames: Positive = 32
    log_all: bool = False
