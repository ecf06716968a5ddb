"""tabveil.sweep: the leaderboard and the command line's border (a real sweep runs in tests/pipeline)."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from tabveil.sweep import base_config, failures, leaderboard


def run(name: str, seed: int, quality: float | None, **params: str) -> dict:
    metrics = {} if quality is None else {"quality/overall": quality, "detection/c2st_auc": 0.5}
    return {
        "run_id": f"{name}{seed}",
        "name": name,
        "params": {"synthesizer.name": name, "synthesizer.seed": str(seed), **params},
        "metrics": metrics,
        "tags": {"gate": "passed"} if quality else {},
    }


def shown(runs: list[dict]) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(leaderboard(runs))
    return console.export_text()


def test_the_leaderboard_shows_what_was_swept_and_only_that():
    text = shown([run("tvae", 0, 0.97, rows="10"), run("tvae", 1, 0.96, rows="10")])
    assert "seed" in text
    assert "name" not in text
    assert "rows" not in text
    assert text.index("0.970") < text.index("0.960")


def test_a_setting_that_only_one_kind_of_synthesizer_has_is_not_a_column():
    text = shown([run("tvae", 0, 0.9, **{"synthesizer.max_steps": "10"}), run("sdv_tvae", 0, 0.8)])
    assert "sdv_tvae" in text
    assert "max_steps" not in text


def test_a_trial_without_scores_stays_in_the_list():
    text = shown([run("tvae", 0, 0.9), run("sdv_ctgan", 0, None)])
    assert "sdv_ctgan" in text
    assert "-" in text


def test_the_parent_run_belongs_to_the_swept_dataset(repository, monkeypatch):
    monkeypatch.chdir(repository)
    config = base_config(["--multirun", "synthesizer=tvae,sdv_tvae", "synthesizer.seed=0,1", "evaluation.num_plots=2"])
    assert config.dataset.name == "loans"
    assert config.evaluation.num_plots == 2
    assert config.synthesizer.seed == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthesizer.seed=0,1"], "a sweep needs --multirun"),
        (["--multirun", "synthesizer.sed=0,1", "evaluation.num_plotz=1"], "num_plotz"),
        (["--multirun", "seed=="], "seed=="),
        (["--multirun", "dataset=loans", "synthesizer.seed=0,1"], "cannot change dataset=loans"),
        (["--multirun", "pii.holdout_fraction=0.1,0.2"], "change conf/ and run dvc repro"),
    ],
)
def test_a_wrong_sweep_is_one_line(arguments, message, clone, run_in):
    result = run_in(clone, sys.executable, "-m", "tabveil.sweep", *arguments, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_one_failed_trial_is_not_several():
    assert failures(["3"]) == "1 trial failed: 3 (see above)"
    assert failures(["0", "2"]) == "2 trials failed: 0, 2 (see above)"
