from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tabveil.config import SynthesizerConfig
from tabveil.errors import ConfigError, ModelFileError
from tabveil.provenance import sha256_of
from tabveil.synthesizers import create_synthesizer, is_shareable, load_synthesizer
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


def test_weights_of_another_model_are_refused(model):
    weights = load_file(model / "weights.safetensors")
    save_file({name: torch.zeros(2, 2) for name in weights}, model / "weights.safetensors")
    resign(model)
    with pytest.raises(ModelFileError, match="not a complete TVAE"):
        load_synthesizer(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "version 2, however: 99: upgrade"),
        ({"version": 1}, "version 2, however: 1: train again"),
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


def test_importing_the_package_loads_neither_torch_nor_sdv():
    code = "import sys; from tabveil.synthesizers import is_shareable; print({'torch', 'sdv'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
