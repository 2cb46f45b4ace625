from __future__ import annotations

from pathlib import Path

import pytest

from cfcontra.errors import InputError
from cfcontra.train.recipe import load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_load(name: str) -> None:
    recipe = load_recipe(name, "adapt", {})
    assert recipe.adapt.steps > 0


def test_overrides_reach_the_running_stage() -> None:
    overrides = {"steps": "7", "optimizer.lr": "1e-4", "data.work_size": "[64, 128]", "seed": "3"}
    recipe = load_recipe("default", "adapt", overrides)
    assert (recipe.adapt.steps, recipe.adapt.optimizer.lr) == (7, 1e-4)
    assert (recipe.data.work_size, recipe.seed) == ((64, 128), 3)
    assert recipe.train.steps != 7
    assert load_recipe("default", "adapt", {"train.steps": "7"}).train.steps == 7


def test_a_file_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("label_space: camvid11\nadapt: {method: minent, entropy: {weight: 0.01}}\n")
    recipe = load_recipe(str(path), "adapt", {})
    assert recipe.adapt.method == "minent" and recipe.adapt.entropy.weight == 0.01


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"stpes": "7"}, "--stpes: no such recipe field. Did you mean 'steps'"),
        ({"optimizer.lrr": "7"}, "Did you mean 'optimizer.lr'"),
        ({"contrast.temprature": "7"}, "Did you mean 'contrast.temperature'"),
        ({"steps": "many"}, r"adapt\.steps: .*integer.*'many'"),
        ({"steps": "0"}, "greater than 0"),
        ({"method": "minnet"}, "adapt.method"),
        ({"contrast.temperature": "0"}, "greater than 0"),
        ({"data.work_size": "[64]"}, "data.work_size"),
        ({"data.work_size": "[1, 1]"}, r"data\.work_size\.0: .*greater than or equal to 32"),
        ({"data.work_size": "[64, 31]"}, r"data\.work_size\.1: .*greater than or equal to 32"),
        ({"data.scale": "[2, 1]"}, r"data\.scale: the first number is the lower one"),
        ({"data.scale": "[0, 0]"}, r"data\.scale\.0: .*greater than or equal to 0\.1"),
        ({"data.scale": "[-1, 1]"}, r"data\.scale\.0: "),
        ({"data.scale": "[1, .inf]"}, r"data\.scale\.1: .*finite"),
        ({"optimizer.lr": "inf"}, r"adapt\.optimizer\.lr: .*finite number"),
        ({"optimizer.lr": "nan"}, "finite number"),
        ({"optimizer.lr": "1e300"}, "less than or equal to 10"),
        ({"light.gamma": "inf"}, "finite number"),
        ({"contrast.temperature": "inf"}, "finite number"),
        ({"ema": "nan"}, "finite number"),
    ],
)
def test_bad_overrides(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe("default", "adapt", overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adapt: {stepz: 3}", r"unknown field 'adapt\.stepz'. Did you mean 'adapt\.steps'"),
        ("- a list", "expected `field: value`"),
        ("a: [", "not valid YAML"),
        ("adapt: 3", "adapt"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(str(path), "train", {})


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'camvid-day-to-dusk'"):
        load_recipe("camvid-day-dusk", "train", {})
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_recipe("nowhere.yaml", "train", {})


def test_paper_recipe_has_the_published_settings() -> None:
    """Tang et al. 2021, and MinEnt's (Vu et al. 2019) that it builds on."""
    recipe = load_recipe("paper", "adapt", {})
    stage, contrast, optimizer = recipe.adapt, recipe.adapt.contrast, recipe.adapt.optimizer
    assert recipe.model.name == "deeplabv2-resnet101"
    assert (recipe.data.work_size, recipe.data.batch_size) == ((640, 1280), 1)
    assert stage.method == "cfcontra"
    assert (contrast.temperature, contrast.momentum, contrast.margin) == (0.07, 0.9, 0.05)
    assert contrast.pseudo_labels == "margin"
    assert {
        contrast.source_to_source,
        contrast.target_to_target,
        contrast.target_to_source,
        contrast.source_to_target,
    } == {0.001}
    assert (stage.entropy.weight, stage.entropy.aux_weight) == (0.001, 0.0002)
    assert (optimizer.name, optimizer.lr, optimizer.head_lr_factor) == ("sgd", 2.5e-4, 10)
    assert (optimizer.momentum, optimizer.weight_decay, optimizer.power) == (0.9, 5e-4, 0.9)
    assert (optimizer.horizon, stage.steps) == (250_000, 120_000)
