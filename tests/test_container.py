"""tabveil.container: SageMaker's contract below a folder of the test: complete, or a reason and an exit code."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil import container
from tabveil.artifacts import write_json, write_parquet, write_text
from tabveil.config import SYNTHESIZER_CONFIGS, SDVConfig, TVAEConfig
from tabveil.container import Folders
from tabveil.errors import TrainingError
from tabveil.provenance import sha256_of
from tabveil.schema import DEFAULT_SDTYPE, Column, ColumnType, Metadata, canonical
from tabveil.synthesizers import load_synthesizer
from tabveil.synthesizers.base import LossRecord
from tabveil.synthesizers.model_folder import check_folder
from tabveil.training import SLOTS, KeptTraining, fit_file

SETTINGS = {"max_steps": 20, "num_threads": 1, "encoder_dim": 16, "decoder_dim": 16, "latent_dim": 2, "min_rows": 20}
CONFIG = TVAEConfig(**SETTINGS, batch_size=64)
TYPES = {"amount": ColumnType.decimal, "grade": ColumnType.string}
METADATA = Metadata("accounts", tuple(Column(n, n, kind, DEFAULT_SDTYPE[kind]) for n, kind in TYPES.items()))


def table(num_rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"amount": rng.gamma(2, 500, num_rows).round(2), "grade": rng.choice(["A", "B"], num_rows)})
    return canonical(frame, METADATA)


@pytest.fixture(autouse=True)
def same_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """What SageMaker mounts before it starts the container."""
    made = Folders(tmp_path / "ml")
    write_parquet(made.channel / "train.parquet", table())
    write_text(made.channel / "metadata.json", METADATA.to_json())
    write_hyperparameters(made)
    write_json(made.config / "resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})
    write_json(made.config / "inputdataconfig.json", {"training": {"TrainingInputMode": "File"}})
    made.model.mkdir()
    monkeypatch.setenv(container.ROOT_VARIABLE, str(made.root))
    return made


def write_hyperparameters(folders: Folders, **changes: str) -> None:
    write_json(folders.config / "hyperparameters.json", {**container.hyperparameters_of(CONFIG), **changes})


def fails(folders: Folders, capsys: pytest.CaptureFixture[str]) -> str:
    """The failure text of a run that must fail with exit code 2 and leave no model."""
    with pytest.raises(SystemExit) as caught:
        container.main()
    text = folders.failure.read_text()
    assert caught.value.code == 2
    assert len(text.splitlines()) == 1
    assert list(folders.model.iterdir()) == []
    assert capsys.readouterr().err == f"error: {text}"
    return text


def test_train_writes_the_model_and_its_metrics_without_a_network(folders, monkeypatch, capsys):
    def no_network(*args: object, **kwargs: object) -> None:
        raise AssertionError("the container must not open a socket")

    monkeypatch.setattr(socket, "socket", no_network)
    place = folders.model.stat().st_ino
    container.main()

    check_folder(folders.model)
    assert folders.model.stat().st_ino == place  # a mount point cannot be replaced
    assert load_synthesizer(folders.model).sample(5, 0).columns.tolist() == list(TYPES)
    metrics = json.loads((folders.output_data / "metrics.json").read_text())
    assert metrics["steps"] == 20
    assert math.isfinite(metrics["train_loss"])
    assert (folders.output_data / "loss.csv").read_bytes() == (folders.model / "loss.csv").read_bytes()
    assert not folders.failure.exists()
    said = capsys.readouterr().out
    for regex in container.LOSS_METRICS.values():
        assert float(re.search(regex, said)[1]) > 0


def test_the_model_is_the_one_that_the_same_settings_give_elsewhere(folders, tmp_path):
    container.main()
    fit_file(CONFIG, folders.channel / "train.parquet", METADATA).save(tmp_path / "here")
    assert sha256_of(folders.model) == sha256_of(tmp_path / "here")


STEADY = {"max_steps": "60", "validate_every": "10", "patience": "1000", "full_budget_rows": "200"}


class KilledError(Exception):
    pass


def run_until(folders: Folders, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """A container that is killed when `step` is kept and the next check done; it has a folder for checkpoints."""
    folders.checkpoints.mkdir(exist_ok=True)
    say = container.print_loss

    def kill(record: LossRecord) -> None:
        say(record)
        if record.step > step:
            raise KilledError

    monkeypatch.setattr(container, "print_loss", kill)
    with pytest.raises(KilledError):
        container.train(folders)
    monkeypatch.setattr(container, "print_loss", say)
    shutil.rmtree(folders.unfinished)  # a new instance has only what SageMaker copied


def whole_digest(folders: Folders, tmp_path: Path) -> str:
    config = container.synthesizer_config(container.read_config(folders.config / "hyperparameters.json"))
    fit_file(config, folders.channel / "train.parquet", METADATA).save(tmp_path / "whole")
    return sha256_of(tmp_path / "whole")


@pytest.mark.parametrize("step", [10, 20, 50])
def test_a_container_that_starts_anew_ends_in_the_same_bytes(folders, tmp_path, monkeypatch, step):
    write_hyperparameters(folders, **STEADY)
    run_until(folders, monkeypatch, step)
    told: list[int] = []
    packed: list[bool] = []
    monkeypatch.setattr(container, "print_loss", lambda record: told.append(record.step))
    monkeypatch.setattr(zipfile.ZipFile, "write", lambda self, path, name: packed.append(True))
    container.train(folders)
    assert sha256_of(folders.model) == whole_digest(folders, tmp_path)
    assert told == [10, 20, 30, 40, 50, 60]
    assert len(packed) == 2 * (60 - step) // 10  # two files a check; what was unpacked is not trained or packed again
    assert not folders.unfinished.exists()
    assert {path.name for path in folders.checkpoints.iterdir()} == set(SLOTS)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: flipped(data)])
def test_of_a_slot_that_was_copied_half_the_other_one_is_used(folders, tmp_path, monkeypatch, damage):
    write_hyperparameters(folders, **STEADY)
    run_until(folders, monkeypatch, 40)
    newest = folders.checkpoints / SLOTS[1]  # 10 and 30 are in the first, 20 and 40 in the second
    newest.write_bytes(damage(newest.read_bytes()))
    assert kept_steps(folders) == [10, 20, 30]
    container.train(folders)
    assert sha256_of(folders.model) == whole_digest(folders, tmp_path)


def kept_steps(folders: Folders) -> list[int]:
    """The checks of the training that a new container would go on with."""
    KeptTraining(folders.checkpoints, folders.unfinished).restore()
    records = json.loads((folders.unfinished / "state.json").read_text())["records"]
    return [record["step"] for record in records]


def flipped(data: bytes) -> bytes:
    """One bit of the packed tensors differs."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def test_checkpoints_of_other_rows_or_settings_are_not_gone_on_with(folders, tmp_path, monkeypatch):
    write_hyperparameters(folders, **STEADY)
    run_until(folders, monkeypatch, 30)
    write_hyperparameters(folders, **STEADY, seed="1")
    run_until(folders, monkeypatch, 10)
    assert kept_steps(folders) == [10]
    container.train(folders)
    assert sha256_of(folders.model) == whole_digest(folders, tmp_path)


def test_a_container_that_is_really_killed_goes_on(folders, tmp_path):
    write_hyperparameters(folders, **{**STEADY, "max_steps": "2000", "full_budget_rows": "200"})
    folders.checkpoints.mkdir()
    command = [sys.executable, "-m", "tabveil", "train"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline().startswith("step=")
        process.kill()
    assert not list(folders.model.iterdir())
    shutil.rmtree(folders.unfinished)
    slots = {path.name for path in folders.checkpoints.iterdir()}
    assert slots
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert sha256_of(folders.model) == whole_digest(folders, tmp_path)


def test_without_a_folder_for_checkpoints_nothing_is_kept(folders):
    container.main()
    assert not folders.checkpoints.exists()
    assert not folders.unfinished.exists()


def test_promised_checksums_are_held_against_the_files(folders, capsys):
    right = {f"{name}_sha256": sha256_of(folders.channel / file) for name, file in FILES.items()}
    write_hyperparameters(folders, **right)
    container.require_promised(folders.channel, container.read_config(folders.config / "hyperparameters.json"))
    write_hyperparameters(folders, **{**right, "train_sha256": "0" * 64})
    assert "train.parquet must have the checksum" in fails(folders, capsys)


FILES = {"train": "train.parquet", "metadata": "metadata.json"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "gan"}, "hyperparameter name must be one of"),
        ({"name": "sdv_tvae"}, "hyperparameter name must be one of ['tvae']"),
        ({"max_stepz": "3"}, "hyperparameter max_stepz is not a setting of this synthesizer (did you mean max_steps?)"),
        ({"max_steps": "many"}, "hyperparameter max_steps must be of type int, however: 'many'"),
        ({"dropout": "2"}, "synthesizer.dropout must be a number from 0 to 0.9"),
        ({"min_rows": "201"}, "must have at least 201 rows, however: 200"),
    ],
)
def test_a_wrong_hyperparameter_is_named(folders, capsys, changes, message):
    write_hyperparameters(folders, **changes)
    assert message in fails(folders, capsys)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("hyperparameters.json", None, "must bring"),
        ("hyperparameters.json", "{", "must be JSON"),
        ("hyperparameters.json", "[]", "must hold a JSON object, however: list"),
        ("resourceconfig.json", '{"hosts": ["algo-1", "algo-2"]}', "on one instance, however the job has 2"),
        ("inputdataconfig.json", '{"train": {}}', "must have the channel 'training', however it has: ['train']"),
        ("inputdataconfig.json", '{"training": {"TrainingInputMode": "Pipe"}}', "input mode File or FastFile"),
        ("../data/training/train.parquet", None, "must hold train.parquet, however it is missing"),
        ("../data/training/train.parquet", "no table", "train.parquet cannot be read"),
        ("../data/training/metadata.json", None, "must hold metadata.json, however it is missing"),
        ("../data/training/metadata.json", "{", "metadata is not JSON"),
    ],
)
def test_a_job_that_is_laid_out_wrongly_fails_with_its_reason(folders, capsys, file, content, message):
    path = folders.config / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert message in fails(folders, capsys)


def test_an_unforeseen_error_does_not_tell_values(folders, capsys, monkeypatch):
    def explode(*args: object, **kwargs: object) -> None:
        raise ValueError("a value of the table: Jane Doe")

    monkeypatch.setattr(container, "fit_file", explode)
    assert "unexpected ValueError" in (text := fails(folders, capsys))
    assert "Jane" not in text


def test_a_long_reason_is_cut_to_what_sagemaker_shows(tmp_path):
    path = tmp_path / "output" / "failure"
    with pytest.raises(TrainingError), container.failure_file(path):
        raise TrainingError("many\nlines " * 400)
    assert len(path.read_text().rstrip("\n")) == container.FAILURE_CHARACTERS
    assert len(path.read_text().splitlines()) == 1


def test_a_failure_file_that_cannot_be_written_does_not_hide_the_error(tmp_path, capsys):
    (tmp_path / "output").write_text("a file where SageMaker has a folder")
    with pytest.raises(TrainingError, match="the reason"), container.failure_file(tmp_path / "output" / "failure"):
        raise TrainingError("the reason")
    assert "cannot be written" in capsys.readouterr().err


def test_sigterm_ends_with_a_failure_text_and_no_model(folders):
    write_hyperparameters(folders, max_steps="1000000", patience="1000000", validate_every="1")
    with subprocess.Popen([sys.executable, "-m", "tabveil", "train"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("step=")  # it trains
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert folders.failure.read_text() == container.ENDED + "\n"
    assert list(folders.model.iterdir()) == []


def test_python_m_tabveil_and_the_image_run_the_same_command(folders, repository: Path, tmp_path):
    """The image's `train`, taken from the Dockerfile, reaches the contract and passes its exit code on."""
    (folders.config / "hyperparameters.json").unlink()
    found = re.search(r"printf '(?P<script>[^']+)' > /usr/local/bin/train", (repository / "Dockerfile").read_text())
    assert found is not None
    bin_folder = tmp_path / "bin"
    write_text(bin_folder / "train", found["script"].replace("\\n", "\n"))
    write_text(bin_folder / "tabveil", f'#!/bin/sh\nexec {sys.executable} -m tabveil "$@"\n')
    for path in bin_folder.iterdir():
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(["train"], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "hyperparameters.json" in folders.failure.read_text()


def test_an_unknown_command_is_refused():
    result = subprocess.run([sys.executable, "-m", "tabveil", "serve"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "invalid choice: 'serve'" in result.stderr


@pytest.mark.parametrize("name", sorted(SYNTHESIZER_CONFIGS))
def test_settings_survive_the_way_through_strings(name, monkeypatch):
    monkeypatch.setattr(container, "SHAREABLE_KINDS", frozenset(SYNTHESIZER_CONFIGS))
    config = SYNTHESIZER_CONFIGS[name](name=name)
    strings = container.hyperparameters_of(config)
    assert {type(value) for value in strings.values()} == {str}
    assert container.synthesizer_config(strings) == config


@given(rate=st.floats(1e-12, 1e3), beta=st.floats(0, 100), seed=st.integers(0, 2**31 - 1), steps=st.integers(1, 10**9))
def test_numbers_survive_the_way_through_strings(rate, beta, seed, steps):
    config = TVAEConfig(learning_rate=rate, beta=beta, seed=seed, max_steps=steps)
    assert container.synthesizer_config(container.hyperparameters_of(config)) == config


def test_sagemaker_takes_every_setting_as_a_hyperparameter():
    """At most 100 pairs, names up to 256 and values up to 2,500 characters (CreateTrainingJob)."""
    for shape, name in ((TVAEConfig, "tvae"), (SDVConfig, "sdv_tvae")):
        assert len(asdict(shape(name=name))) + len(container.CHECKSUMS) <= 100


def test_the_image_for_sagemaker_runs_as_root(repository: Path):
    """/opt/ml belongs to root there; the pipeline's image, the default target, does not run as root."""
    text = (repository / "Dockerfile").read_text()
    targets = dict(re.findall(r"(?ms)^FROM \S+ AS (\w+)$(.*?)(?=^FROM|\Z)", text))
    assert list(targets) == ["base", "sagemaker", "pipeline"]
    assert "\nUSER" not in targets["base"] + targets["sagemaker"]
    assert "\nUSER tabveil\n" in targets["pipeline"]


def test_half_a_model_is_no_model(folders, monkeypatch):
    """A container that is killed while it writes leaves no manifest."""
    copied: list[str] = []
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: copied.append(Path(target).name))
    fitted = fit_file(CONFIG, folders.channel / "train.parquet", METADATA)
    container.write_model(fitted, folders.model)
    assert copied[-1] == "synthesizer.json"
    assert len(copied) > 3
