"""The model card: what a model is, how it came about, how good it is, where it ends.

All of it comes from the file's metadata, which is somebody else's text: every value is escaped,
and one of an unexpected kind is left out.
"""

from __future__ import annotations

from html import escape
from typing import Any, TypeGuard

from cfcontra.label_space import LabelSpace
from cfcontra.metadata import ModelMetadata

from ..legend import chip, css_color
from ..models import ServedModel

_METHODS = {
    "source-only": "supervised training on the source alone, without adaptation",
    "minent": "entropy minimisation on the target (MinEnt)",
    "advent": "adversarial alignment of entropy maps (AdvEnt)",
    "cfcontra": "coarse-to-fine contrast: restyled source frames, then pixels pulled to their "
    "class's prototypes in both domains (CFContra)",
    "self-training": "self-training on mixed frames with a teacher",
}
_STYLES = {
    "image-stats": "channel statistics of target frames",
    "fourier": "low frequencies of target frames",
    "adain": "adaptive instance normalisation (AdaIN)",
}


def card_html(model: ServedModel) -> str:
    """The whole card of one model."""
    metadata = model.metadata
    training, certificate = metadata.training, metadata.certificate
    return "".join(
        (
            f'<article class="card"><h2>{escape(model.name)}</h2>',
            f'<p class="lead">{_what(metadata)}</p>',
            '<div class="card-grid">',
            _section("The network", _network_rows(model)),
            _section("Data and method", _training_rows(training)),
            _scores(training.get("val"), metadata.label_space),
            _certificate(certificate),
            "</div>",
            _limits(metadata),
            _classes(metadata.label_space),
            "</article>",
        )
    )


def _what(metadata: ModelMetadata) -> str:
    space, training = metadata.label_space, metadata.training
    source, target = training.get("source"), training.get("target")
    text = (
        f"Gives every pixel of a street picture one of {space.num_classes} classes, and says how "
        "sure it is. "
    )
    if isinstance(source, str) and isinstance(target, str):
        text += (
            f"It learned from the labels of <b>{_data(source)}</b> and was adapted to "
            f"<b>{_data(target)}</b> without using any label there."
        )
    elif isinstance(source, str):
        text += f"It learned from the labels of <b>{_data(source)}</b>."
    return text


def _network_rows(model: ServedModel) -> dict[str, Any]:
    metadata = model.metadata
    height, width = metadata.preprocessing.work_size
    return {
        "File": model.path.name,
        "Architecture": metadata.model.get("name"),
        "Works at": f"{width}×{height} pixels, whatever the picture's size",
        "Classes": f"{metadata.label_space.num_classes} ({metadata.label_space.name})",
        "Runs in": f"{model.runtime}, {model.device}",
        "From checkpoint": metadata.checkpoint_sha256[:16] or None,
    }


def _training_rows(training: dict[str, Any]) -> dict[str, Any]:
    method, style = training.get("method"), training.get("style")
    versions = training.get("versions")
    return {
        "Method": _explained(method, _METHODS),
        "Restyling": _explained(style, _STYLES) if style != "none" else None,
        "Source": training.get("source"),
        "Target": training.get("target"),
        "Steps": _number(training.get("steps"), "{:,.0f}"),
        "Seed": _number(training.get("seed"), "{:.0f}"),
        "Trained with": _versions(versions),
        **_licence_rows(training.get("licences")),
    }


def _licence_rows(licences: Any) -> dict[str, Any]:
    if not isinstance(licences, dict):
        return {}
    data, weights = licences.get("data"), licences.get("weights")
    told = [f"{name}: {terms}" for name, terms in data.items()] if isinstance(data, dict) else []
    return {
        "Terms of the data": "; ".join(told) or None,
        "Terms of the weights": weights if isinstance(weights, str) else None,
    }


def _scores(scores: Any, space: LabelSpace) -> str:
    if not isinstance(scores, dict) or not _is_number(scores.get("miou")):
        return _section("Scores", {}, "The file holds no scores: it was not validated on labels.")
    rows = {
        "Mean IoU": f"{100 * scores['miou']:.1f} %",
        "Pixel accuracy": _number(scores.get("pixel_accuracy"), "{:.1%}"),
        "Measured on": scores.get("data"),
        "Frames": _number(scores.get("frames"), "{:,.0f}"),
    }
    by_class = scores.get("class_iou")
    bars = _class_bars(by_class, space) if isinstance(by_class, dict) else ""
    return _section("Scores", rows, after=bars)


def _class_bars(by_class: dict[str, Any], space: LabelSpace) -> str:
    rows = []
    for name, color in zip(space.classes, space.colors, strict=True):
        value = by_class.get(name)
        if not _is_number(value):
            continue
        share = min(max(float(value), 0.0), 1.0)
        rows.append(
            f'<tr><th scope="row">{chip(color)}{escape(name)}</th><td class="bar"><div style='
            f'"width:{100 * share:.1f}%;background:{css_color(color)}"></div></td>'
            f'<td class="number">{100 * share:.1f} %</td></tr>'
        )
    if not rows:
        return ""
    return (
        '<div class="legend"><table><thead><tr><th scope="col">Class</th><th class="bar"></th>'
        f'<th scope="col" class="number">IoU</th></tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def _certificate(certificate: dict[str, Any]) -> str:
    agreement = certificate.get("agreement")
    if not _is_number(agreement):
        note = "None: this is a checkpoint itself, or was written without being held against one."
        return _section("Certificate", {}, note)
    miou = certificate.get("miou")
    difference = miou.get("difference") if isinstance(miou, dict) else None
    frames = _number(certificate.get("frame_count"), "{:,.0f}") or "?"
    kind = {"given": "real frames, as given", "synthetic": "generated streets"}.get(
        str(certificate.get("frames")), ""
    )
    passed = certificate.get("passed") is True
    seal = "Passed" if passed else "Not passed"
    rows = {
        "Agreement": f"{float(agreement):.4%} of pixels as the checkpoint",
        "Lowest at any size": _number(certificate.get("lowest_agreement"), "{:.4%}"),
        "Confidence differs": _number(
            certificate.get("confidence_mean"), "{:.4f} of 255 on average"
        ),
        "Mean IoU changes": _number(difference, "{:+.2%}"),
        "Frames": f"{frames}, {kind}" if kind else frames,
        "Precision": certificate.get("precision"),
        "Checked in": certificate.get("runtime"),
    }
    style = "good" if passed else "bad"
    return _section("Certificate", rows, f'<span class="seal {style}">{seal}</span>', safe=True)


def _limits(metadata: ModelMetadata) -> str:
    space, training = metadata.label_space, metadata.training
    height, width = metadata.preprocessing.work_size
    found = [
        f"It knows {space.num_classes} classes and no others: everything in a picture becomes one "
        "of them, also what it has never seen.",
        f"It looks at {width}×{height} pixels. What is only a few pixels wide at that size (far "
        "signs, poles, people) is lost.",
    ]
    source, target = training.get("source"), training.get("target")
    if isinstance(source, str):
        seen = _data(source) + (f" and {_data(target)}" if isinstance(target, str) else "")
        found.append(
            f"It has seen {seen}. Other weather, light, cameras or cities can go wrong "
            "without a low confidence."
        )
    weak = _weak_classes(training.get("val"), space)
    if weak:
        found.append(f"Weak on {escape(weak)} (IoU below 30 %).")
    if metadata.certificate.get("frames") == "synthetic":
        found.append("Its certificate was made on generated streets, not on real frames.")
    found.append("It looks at one picture at a time. It is no safety device: do not steer by it.")
    items = "".join(f"<li>{item}</li>" for item in found)
    return f"<section><h3>Limits</h3><ul>{items}</ul></section>"


def _weak_classes(scores: Any, space: LabelSpace) -> str:
    by_class = scores.get("class_iou") if isinstance(scores, dict) else None
    if not isinstance(by_class, dict):
        return ""
    return ", ".join(
        name
        for name in space.classes
        if _is_number(by_class.get(name)) and float(by_class[name]) < 0.3
    )


def _classes(space: LabelSpace) -> str:
    names = "".join(
        f"<span>{chip(color)}{escape(name)}</span>"
        for name, color in zip(space.classes, space.colors, strict=True)
    )
    return f'<section class="legend"><h3>Classes</h3><div class="unseen">{names}</div></section>'


def _section(
    title: str, rows: dict[str, Any], note: str = "", *, safe: bool = False, after: str = ""
) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in rows.items()
        if isinstance(value, str | int | float) and value != ""
    )
    said = (note if safe else f"<p>{escape(note)}</p>") if note else ""
    return f"<section><h3>{escape(title)}</h3>{said}<dl>{items}</dl>{after}</section>"


def _explained(name: Any, meanings: dict[str, str]) -> str | None:
    if not isinstance(name, str):
        return None
    return f"{name}: {meanings[name]}" if name in meanings else name


def _data(spec: str) -> str:
    """A data spec as people would name the data: `folder:day,frames=0:346` → `day`."""
    kind, _, rest = spec.partition(":")
    place = rest.split(",")[0]
    if kind == "streets":
        return escape(f"generated streets ({place})")
    return escape(place if kind in ("folder", "video") and place else kind)


def _versions(versions: Any) -> str | None:
    if not isinstance(versions, dict):
        return None
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or None


def _number(value: Any, form: str) -> str | None:
    return form.format(value) if _is_number(value) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
