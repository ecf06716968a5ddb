"""`make bench` on tiny tables: one command, one table; what was done is not done again; what fails is a row."""

from __future__ import annotations

import ast
import gzip
import importlib
import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tabveil.errors import ConfigError
from tabveil.schema import canonical

SIZES = ((2000, 1), (1000, 2))  # rows and seed of training and holdout rows that scores are held against


@pytest.fixture(scope="module")
def bench(repository):
    """Modules of `benchmarks.engine` by name."""
    sys.path.insert(0, str(repository))
    try:
        yield lambda name: importlib.import_module(f"benchmarks.engine.{name}")
    finally:
        sys.path.remove(str(repository))


def make_rows(num_rows, seed):
    """A number, a level that follows from it, and a level on its own."""
    rng = np.random.default_rng(seed)
    amount = rng.gamma(3.0, 50.0, num_rows).round(2)
    kind = np.where(amount + rng.normal(0, 20, num_rows) > 150, "large", "small")
    return pd.DataFrame({"amount": amount, "kind": kind, "place": rng.choice(["north", "south"], num_rows)})


@pytest.fixture
def data(tmp_path, monkeypatch):
    """BENCH_DATA with one table, `tiny`."""
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for name, num_rows, seed in (("train", 400, 1), ("holdout", 200, 2)):
        with gzip.open(folder / f"{name}.csv.gz", "wt") as stream:
            make_rows(num_rows, seed).to_csv(stream, index=False)
    kinds = {"amount": "numerical", "kind": "categorical", "place": "categorical"}
    columns = {name: {"sdtype": kind} for name, kind in kinds.items()}
    (folder / "metadata.json").write_text(json.dumps({"target": "kind", "tables": {"tiny": {"columns": columns}}}))
    monkeypatch.setenv("BENCH_DATA", str(folder.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder


def test_bench_makes_one_table_and_goes_on_where_it_stopped(bench, data, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    command = ["--models", "fast", "bootstrap", "--seeds", "0", "--set", "max_steps=10", "num_threads=1"]
    command += ["--peer-python", f"bootstrap={sys.executable}", "--out", str(out)]
    bench("run").main(command)
    printed = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    ours, copied = results["rows"]
    assert [row["model"] for row in results["rows"]] == ["fast", "bootstrap"]
    assert ours["failed"] == copied["failed"] == {}
    assert ours["rows"] == 400
    assert ours["measures"]["steps"]["mean"] == 10
    assert 0 <= ours["measures"]["membership"]["mean"] <= 1
    assert ours["measures"]["fit_peak_mb"]["mean"] > 50
    assert "membership" not in copied["measures"]
    assert copied["measures"]["dcr_share"]["mean"] > 0.65  # it copies, half of it rows that were cut off here
    assert copied["measures"]["dcr_share_all"]["mean"] > 0.9
    assert copied["measures"]["quality"]["mean"] > ours["measures"]["quality"]["mean"]
    assert (out / "results.md").read_text() == printed.removesuffix("\n")
    assert (out / "quality.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr(bench("run"), "run_isolated", lambda *_: pytest.fail("a job was done again"))
    bench("run").main(command)
    assert json.loads((out / "results.json").read_text())["rows"] == results["rows"]


def test_failed_model_becomes_a_row_and_is_tried_again(bench, data, tmp_path, monkeypatch, capsys):
    run, started = bench("run"), []

    def measure(target, job):
        started.append(job["model"])
        if job["model"] == "independent" and started.count("independent") == 1:
            raise bench("process").FailedError("it ran out of patience")
        return {"measures": {"quality": 0.5}, "rows": 400, "columns": 3}

    monkeypatch.setattr(run, "run_isolated", measure)
    command = ["--models", "independent", "holdout", "--seeds", "0", "--out", str(tmp_path / "out")]
    run.main(command)
    printed = capsys.readouterr().out
    assert "| independent | 0 (1 failed) |" in printed
    assert "- tiny, independent, seed 0: it ran out of patience" in printed
    assert "| holdout | 1 | 0.5000 |" in printed
    run.main(command)
    assert started == ["independent", "holdout", "independent"]
    assert "failed" not in capsys.readouterr().out


def test_code_that_changes_during_a_run_gives_no_figures(bench, data, tmp_path, monkeypatch, capsys):
    results, code = bench("results"), iter(["planned", "planned", "changed"])
    monkeypatch.setattr(results, "_code", lambda *_: next(code))
    monkeypatch.setattr(
        bench("run"), "run_isolated", lambda *_: {"measures": {"quality": 1.0}, "rows": 1, "columns": 1}
    )
    bench("run").main(["--models", "holdout", "--seeds", "0", "--out", str(tmp_path / "out")])
    assert "the code changed during the benchmark" in capsys.readouterr().out
    assert "measures" not in (tmp_path / "out" / "results.jsonl").read_text()


def test_other_settings_values_or_code_are_other_jobs(bench, data, monkeypatch):
    results, table = bench("results"), bench("tables").load_table("tiny")

    def digest(table, model, settings=()):
        return results.plan_job(table, model, 0, settings, None).digest

    ours = digest(table, "fast")
    assert digest(table, "fast") == ours
    assert digest(table, "fast", ["max_steps=10"]) != ours
    assert digest(replace(table, train=table.train.iloc[1:]), "fast") != ours
    theirs = digest(table, "sdv_tvae")
    assert digest(table, "sdv_tvae", ["max_steps=10"]) == theirs  # it has no such setting
    monkeypatch.setattr(results, "sha256_of_files", lambda files: " ".join(sorted(files)))
    assert "src/tabveil/synthesizers/tvae/network.py" in results._code("fast", None)
    assert "src/tabveil/synthesizers/tvae/network.py" not in results._code("sdv_tvae", None)
    assert "src/tabveil/config/synthesizer.py" in results._code("fast", None)


def test_results_survive_a_line_that_was_cut_off(bench, tmp_path):
    results = bench("results")
    results.append_result(tmp_path, {"digest": "a", "measures": {}})
    with (tmp_path / "results.jsonl").open("a") as stream:
        stream.write('{"digest": "b", "meas')
    results.append_result(tmp_path, {"digest": "c", "error": "x"})
    results.append_result(tmp_path, {"digest": "c", "measures": {}})
    assert results.read_results(tmp_path) == {
        "a": {"digest": "a", "measures": {}},
        "c": {"digest": "c", "measures": {}},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tables", "nowhere"], "--tables must be among"),
        (["--tables", "tiny:few"], "NAME:ROWS"),
        (["--models", "gpt"], "--models must be among"),
        (["--models", "bootstrap"], "a peer needs --peer-python"),
        (["--seeds", "-1"], "--seeds must be in"),
        (["--seeds", "one"], "invalid int value"),
        (["--set", "max_steps"], "--set takes NAME=VALUE"),
        (["--set", "max_step=3"], "--set takes a setting of a chosen model, however: 'max_step'"),
        (["--models", "holdout", "--set", "max_steps=3"], "--set takes a setting of a chosen model"),
        (["--set", "max_steps=some"], "must be a value of type int"),
        (["--set", "dropout=2"], "synthesizer.dropout must be"),
        (["--set", "seed=3"], "--set cannot change 'seed'"),
        (["--peer-python", "bootstrap"], "--peer-python takes NAME=PYTHON"),
        (["--peer-python", "bootstrap=/nowhere/python"], "must be an interpreter"),
        (["--peer-python", f"protocol={sys.executable}"], "needs a script peers/NAME.py"),
        (["--peer-python", f"holdout={sys.executable}"], "must name a peer"),
        (["--fast"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(bench, data, tmp_path, arguments, said):
    with pytest.raises(ConfigError) as refused:
        bench("run").main([*arguments, "--out", str(tmp_path / "out")])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_bench_data_must_hold_whole_tables(bench, data, monkeypatch):
    tables = bench("tables")
    (data / "metadata.json").write_text("{}")
    with pytest.raises(ConfigError, match="metadata of one table"):
        tables.load_table("tiny")
    (data / "holdout.csv.gz").unlink()
    with pytest.raises(ConfigError, match=r"these miss: holdout\.csv\.gz"):
        tables.load_table("tiny")
    with pytest.raises(ConfigError, match="has none"):
        tables.default_tables()
    monkeypatch.setenv("BENCH_DATA", str(data / "nowhere"))
    with pytest.raises(ConfigError, match="must be a folder of tables"):
        tables.default_tables()
    monkeypatch.delenv("BENCH_DATA")
    assert tables.default_tables() == ["loans", "credit_data", "diamonds"]


def test_public_tables_have_a_target_without_gaps(bench, monkeypatch):
    monkeypatch.delenv("BENCH_DATA", raising=False)
    for name in ("loans", "credit_data", "attrition"):
        table = bench("tables").load_table(name)
        both = pd.concat([table.train, table.holdout])[table.metadata.target]
        assert both.notna().all()
        assert both.nunique() > 1
    assert len(bench("tables").load_table("attrition:100").train) == 100
    assert bench("tables").load_table("loans").train.shape == (8000, 54)


def test_rules_declared_for_a_public_table_hold_in_all_but_a_few_rows(bench):
    plain, ruled = (bench("tables").load_table(name) for name in ("loans", "loans_with_rules"))
    pd.testing.assert_frame_equal(plain.train, ruled.train)
    both = pd.concat([ruled.train, ruled.holdout])
    for column, dependent, allowed in (("interest_rate", "sub_grade", 5), ("sub_grade", "grade", 0)):
        pairs = both.groupby([column, dependent], observed=True).size()
        assert len(both) - pairs.groupby(level=0).max().sum() <= allowed
    declared = [rule for rule in ruled.metadata.constraints if rule not in plain.metadata.constraints]
    assert [(rule.columns, rule.dependent) for rule in declared] == [
        (["interest_rate"], "sub_grade"),
        (["sub_grade"], "grade"),
    ]


def test_crash_and_error_of_a_process_are_told_in_one_line(bench):
    process = bench("process")
    with pytest.raises(process.FailedError, match="ended by signal 6"):
        process.run_isolated("os:abort", {})
    with pytest.raises(process.FailedError, match="exit code 3 and without a result"):
        process.run_isolated("os:_exit", {"status": 3})
    with pytest.raises(process.FailedError, match="--tables must be among"):
        process.run_isolated("benchmarks.engine.tables:load_table", {"asked": "nowhere"})


def test_peer_that_fails_or_answers_nonsense_is_told(bench, data, tmp_path, monkeypatch):
    models, table = bench("models"), bench("tables").load_table("tiny")
    monkeypatch.setattr(models, "PEERS", tmp_path)
    (tmp_path / "broken.py").write_text("raise SystemExit(7)")
    (tmp_path / "silent.py").write_text("")
    for name, said in (("broken", "exit code 7"), ("silent", r"must write synthetic\.parquet")):
        with pytest.raises(bench("process").FailedError, match=said):
            models.make(table, name, 0, [], sys.executable)


def test_scores_tell_real_rows_from_shuffled_columns(bench, data):
    tables, scores = bench("tables"), bench("scores")
    parts = [canonical(make_rows(num_rows, seed), tables.load_table("tiny").metadata) for num_rows, seed in SIZES]
    table = tables.Table("small", *parts, tables.load_table("tiny").metadata)
    shuffled = bench("models").make(table, "independent", 0, [], None).synthetic
    floor, ceiling = scores.score(table, shuffled, 0), scores.score_ceiling(table, 0, table)
    assert floor.keys() == ceiling.keys()
    assert floor["shapes"] > 0.999  # shuffling keeps every column
    assert floor["shared_trends"] < ceiling["shared_trends"] - 0.05
    assert floor["c2st"] > 0.6 > ceiling["c2st"]
    assert floor["gap"] > 0.2
    assert ceiling["gap"] == 0
    assert abs(ceiling["dcr_share"] - 0.5) < 0.15


def test_protected_ceiling_is_the_same_rows_without_extremes_and_single_values(bench, data):
    tables, metadata = bench("tables"), bench("tables").load_table("tiny").metadata
    parts = [canonical(make_rows(num_rows, seed), metadata) for num_rows, seed in SIZES]
    table = tables.Table("small", *parts, metadata)
    shown = bench("protected").protect(table, 0)
    largest = np.sort(table.train["amount"])[-8:]  # as many people as a value must be of
    assert shown.train["amount"].max() < largest.min()
    assert shown.holdout["amount"].max() <= shown.train["amount"].max()
    assert np.corrcoef(shown.train["amount"], table.train["amount"])[0, 1] > 0.99
    pd.testing.assert_frame_equal(shown.train.drop(columns="amount"), table.train.drop(columns="amount"))
    scores = bench("scores")
    ceiling, protected = (scores.score_ceiling(table, 0, part) for part in (table, shown))
    assert ceiling.keys() == protected.keys()
    assert protected["quality"] < ceiling["quality"]
    assert protected["trtr"] == ceiling["trtr"]


def test_membership_finds_a_model_that_knows_its_rows(bench, data):
    table = bench("tables").load_table("tiny")
    known = set(table.train["amount"])
    auc = bench("scores").membership(lambda rows: rows["amount"].isin(known).to_numpy(dtype=float), table, 0)
    assert auc > 0.9
    assert bench("scores").membership(lambda rows: np.zeros(len(rows)), table, 0) == 0.5


def test_no_peer_script_hides_the_package_that_it_imports(bench):
    """A script's folder comes first when Python looks for a module."""
    scripts = [path for path in bench("models").PEERS.glob("*.py") if path.stem != "__init__"]
    names = {path.stem for path in scripts} - {"protocol"}
    assert names
    for script in scripts:
        nodes = list(ast.walk(ast.parse(script.read_text())))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not names & {module.split(".")[0] for module in imported}


def test_debugging_shows_what_a_models_process_writes(bench, data, monkeypatch, capfd):
    process = bench("process")
    for asked, shown in (("1", True), ("", False)):
        monkeypatch.setenv("TABVEIL_DEBUG", asked)
        with pytest.raises(process.FailedError):
            process.run_isolated("nowhere", {})
        assert ("Traceback" in capfd.readouterr().err) == shown
