from __future__ import annotations

import contextlib
import copy
import json
import random
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from tabveil.config import SynthesizerConfig
from tabveil.errors import ConfigError, ModelFileError, TabVeilError
from tabveil.provenance import sha256_of
from tabveil.schema import METADATA_VERSION, ColumnType, ConstraintKind, ConstraintSpec
from tabveil.synthesizers import create_synthesizer, is_shareable, load_synthesizer, sample_chunks
from tabveil.synthesizers.model_folder import FORMAT_VERSION, MANIFEST
from tabveil.synthesizers.tvae import TVAE

FILES = ["loss.csv", "metadata.json", "tokenizer.json", "weights.safetensors"]


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(folder)
    return folder


@pytest.fixture
def model(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def change_manifest(folder, **changes):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def resign(folder):
    """Make the checksums fit again, as a forger would."""
    change_manifest(folder, files={name: sha256_of(folder / name) for name in FILES})


def test_the_folder_describes_itself(model):
    assert sorted(p.name for p in model.iterdir()) == sorted([*FILES, MANIFEST])
    manifest = json.loads((model / MANIFEST).read_text())
    assert (manifest["kind"], manifest["version"]) == ("tvae", FORMAT_VERSION)
    for name in (MANIFEST, "metadata.json", "tokenizer.json"):
        assert (model / name).read_text().endswith("}\n")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_damaged_file_is_named(model, name):
    path = model / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelFileError, match="checksum"):
        load_synthesizer(model)
    path.unlink()
    with pytest.raises(ModelFileError, match=f"{name}, however it is missing"):
        load_synthesizer(model)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_with_a_fitting_checksum_is_refused(model, name):
    (model / name).write_bytes(b"nonsense")
    resign(model)
    with pytest.raises(ModelFileError, match="train again"):
        load_synthesizer(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "version 4, however: 99: upgrade"),
        ({"version": 2}, "version 4, however: 2: train again"),
        ({"format": "pickle"}, "written by something else"),
        ({"kind": "gan"}, "one of the kinds"),
        ({"kind": None}, "must name the model's kind"),
        ({"files": {"../../etc/passwd": "0"}}, "is missing"),
        ({"config": {"name": "tvae", "speed": 1}}, "not a complete model"),
        ({"config": {"name": "tvae", "seed": -1}}, "not a complete model"),
        ({"totals": [{}]}, "not a complete model"),
    ],
)
def test_a_foreign_or_newer_manifest_gives_one_clear_line(model, changes, message):
    change_manifest(model, **changes)
    with pytest.raises(ModelFileError, match=message) as error:
        load_synthesizer(model)
    assert "\n" not in str(error.value)


def test_no_folder_no_json_no_object(tmp_path):
    with pytest.raises(ModelFileError, match="must hold a model"):
        load_synthesizer(tmp_path)
    for text in ("{", "[]", "3"):
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(ModelFileError, match="must"):
            load_synthesizer(tmp_path)


def test_a_class_refuses_another_kind(model):
    change_manifest(model, kind="sdv_tvae")
    with pytest.raises(ModelFileError, match="must hold a 'tvae' model"):
        TVAE.load(model)


def test_the_folder_says_whether_it_may_leave_the_machine(model, tmp_path):
    assert is_shareable(model)
    for changes in ({"shareable": False}, {"shareable": "yes"}, {"shareable": None}):
        change_manifest(model, **changes)
        assert not is_shareable(model)
    manifest = json.loads((model / MANIFEST).read_text())
    del manifest["shareable"]
    (model / MANIFEST).write_text(json.dumps(manifest))
    assert not is_shareable(model)
    with pytest.raises(ModelFileError, match="must hold a model"):
        is_shareable(tmp_path)


def test_no_weight_is_infinite(model):
    assert all(np.isfinite(value.numpy()).all() for value in load_file(model / "weights.safetensors").values())


def test_an_unknown_name_is_a_configuration_error():
    with pytest.raises(ConfigError, match="must be one of"):
        create_synthesizer(SynthesizerConfig(name="gan"))


TYPES = {
    "plan": ColumnType.string,
    "fee": ColumnType.integer,
    "since": ColumnType.date,
    "net": ColumnType.decimal,
    "tax": ColumnType.decimal,
    "gross": ColumnType.decimal,
    "open": ColumnType.boolean,
}
CONSTRAINTS = (
    ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["plan", "fee", "since"]),
    ConstraintSpec(kind=ConstraintKind.sum, total="gross", parts=["net", "tax"]),
    ConstraintSpec(kind=ConstraintKind.inequality, low="tax", high="net"),
)
GONE = "(deleted)"
WRONG = (GONE, None, [], {}, "zz", -1, 0, 2, 0.5, 10**30, float("inf"), True, [None], [[]])
PATHS_OF_A_FILE = 70


@pytest.fixture(scope="module")
def whole(make_metadata, quick, tmp_path_factory):
    """A model in whose files every kind of entry occurs."""
    rng = np.random.default_rng(0)
    first = rng.random(300) < 0.5
    table = pd.DataFrame({"plan": np.where(first, "x", "y"), "fee": np.where(first, 1, 2)})
    table["since"] = np.where(first, np.datetime64("2020-01-01", "us"), np.datetime64("2021-01-01", "us"))
    table["tax"] = rng.choice([0.0, 0.25, 0.5], 300)
    table["net"] = (table["tax"] + rng.gamma(2.0, 5.0, 300)).round(2)
    table["gross"] = (table["net"] + table["tax"]).round(2)
    table["open"] = rng.random(300) < 0.3
    model = create_synthesizer(quick(max_steps=3, encoder_dim=8, decoder_dim=16, rare_threshold=5))
    model.fit(table, make_metadata(TYPES, *CONSTRAINTS))
    folder = tmp_path_factory.mktemp("whole") / "model"
    model.save(folder)
    return folder


def paths(data, start=()):
    """Every entry of a JSON document, as the keys that lead to it."""
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield (*start, key)
        yield from paths(data[key], (*start, key))


def replaced(data, path, value):
    """A copy in which one entry is another, or gone."""
    result = copy.deepcopy(data)
    owner = result
    for key in path[:-1]:
        owner = owner[key]
    if value == GONE:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return result


def refusal(folder):
    """What the load says against a model; None of one that samples, or says clearly why it does not."""
    try:
        model = load_synthesizer(folder)
    except ModelFileError as error:
        return str(error)
    with contextlib.suppress(TabVeilError):
        assert len(next(sample_chunks(model, 50, 0))) == 50
    return None


@pytest.mark.parametrize("name", [MANIFEST, "metadata.json", "tokenizer.json"])
def test_no_damaged_entry_ends_in_a_foreign_error(whole, name):
    text, chance = (whole / name).read_text(), random.Random(0)
    original = json.loads(text)
    every = list(paths(original))
    deep = [path for path in every if len(path) > 2]
    refused = tried = 0
    try:
        for path in [*(p for p in every if len(p) < 3), *chance.sample(deep, min(len(deep), PATHS_OF_A_FILE))]:
            for value in chance.sample(WRONG, 5):
                (whole / name).write_text(json.dumps(replaced(original, path, value)))
                if name != MANIFEST:
                    resign(whole)
                message = refusal(whole)
                assert message is None or any(known in message for known in (*FILES, MANIFEST)), (path, value, message)
                refused, tried = refused + (message is not None), tried + 1
    finally:
        (whole / name).write_text(text)
        resign(whole)
    assert refused > tried / 3


@pytest.mark.parametrize("name", [MANIFEST, "metadata.json", "tokenizer.json"])
def test_no_entry_may_be_missing(whole, name):
    text = (whole / name).read_text()
    original = json.loads(text)
    named = [path for path in paths(original) if isinstance(path[-1], str) and "files" not in path[1:]]
    try:
        for path in named:
            (whole / name).write_text(json.dumps(replaced(original, path, GONE)))
            if name != MANIFEST:
                resign(whole)
            with pytest.raises(ModelFileError, match=name):
                load_synthesizer(whole)
    finally:
        (whole / name).write_text(text)
        resign(whole)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("metadata.json", '"name": "net"', '"name": "neT"'),
        ("metadata.json", f'"version": {METADATA_VERSION}', f'"version": {METADATA_VERSION + 1}'),
        ("metadata.json", '"minimum": null', '"minimum": 1'),
        ("tokenizer.json", '"name": "net"', '"name": "neT"'),
        ("tokenizer.json", '"type": "decimal"', '"type": "integer"'),
        ("tokenizer.json", '"unit": 1', '"unit": 0'),
        ("tokenizer.json", '"categories": [', '"categories": [null, '),
        ("tokenizer.json", '"knots": [', '"knots": [0.001, '),
        ("loss.csv", "step,train", "train,step"),
        ("loss.csv", "step,train,validation", "step,train"),
        ("loss.csv", "step,train,validation", "step,train,validation,more"),
        ("loss.csv", "\n3,", "\n3.5,"),
        ("loss.csv", "\n3,", "\n,"),
        ("loss.csv", "\n3,", "\n3,inf,"),
        ("loss.csv", "\n3,", "\n3,0.5,0.5,"),
        ("loss.csv", "\n3,", "\nthree,"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(whole, tmp_path, name, old, new):
    folder = shutil.copytree(whole, tmp_path / "model")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    resign(folder)
    with pytest.raises(ModelFileError, match=f"{name} is not a complete model"):
        load_synthesizer(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: {name: torch.zeros(2, 2) for name in weights},
        lambda weights: {name: value.double() for name, value in weights.items()},
        lambda weights: {name: value * torch.nan for name, value in weights.items()},
        lambda weights: {
            name: value * 1e30 for name, value in weights.items()
        },  # finite, what follows from them is not
        lambda weights: {name: torch.ones_like(value) for name, value in weights.items()},  # also beyond the masks
        lambda weights: {**weights, "more": torch.zeros(1)},
        lambda weights: dict(list(weights.items())[1:]),
        lambda weights: {name: value[..., :-1].contiguous() for name, value in weights.items()},
        lambda weights: {},
    ],
)
def test_weights_of_another_model_are_refused(model, change):
    save_file(change(load_file(model / "weights.safetensors")), model / "weights.safetensors")
    resign(model)
    with pytest.raises(ModelFileError, match=r"weights\.safetensors is not a complete model"):
        load_synthesizer(model)


def test_widths_that_no_machine_could_hold_are_refused_before_they_are_made(model):
    settings = json.loads((model / MANIFEST).read_text())["config"]
    change_manifest(model, config={**settings, "encoder_dim": 10**6, "decoder_dim": 10**6})
    with pytest.raises(ModelFileError, match=r"weights\.safetensors is not"):
        load_synthesizer(model)


def test_settings_of_another_kind_are_refused(quick):
    with pytest.raises(ConfigError, match="the settings of a 'tvae' must be its own, however"):
        TVAE(quick(name="sdv_tvae"))


def test_importing_the_package_loads_neither_torch_nor_sdv():
    code = "import sys; from tabveil.synthesizers import is_shareable; print({'torch', 'sdv'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
