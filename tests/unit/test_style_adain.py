"""The AdaIN style: its maths, what it trains, and its file."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from cfcontra.checkpoint import Checkpoint, save_checkpoint
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing
from cfcontra.train.settings import StyleSettings
from cfcontra.train.style import build_style, restyle
from cfcontra.train.style.adain import StyleNetwork, adain, style_losses
from cfcontra.train.style.encoders import LightStem, Vgg19, load_encoder
from cfcontra.train.style.style_file import load_style, save_style


@pytest.fixture
def network() -> StyleNetwork:
    torch.manual_seed(0)
    return StyleNetwork(LightStem())


def frames(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_adain_against_the_closed_form() -> None:
    content, style = frames(2, 3, 5, 7), 4 * frames(2, 3, 4, 6, seed=1) - 1
    aligned = adain(content, style).double().numpy()
    for frame in range(2):
        for channel in range(3):
            x = content[frame, channel].double().numpy()
            y = style[frame, channel].double().numpy()
            wanted = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * np.sqrt(y.var() + 1e-5) + y.mean()
            np.testing.assert_allclose(aligned[frame, channel], wanted, atol=1e-5)


def test_adain_of_a_map_with_itself_is_the_map() -> None:
    content = frames(1, 4, 6, 6)
    torch.testing.assert_close(adain(content, content), content)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_adain_of_constant_maps_is_finite(dtype: torch.dtype) -> None:
    flat = torch.full((1, 2, 3, 3), 0.25, dtype=dtype)
    assert torch.isfinite(adain(flat, frames(1, 2, 3, 3).to(dtype))).all()
    torch.testing.assert_close(adain(flat, 2 * flat), 2 * flat.float())


@pytest.mark.parametrize("encoder", [LightStem, Vgg19])
@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_a_styled_frame_has_its_size_and_range(
    encoder: type[LightStem | Vgg19], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    network = StyleNetwork(encoder()).eval()
    maps = network.encode(frames(1, 3, *size))
    strides = network.encoder.strides
    assert [m.shape[1] for m in maps] == [*network.encoder.channels]
    assert [m.shape[2] for m in maps] == [
        -(-size[0] // strides[-1]) * strides[-1] // s for s in strides
    ]
    with torch.no_grad():
        styled = network(frames(2, 3, *size), frames(2, 3, 40, 24, seed=1))
    assert styled.shape == (2, 3, *size)
    assert float(styled.min()) >= 0 and float(styled.max()) <= 1


def test_vgg_maps_are_those_behind_the_papers_layers() -> None:
    torch.manual_seed(0)
    encoder = Vgg19()
    names = [
        f"{type(layer).__name__}{index}"
        for index, layer in enumerate(torchvision.models.vgg19().features)
    ]
    # relu1_1, relu2_1, relu3_1, relu4_1: the first one in each block between poolings
    first = [i for i, n in enumerate(names) if n.startswith("ReLU")]
    pools = [0, *(i for i, n in enumerate(names) if n.startswith("MaxPool"))]
    wanted = [min(i for i in first if i > pool) for pool in pools[:4]]
    image = (frames(1, 3, 16, 16) - encoder.mean) / encoder.std
    for index, found in zip(wanted, encoder(frames(1, 3, 16, 16)), strict=True):
        torch.testing.assert_close(found, encoder.features[: index + 1](image))


def test_without_style_the_decoder_sees_the_frames_own_features(network: StyleNetwork) -> None:
    source = frames(1, 3, 16, 24)
    plain = network.decode(network.encode(source)[-1], (16, 24)).clamp(0, 1)
    torch.testing.assert_close(network(source, frames(1, 3, 16, 24, seed=3), alpha=0.0), plain)


def test_losses_against_their_formulas(network: StyleNetwork) -> None:
    source, target = frames(2, 3, 16, 24), frames(2, 3, 16, 24, seed=1) * 0.3
    losses = style_losses(network, source, target)
    content, looks = network.encode(source)[-1], network.encode(target)
    wanted = adain(content, looks[-1])
    drawn = network.encode(network.decode(wanted, (16, 24)))
    assert float(losses["content"]) == pytest.approx(
        float((drawn[-1] - wanted).pow(2).mean()), 1e-4
    )
    style = 0.0
    for ours, theirs in zip(drawn, looks, strict=True):
        for statistic in (
            lambda m: m.double().mean((2, 3)),
            lambda m: (m.double().var((2, 3), correction=0) + 1e-5).sqrt(),
        ):
            style += float((statistic(ours) - statistic(theirs)).pow(2).mean())
    assert float(losses["style"]) == pytest.approx(style, rel=1e-4)
    identity = sum(
        float((network.decode(network.encode(x)[-1], (16, 24)) - x).pow(2).mean())
        for x in (source, target)
    )
    assert float(losses["identity"]) == pytest.approx(identity, rel=1e-4)


def test_only_the_decoder_is_trained_and_its_losses_fall(network: StyleNetwork) -> None:
    network.train()
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    optimizer = torch.optim.Adam(network.decoder.parameters(), lr=2e-3)
    source, target = frames(2, 3, 32, 32), frames(2, 3, 32, 32, seed=1) * 0.2
    history = []
    for _ in range(30):
        losses = style_losses(network, source, target)
        total = losses["content"] + losses["style"] + 10 * losses["identity"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(float(total))
    assert history[-1] < 0.6 * history[0]
    assert all(p.grad is None for p in network.encoder.parameters())
    after = network.encoder.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_style_file_gives_back_the_network(network: StyleNetwork, tmp_path: Path) -> None:
    path = tmp_path / "style.pt"
    save_style(path, network, {"steps": 1})
    again = load_style(path)
    source, target = frames(1, 3, 16, 24), frames(1, 3, 16, 24, seed=1)
    assert torch.equal(again(source, target), network.eval()(source, target))
    style = build_style(StyleSettings("adain", file=str(path)))
    assert style is not None
    styled = style(source, target)
    assert torch.equal(styled, again(source, target)) and not styled.requires_grad
    weaker = build_style(StyleSettings("adain", file=str(path), alpha=0.5))
    assert weaker is not None and not torch.equal(weaker(source, target), styled)
    assert torch.equal(restyle(source, target, style, 0.0, torch.Generator()), source)


def test_style_files_that_do_not_fit(network: StyleNetwork, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--style\.file"):
        build_style(StyleSettings("adain"))
    with pytest.raises(InputError, match="no such style file"):
        load_style(tmp_path / "none.pt")
    path = tmp_path / "style.pt"
    save_style(path, network, {})
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged"):
        load_style(path)
    path.write_text("style\n")
    with pytest.raises(InputError, match="not a style file"):
        load_style(path)
    content = {"format": "cfcontra.style", "version": 1, "encoder": "later", "state_dict": {}}
    torch.save(content, path)
    with pytest.raises(InputError, match="'later' is unknown"):
        load_style(path)


def test_encoders_from_files(model_file: Path, tmp_path: Path) -> None:
    stem = load_encoder(str(model_file))
    assert isinstance(stem, LightStem)
    torch.manual_seed(1)
    vgg = torchvision.models.vgg19().state_dict()
    path = tmp_path / "vgg19.pth"
    torch.save(vgg, path)
    encoder = load_encoder(str(path))
    assert isinstance(encoder, Vgg19)
    assert torch.equal(encoder.features[0].weight, vgg["features.0.weight"])
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"vgg19\.pth"):
        load_encoder(str(path))
    space = LABEL_SPACES["camvid11"]
    model = build_model("fpn-mobilenetv4", space.num_classes)
    metadata = ModelMetadata(space, Preprocessing((64, 96)), model.config())
    other = tmp_path / "other.pt"
    save_checkpoint(other, Checkpoint(model, metadata).model, metadata)
    with pytest.raises(InputError, match="not of 'fpn-mobilenetv4'"):
        load_encoder(str(other))


def test_the_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(InputError, match=r"cannot be downloaded.*vgg19-dcbb9e9d\.pth"):
        load_encoder("vgg19")


def test_a_full_disk_keeps_the_style_before(network: StyleNetwork, tmp_path: Path) -> None:
    """By a file that may grow no more, which torch meets as it meets a full disk."""
    path = tmp_path / "style.pt"
    path.write_bytes(b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match=r"style\.pt: cannot be written"):
            save_style(path, network, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"before" and [*tmp_path.iterdir()] == [path]
