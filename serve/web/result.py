"""What a model says about a picture, as data; the page's download and the REST answer are one."""

from __future__ import annotations

from pydantic import BaseModel, Field

from cfcontra.rle import encode_masks
from cfcontra.runtime import Prediction
from cfcontra.runtime.mean_confidence import mean_confidence

from .drift import frame_scores
from .legend import ClassShare, class_shares, css_color
from .models import ServedModel


class RunLengths(BaseModel):
    """A class's pixels in COCO's compressed run-length encoding, for `pycocotools.mask.decode`."""

    size: tuple[int, int] = Field(description="height and width", examples=[(540, 960)])
    counts: str = Field(description="compressed run lengths, down the columns", examples=["0d4"])


class ClassResult(BaseModel):
    """One class in a picture."""

    id: int = Field(description="its value in the mask", examples=[3])
    name: str = Field(examples=["road"])
    color: str = Field(description="as #rrggbb", examples=["#804080"])
    pixels: int = Field(examples=[129600])
    area: float = Field(description="share of the picture, 0 to 1", examples=[0.25])
    confidence: float = Field(
        description="mean probability over its pixels, 0 to 1; 0 where there are none",
        examples=[0.93],
    )
    rle: RunLengths | None = Field(description="its pixels; null where there are none")


class SegmentationResult(BaseModel):
    """A picture's segmentation."""

    model: str = Field(examples=["dusk.onnx"])
    width: int = Field(examples=[960])
    height: int = Field(examples=[540])
    mean_confidence: float = Field(description="over all pixels, 0 to 1", examples=[0.91])
    scores: dict[str, float] = Field(
        description="of the whole frame: confidence, and where the model gives them entropy "
        "(0 to 1) and distance to the classes' prototypes (0 to 2)",
        examples=[{"confidence": 0.91}],
    )
    classes: list[ClassResult] = Field(description="all of the model's classes, by id")


def segmentation_result(
    prediction: Prediction, model: ServedModel, counted: list[ClassShare] | None = None
) -> SegmentationResult:
    """Describe the first frame of a prediction.

    Args:
        prediction: of the model.
        model: for its name and classes.
        counted: the `class_shares` of the frame, where the caller has them already.
    """
    space = model.metadata.label_space
    mask = prediction.mask[0]
    shares = {share.name: share for share in counted or class_shares(prediction, space)}
    encoded = {entry["id"]: entry for entry in encode_masks(mask, space.classes)}
    classes = []
    for train_id, name in enumerate(space.classes):
        entry, share = encoded.get(train_id), shares[name]
        rle = None
        if entry is not None:
            rle = RunLengths(size=(mask.shape[0], mask.shape[1]), counts=entry["counts"])
        classes.append(
            ClassResult(
                id=train_id,
                name=name,
                color=css_color(space.colors[train_id]),
                pixels=entry["area"] if entry is not None else 0,
                area=share.area,
                confidence=share.confidence,
                rle=rle,
            )
        )
    scores = {name: round(values[0], 6) for name, values in frame_scores(prediction).items()}
    return SegmentationResult(
        model=model.name,
        width=mask.shape[1],
        height=mask.shape[0],
        mean_confidence=mean_confidence(prediction.confidence[0]),
        scores=scores,
        classes=classes,
    )
