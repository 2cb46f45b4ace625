"""Published weights: names and layouts of other projects' files, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import resnet101

from cfcontra.errors import InputError
from cfcontra.models import build_model, hub
from cfcontra.models.pretrained import load_pretrained
from cfcontra.preprocessing import IMAGENET_MEAN, IMAGENET_STD


def saved(path: Path, state: dict[str, Tensor]) -> str:
    torch.save(state, path)
    return str(path)


@pytest.fixture(scope="module")
def residual() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(resnet101(weights=None).state_dict())


def _advent(residual: dict[str, Tensor], classes: int) -> dict[str, Tensor]:
    state = {k: v for k, v in residual.items() if not k.startswith("fc.")}
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    for name, channels in (("layer5", 1024), ("layer6", 2048)):
        for branch in range(4):
            prefix = f"{name}.conv2d_list.{branch}"
            state[f"{prefix}.weight"] = torch.randn(classes, channels, 3, 3)
            state[f"{prefix}.bias"] = torch.randn(classes)
    return state


def test_torchvisions_weights_give_torchvisions_features(
    tmp_path: Path, residual: dict[str, Tensor]
) -> None:
    """Oracle: torchvision's network, dilated in the same way."""
    model = build_model("deeplabv2-resnet101", 5).eval()
    load_pretrained(model, saved(tmp_path / "r.pth", residual))
    other = resnet101(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    other.load_state_dict(residual)
    other.maxpool.ceil_mode = True
    images = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        x = other.maxpool(other.relu(other.bn1(other.conv1(images))))
        expected = other.layer4(other.layer3(other.layer2(other.layer1(x))))
        assert torch.equal(model.forward_features(images).features, expected)


def test_advents_weights_bring_their_layout_and_classifiers(
    tmp_path: Path, residual: dict[str, Tensor]
) -> None:
    state = _advent(residual, 19)
    model = build_model("deeplabv2-resnet101", 19)
    load_pretrained(model, saved(tmp_path / "a.pth", {f"module.{k}": v for k, v in state.items()}))
    assert model.config()["layout"] == "advent"
    own = model.state_dict()
    assert torch.equal(own["head.0.branches.2.weight"], state["layer6.conv2d_list.2.weight"])
    assert torch.equal(own["head.1.branches.3.bias"], state["layer5.conv2d_list.3.bias"])
    first = model.encoder.layer2[0]  # type: ignore[index]
    assert (first.conv1.stride, first.conv2.stride) == ((2, 2), (1, 1))
    stages = (model.encoder.layer3, model.encoder.layer4)
    dilations = [{b.conv2.dilation for b in stage} for stage in stages]  # type: ignore[union-attr]
    assert dilations == [{(2, 2)}, {(4, 4)}]
    twin = build_model(num_classes=19, **model.config())
    twin.load_state_dict(own)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(twin.eval()(images), model.eval()(images))


def test_classifiers_of_another_number_of_classes_are_left(
    tmp_path: Path, residual: dict[str, Tensor]
) -> None:
    state = {f"Scale.{k}": v for k, v in _advent(residual, 21).items()}
    model = build_model("deeplabv2-resnet101", 19)
    before = {name: value.clone() for name, value in model.head.state_dict().items()}
    load_pretrained(model, saved(tmp_path / "s.pth", state))
    own = model.state_dict()["encoder.layer4.2.conv3.weight"]
    assert torch.equal(own, state["Scale.layer4.2.conv3.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.head.state_dict().items())


def test_a_file_with_one_pyramid_brings_it_under_either_name(residual: dict[str, Tensor]) -> None:
    model = build_model("deeplabv2-resnet101", 4)
    state = _advent(residual, 4)
    for name in ("layer6", "layer5"):  # AdvEnt's, AdaptSegNet's
        one = {k: v for k, v in state.items() if not k.startswith(("layer5.", "layer6."))}
        pyramid = {k: torch.randn_like(v) for k, v in state.items() if k.startswith("layer6.")}
        model.adopt(one | {k.replace("layer6", name): v for k, v in pyramid.items()}, "file")
        assert model.config()["layout"] == "advent"
        found = model.state_dict()["head.0.branches.3.weight"]
        assert torch.equal(found, pyramid["layer6.conv2d_list.3.weight"])


def test_advents_weights_give_on_a_runs_frames_what_they_gave_on_their_own(
    tmp_path: Path, residual: dict[str, Tensor]
) -> None:
    """Oracle: the first stage of torchvision's network, which the two have in common, with the
    file's weights, fed as AdvEnt feeds it; beyond the border there is another colour."""
    state = _advent(residual, 19)
    state["bn1.running_mean"], state["bn1.running_var"] = torch.randn(64), torch.rand(64) + 1
    model = build_model("deeplabv2-resnet101", 19).eval()
    load_pretrained(model, saved(tmp_path / "a.pth", state))
    assert not model.encoder.layer1[0].bn1.training  # type: ignore[index, union-attr]
    other = resnet101(weights=None).eval()
    other.load_state_dict(state, strict=False)
    other.maxpool.ceil_mode = True
    frame = torch.randint(0, 256, (1, 3, 128, 160)).float()
    means = torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(3, 1, 1)
    mean, std = (torch.tensor(rgb).view(3, 1, 1) for rgb in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        stem = other.maxpool(other.relu(other.bn1(other.conv1(frame[:, [2, 1, 0]] - means))))
        expected = other.layer1(stem)[..., 8:-8, 8:-8]
        encoder = model.encoder
        found = encoder.layer1(encoder.stem((frame / 255 - mean) / std))[..., 8:-8, 8:-8]  # type: ignore[operator]
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


def test_an_encoder_of_the_library(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = {k: v.clone() for k, v in build_model("segformer-b0", 5).encoder.state_dict().items()}
    model = build_model("segformer-b0", 3)
    load_pretrained(model, saved(tmp_path / "e.pth", state))
    assert all(torch.equal(value, state[key]) for key, value in model.encoder.state_dict().items())


def test_what_does_not_fit_is_named(tmp_path: Path, residual: dict[str, Tensor]) -> None:
    model = build_model("deeplabv2-resnet101", 5)
    lacking = {k: v for k, v in residual.items() if k != "layer3.4.conv2.weight"}
    with pytest.raises(InputError, match=r"missing: layer3\.4\.conv2\.weight\."):
        load_pretrained(model, saved(tmp_path / "l.pth", lacking))
    with pytest.raises(InputError, match=r"unknown: strange\.weight"):
        extra = {**residual, "strange.weight": torch.zeros(1)}
        load_pretrained(model, saved(tmp_path / "x.pth", extra))
    with pytest.raises(InputError, match=r"stem\.0\.weight \(1,\) instead of \(64, 3, 7, 7\)"):
        other = {**residual, "conv1.weight": torch.zeros(1)}
        load_pretrained(model, saved(tmp_path / "o.pth", other))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match="not a file of weights"):
        load_pretrained(model, str(tmp_path / "text.pth"))
    with pytest.raises(InputError, match="no such file"):
        load_pretrained(model, str(tmp_path / "nowhere.pth"))
    with pytest.raises(InputError, match="has no published weights"):
        load_pretrained(build_model("light", 5), "imagenet")


def test_a_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("fpn-mobilenetv4", 5)

    def unreachable(self: object) -> dict[str, Tensor]:
        raise ConnectionError("no route to host\nand a long story")

    monkeypatch.setattr(type(model), "published_state", unreachable)
    with pytest.raises(InputError, match=r"cannot be downloaded \(no route to host\)") as caught:
        load_pretrained(model, "imagenet")
    assert "\n" not in str(caught.value)


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's client without a network, and with an empty cache, which is returned."""

    class Session:
        def head(self, url: str, timeout: float) -> None:
            raise ConnectionError(f"no route to {url}.")

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("segformer-b0", "smp-hub/mit_b0.imagenet --revision 9ce53d104d92d75aabb00aae70677"),
        ("fpn-mobilenetv4", "timm/mobilenetv4_conv_small.e2400_r224_in1k`"),
    ],
)
def test_without_the_hub_its_repository_is_named_at_once(
    name: str, repository: str, no_network: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError) as caught:
        load_pretrained(build_model(name, 5), "imagenet")
    said = str(caught.value)
    assert "https://huggingface.co cannot be reached: no route to https://hugg" in said
    assert f"run `hf download {repository}" in said and said.endswith(".")
    assert "Retrying" not in caplog.text
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_without_the_hub_its_cache_serves(no_network: Path) -> None:
    """As `hf download` leaves it on a machine with a network."""
    state = {k: v.clone() for k, v in build_model("segformer-b0", 5).encoder.state_dict().items()}
    revision = "9ce53d104d92d75aabb00aae70677aaab67e7c84"
    folder = no_network / "models--smp-hub--mit_b0.imagenet" / "snapshots" / revision
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_file(state, folder / "model.safetensors")
    model = build_model("segformer-b0", 3)
    load_pretrained(model, "imagenet")
    assert all(torch.equal(value, state[key]) for key, value in model.encoder.state_dict().items())


def test_a_hub_that_is_reached_is_left_to_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        def head(self, url: str, timeout: float) -> None: ...

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    with pytest.raises(KeyError), hub.quick_hub():
        assert not huggingface_hub.constants.HF_HUB_OFFLINE
        raise KeyError


def test_the_file_of_torchvision_is_named() -> None:
    said = build_model("deeplabv2-resnet101", 5).how_to_fetch()
    assert "https://download.pytorch.org/models/resnet101-" in said and "the file's path" in said
