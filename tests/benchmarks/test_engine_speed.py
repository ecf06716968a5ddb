"""`benchmarks.engine.speed` on a tiny table: every part is measured, and kept when another one is measured again."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabveil.errors import ConfigError

PARTS = ["fit", "sample", "memory", "scaling", "shares"]


@pytest.fixture(scope="module")
def bench(repository):
    """Modules of `benchmarks.engine` by name."""
    sys.path.insert(0, str(repository))
    try:
        yield lambda name: importlib.import_module(f"benchmarks.engine.{name}")
    finally:
        sys.path.remove(str(repository))


@pytest.fixture
def table(bench):
    """300 rows of a number and a level."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"amount": rng.gamma(2, 50, 300).round(2), "kind": rng.choice(["a", "b"], 300)})
    return bench("tables").Table("tiny", rows, rows, bench("tables").describe(rows, set()))


@pytest.fixture
def speed(bench, table, monkeypatch):
    """`speed` without SDV and without processes of its own, so that a test takes seconds: calls are noted."""
    module, parts, calls = bench("speed"), bench("speed_parts"), []

    def call(target, job):
        function = target.split(":")[1]
        calls.append((function, job))
        return getattr(parts, function)(**job)

    monkeypatch.setattr(module, "run_isolated", call)
    monkeypatch.setattr(module, "load_table", lambda name: table)
    monkeypatch.setattr(module, "PEER", "best")
    module.calls = calls
    return module


def test_every_part_is_measured_and_kept(speed, tmp_path, capsys):
    command = ["--table", "tiny", "--sdv-epochs", "2", "--sample-rows", "500", "--chunk-rows", "200", "--steps", "5"]
    command += ["--sample-repeats", "3", "--memory-rows", "400", "--rows", "250", "--columns", "2", "5"]
    command += ["--set", "max_steps=10", "num_threads=1"]
    speed.main([*command, "--out", str(tmp_path)])
    results = json.loads((tmp_path / "speed.json").read_text())
    assert sorted(results) == sorted(PARTS)
    found = {part: results[part]["found"] for part in PARTS}
    assert found["fit"]["sdv_is"] == "extrapolated to 300 epochs from fits of 2 and 4"
    for preset in ("fast", "balanced"):
        ratio = found["fit"]["sdv"]["fit_wall_seconds"] / found["fit"]["ours"][preset]["fit_wall_seconds"]
        assert found["fit"]["ratio"][preset]["fit_wall_seconds"] == pytest.approx(ratio)
        assert found["fit"]["ours"][preset]["steps"] == 10
    ours, sdv = found["sample"]["ours"], found["sample"]["sdv"]
    assert [run["rows"] for run in (*ours, *sdv)] == [500] * 6
    ratios = [b["draw_seconds"] / a["draw_seconds"] for a, b in zip(ours, sdv, strict=True)]
    assert found["sample"]["ratio"] == pytest.approx(ratios)
    drawn = [Path(job["model"]).name for function, job in speed.calls if function == "sample"]
    assert drawn[:6] == ["balanced-0", "best-2"] * 3  # in turn; "best" stands for SDV's here
    assert (found["memory"]["rows"], found["memory"]["columns"]) == (400, 2)
    assert found["memory"]["fit_peak_mb"] >= found["memory"]["before_mb"] > 0
    sizes = [(row["rows"], row["columns"], row["steps"]) for row in found["scaling"]]
    assert sizes == [(250, 2, 5), (300, 2, 5), (300, 5, 5)]
    assert list(found["shares"]) == ["draw", "rest of the fit", "steps", "tokenise", "write"]
    assert min(found["shares"].values()) >= 0
    fits = [job["settings"] for function, job in speed.calls if function == "fit"]
    assert all("num_threads=1" in settings for settings in fits)  # the peer has as many threads
    printed = capsys.readouterr().out
    assert f"| {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |" in printed
    assert all(f"## {title}" in printed for title in ("Fit", "Sampling", "Memory", "Cost against size", "Where"))

    speed.main([*command, "--parts", "memory", "--memory-rows", "500", "--out", str(tmp_path)])
    again = json.loads((tmp_path / "speed.json").read_text())
    assert again["memory"]["found"]["rows"] == 500
    assert again["fit"] == results["fit"]

    del again["sample"]["about"]["format"], again["sample"]["found"]["ratio"]  # as an earlier version wrote it
    (tmp_path / "speed.json").write_text(json.dumps(again))
    speed.main([*command, "--parts", "memory", "--out", str(tmp_path)])
    assert sorted(json.loads((tmp_path / "speed.json").read_text())) == sorted({*PARTS} - {"sample"})


def test_full_epochs_are_measured_not_extrapolated(speed, tmp_path):
    speed.main(["--table", "tiny", "--parts", "fit", "--set", "max_steps=5", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "speed.json").read_text())["fit"]["found"]["sdv_is"] == "measured"
    assert [job["settings"] for _, job in speed.calls][2] == ["max_steps=5", "epochs=300"]


def test_extrapolation_keeps_the_start_apart_from_the_epochs(bench):
    start, per_epoch = 12.0, 3.0
    few, more = start + 5 * per_epoch, start + 10 * per_epoch
    assert bench("speed")._extrapolated(few, more, 5) == pytest.approx(start + 300 * per_epoch)


def test_step_seconds_leave_out_what_comes_before_the_first_record(bench):
    per_step = bench("speed_parts")._per_step
    assert per_step([(50, 8.0), (100, 9.0), (150, 10.0)], 0.0) == {"steps": 150, "step_seconds": pytest.approx(0.02)}
    assert per_step([(40, 8.0)], 0.0) == {"steps": 40, "step_seconds": pytest.approx(0.2)}


def test_cpu_seconds_count_children_that_still_run(bench):
    cost, spin = {}, "import time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\ninput()"
    with bench("peers.protocol").stopwatch("fit", cost):
        child = subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"done\n"
    child.communicate(b"\n")
    assert cost["fit_cpu_seconds"] >= 0.35
    assert cost["fit_peak_mb"] > 10


def test_wider_and_longer_tables_keep_each_columns_values(bench, table):
    parts = bench("speed_parts")
    wide, metadata = parts.widen(table.train, table.metadata, 5)
    assert list(wide) == metadata.modelled_columns == ["amount", "kind", "amount_1", "kind_1", "amount_2"]
    assert sorted(wide["amount_1"]) == sorted(wide["amount"])
    assert not wide["amount_1"].equals(wide["amount"])
    assert parts.widen(table.train, table.metadata, 1)[0].equals(table.train[["amount"]])
    grown = parts.grow(table.train, 1000)
    assert len(grown) == 1000
    assert set(grown["amount"]) <= set(table.train["amount"])
    assert parts.grow(table.train, 300)["amount"].nunique() == table.train["amount"].nunique()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parts", "everything"], "invalid choice"),
        (["--rows", "0"], "numbers must be positive"),
        (["--sdv-epochs", "301"], "--sdv-epochs at most 300"),
        (["--set", "epochs=3"], "--set takes a setting of a chosen model"),
        (["--table", "nowhere"], "--tables must be among"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(bench, arguments, said, tmp_path):
    with pytest.raises(ConfigError) as refused:
        bench("speed").main([*arguments, "--out", str(tmp_path / "out")])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
