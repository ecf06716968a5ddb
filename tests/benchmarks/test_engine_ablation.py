"""`python -m benchmarks.engine.ablation`: variants are what they say, and are held against the shipped one in pairs."""

from __future__ import annotations

import gzip
import importlib
import json
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tabveil.config import TVAEConfig
from tabveil.errors import ConfigError
from tabveil.schema import ColumnType
from tabveil.synthesizers import create_synthesizer
from tabveil.synthesizers.tvae import kernel


@pytest.fixture(scope="module")
def bench(repository):
    """Modules of `benchmarks.engine` by name."""
    sys.path.insert(0, str(repository))
    try:
        yield lambda name: importlib.import_module(f"benchmarks.engine.{name}")
    finally:
        sys.path.remove(str(repository))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """BENCH_DATA with one table, `tiny`, whose target comes first."""
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for name, num_rows, seed in (("train", 300, 1), ("holdout", 150, 2)):
        rng = np.random.default_rng(seed)
        amount = rng.gamma(3.0, 50.0, num_rows).round(2)
        rows = pd.DataFrame({"kind": np.where(amount > 150, "large", "small"), "amount": amount})
        with gzip.open(folder / f"{name}.csv.gz", "wt") as stream:
            rows.to_csv(stream, index=False)
    columns = {"kind": {"sdtype": "categorical"}, "amount": {"sdtype": "numerical"}}
    (folder / "metadata.json").write_text(json.dumps({"target": "kind", "tables": {"tiny": {"columns": columns}}}))
    monkeypatch.setenv("BENCH_DATA", str(folder.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder


def test_ablation_runs_variants_and_goes_on_where_it_stopped(bench, data, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    command = ["--variants", "no_kernel", "--variant", "thin:decoder_dim=8", "--seeds", "0", "--jobs", "2"]
    command += ["--set", "max_steps=10", "--out", str(out)]
    bench("ablation").main(command)
    printed = capsys.readouterr().out
    found = json.loads((out / "ablation.json").read_text())
    assert [row["model"] for row in found["rows"]] == ["shipped", "no_kernel", "thin"]
    assert [row["failed"] for row in found["rows"]] == [{}, {}, {}]
    assert [row["measures"]["steps"]["mean"] for row in found["rows"]] == [10, 10, 10]
    shipped, flat, _ = (row["measures"]["shapes"]["mean"] for row in found["rows"])
    assert flat != shipped
    assert found["differences"][0]["measures"]["shapes"]["mean"] == pytest.approx(flat - shipped)
    assert "| tiny (300 x 2) | no_kernel | 1 |" in printed
    assert "- thin: decoder_dim=8" in printed
    assert "- no_kernel: patch no_kernel" in printed
    assert (out / "ablation.md").read_text() == printed.removesuffix("\n")

    monkeypatch.setattr(bench("run"), "run_isolated", lambda *_: pytest.fail("a job was done again"))
    bench("ablation").main(command)
    assert json.loads((out / "ablation.json").read_text())["rows"] == found["rows"]


def test_every_variant_is_a_job_of_its_own(bench, data):
    asked = bench("ablation").parse(["--seeds", "0", "--set", "max_steps=7"])
    planned = bench("ablation").plan(asked)
    names = [variant.name for variant, _ in planned]
    assert names == list(bench("variants").VARIANTS)
    assert names[0] == "shipped"
    assert len({job.digest for _, job in planned}) == len(planned)
    configs = {v.name: bench("models").model_config("balanced", job.settings, 0) for v, job in planned}
    assert configs.pop("slow").max_steps == 2 * TVAEConfig().step_budget  # what a variant sets itself takes precedence
    assert {config.max_steps for config in configs.values()} == {7}
    assert configs["weight_decay_quarter"].weight_decay == TVAEConfig().weight_decay / 4
    patched = [variant.name for variant, _ in planned if variant.patch]
    assert sorted(patched) == sorted(bench("variants").PATCHES)
    assert all(configs[name] == configs["shipped"] for name in patched)


def test_shipped_is_the_job_of_make_bench(bench, data):
    (_, shipped), *_ = bench("ablation").plan(bench("ablation").parse(["--seeds", "0"]))
    table = bench("tables").load_table("tiny")
    assert shipped == bench("results").plan_job(table, "balanced", 0, [], None)
    assert shipped.target == "benchmarks.engine.worker:measure"


def test_flat_kernel_gives_slices_the_mass_of_their_width(bench):
    raw = torch.linspace(-3, 3, 5, requires_grad=True)
    flat = bench("variants").flat_kernel(raw, raw)
    edges = torch.tensor([0.0, 0.1, 0.5, 1.0])
    middle, sharpness = flat.middle[:, None], flat.sharpness[:, None]
    masses = kernel.log_mass((edges[:-1] - middle) * sharpness, (edges[1:] - middle) * sharpness).softmax(1)
    torch.testing.assert_close(masses, edges.diff().expand(5, 3), rtol=2e-3, atol=0.0)
    (flat.middle.sum() + flat.sharpness.sum()).backward()
    assert raw.grad.abs().max() == 0


def test_patched_fit_leaves_the_heads_of_the_kernel_where_they_began(bench, data):
    """Their biases are not decayed, so that only a gradient moves them."""
    table = bench("tables").load_table("tiny")

    def biases(max_steps):
        synthesizer = create_synthesizer(TVAEConfig(max_steps=max_steps, seed=0))
        synthesizer.fit(table.train, table.metadata)
        network = synthesizer._model[1]
        return network.decoder.head_latent.bias[network.layout.num_tokens :].detach()

    with bench("variants").patched("no_kernel"):
        short, long = biases(2), biases(20)
    assert len(short) == 2  # middle and sharpness of the one number
    torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-6)
    assert (biases(2) - biases(20)).abs().min() > 1e-3


def test_patched_sampling_spreads_a_number_evenly_over_its_slice(bench):
    uniform, low, high = (torch.tensor(values, dtype=torch.float64) for values in ([0.25, 0.5], [0.2, 0.8], [0.4, 1.0]))
    flat = bench("variants").flat_kernel(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    drawn = kernel.truncated_logistic(low, high, flat, uniform)
    torch.testing.assert_close(drawn, low + uniform * (high - low), rtol=0, atol=1e-3)


def test_patch_reaches_every_module_that_looks_it_up_and_ends(bench):
    modules = [importlib.import_module(f"tabveil.synthesizers.tvae.{name}") for name in ("network", "sampling")]
    variants = bench("variants")
    with variants.patched("no_kernel"):
        assert all(module.kernel_parameters is variants.flat_kernel for module in modules)
    assert all(module.kernel_parameters is kernel.kernel_parameters for module in modules)
    assert kernel.kernel_parameters is not variants.flat_kernel


def test_patch_of_the_order_reaches_the_fit_and_ends(bench, data):
    table = bench("tables").load_table("tiny")
    synthesizer = create_synthesizer(TVAEConfig(max_steps=2, seed=0))
    orders = []
    for _ in range(2):
        synthesizer.fit(table.train, table.metadata)
        orders.append(synthesizer._model[0].names)
        with bench("variants").patched("target_in_place"):
            synthesizer.fit(table.train, table.metadata)
            orders.append(synthesizer._model[0].names)
    assert orders == [["amount", "kind"], ["kind", "amount"]] * 2


@pytest.fixture
def network(bench, data):
    """Of a table with an `amount` of eight bins and a missing token, and an integer of three spikes."""
    table = bench("tables").load_table("tiny")
    synthesizer = create_synthesizer(TVAEConfig(max_steps=1, seed=0, min_bin_rows=10, max_bins=8))
    synthesizer.fit(table.train.assign(level=pd.array([1, 2, 3] * 100, dtype="Int64")), with_level(table.metadata))
    return synthesizer._model[1]


def with_level(metadata):
    level = replace(metadata["amount"], name="level", original_name="level", type=ColumnType.integer)
    return replace(metadata, columns=(*metadata.columns, level))


def test_smoothed_targets_are_neighbouring_bins_of_the_same_number(bench, network):
    assert network.layout.sizes == (9, 4, 4)  # the target, a category, is last
    assert network.is_bin.tolist() == [False] + [True] * 8 + [False] * 4
    tokens = torch.tensor([[0, 1, 2], [1, 2, 3], [4, 3, 2], [8, 0, 2]])
    above, below = (bench("variants")._neighbours(network, tokens, step) for step in (1, -1))
    assert above.tolist() == [[0, 1, 2], [2, 2, 3], [5, 3, 2], [8, 0, 2]]
    assert below.tolist() == [[0, 1, 2], [1, 2, 3], [3, 3, 2], [7, 0, 2]]


def test_smoothed_loss_is_that_of_a_spread_target_while_training_only(bench, network):
    variants = bench("variants")
    heads = torch.randn(1, network.layout.num_tokens + 4, generator=torch.Generator().manual_seed(0))
    tokens, places = torch.tensor([[4, 1, 2]]), torch.full((1, 2), 0.5)
    with variants.patched("smoothed_targets"):
        smoothed = network.column_loss(heads, tokens, places)
        with torch.no_grad():
            exact = network.column_loss(heads, tokens, places)
            sides = [network.column_loss(heads, torch.tensor([[token, 1, 2]]), places)[0, 0] for token in (3, 5)]
    assert smoothed[0, 0].item() == pytest.approx(0.6 * exact[0, 0].item() + 0.2 * sum(sides).item(), rel=1e-5)
    torch.testing.assert_close(smoothed[0, 1:], exact[0, 1:])
    assert type(network).column_loss is variants._column_loss


def test_even_places_keep_the_masses_of_slices_and_nothing_of_what_is_inside(bench, network):
    variants = bench("variants")
    low, high, uniform = (torch.tensor([value], dtype=torch.float64) for value in (0.2, 0.6, 0.25))
    sharp = kernel.Kernel(low, torch.full_like(low, 50.0))
    sampling = importlib.import_module("tabveil.synthesizers.tvae.sampling")
    heads = torch.randn(1, network.layout.num_tokens + 4, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[4, 1, 2]])
    middle = (network.low[4] + network.high[4])[None, None] / 2
    with variants.patched("even_places"):
        assert sampling.truncated_logistic(low, high, sharp, uniform).item() == pytest.approx(0.3)
        here, there = (network.column_loss(heads, tokens, torch.cat([x, middle], 1)) for x in (middle, middle + 0.02))
    assert here.equal(there)
    assert not network.column_loss(heads, tokens, torch.cat([middle, middle], 1)).equal(here)


def test_number_features_can_be_left_out(bench, network):
    tokens, places = torch.tensor([[4, 1, 2]]), torch.full((1, 2), 0.5)
    assert network.inputs(tokens, places)[1].any()
    with bench("variants").patched("no_number_features"):
        assert network.inputs(tokens, places)[1].shape == (1, 12)
        assert not network.inputs(tokens, places)[1].any()


def test_columns_ordered_by_information_follow_what_tells_of_them(bench, data):
    rng = np.random.default_rng(0)
    code = rng.integers(0, 8, 2_000)
    table = pd.DataFrame(
        {
            "target": code % 2,
            "noise": rng.normal(size=2_000),
            "half": pd.array(np.where(code == 7, None, code // 2), dtype="Int64"),
            "code": np.array(list("abcdefgh"))[code],
            "amount": code * 10.0 + rng.normal(size=2_000),
        }
    )
    order = bench("variants").informed_order(table, list(table.columns), "target")
    assert set(order[:2]) == {"code", "amount"}
    assert order[2:] == ["half", "noise", "target"]
    assert bench("variants").informed_order(table, list(table.columns), None)[-1] == "noise"

    tiny, order = bench("tables").load_table("tiny"), ["amount", "kind"]
    synthesizer = create_synthesizer(TVAEConfig(max_steps=2, seed=0))
    metadata = replace(tiny.metadata, target=None)
    with bench("variants").patched("order_by_information"):
        for columns in (order, order[::-1]):
            synthesizer.fit(tiny.train[columns], replace(metadata, columns=tuple(metadata[name] for name in columns)))
            assert set(synthesizer._model[0].names) == set(order)
            assert synthesizer._model[0].names == bench("variants").informed_order(tiny.train, columns, None)


def test_last_weights_are_kept_whatever_validation_says(bench, data):
    """A training that learns so fast that it gets worse, whose patience would end it."""
    table, trained = bench("tables").load_table("tiny"), {}
    settings = {"max_steps": 60, "validate_every": 5, "patience": 2, "learning_rate": 0.3, "ema_decay": 0.0, "seed": 0}
    for patch in (None, "last_weights"):
        records = []
        synthesizer = create_synthesizer(TVAEConfig(**settings))
        with bench("variants").patched(patch) if patch else nullcontext():
            synthesizer.fit(table.train, table.metadata, on_loss=records.append)
        trained[patch] = (records[-1].step, synthesizer._model[1].state_dict())
    assert trained["last_weights"][0] == 60 > trained[None][0]
    assert any(not weight.equal(trained[None][1][name]) for name, weight in trained["last_weights"][1].items())


def record(table, variant, seed, **measures):
    return {"table": table, "model": variant, "seed": seed, "measures": measures, "rows": 1, "columns": 1}


def test_differences_are_paired_by_table_and_seed(bench):
    records = [
        record("a", "shipped", 0, quality=0.5, tstr=0.5),
        record("a", "shipped", 1, quality=0.9),
        record("b", "shipped", 0, quality=0.1),
        record("b", "shipped", 1, quality=0.2),
        record("a", "v", 0, quality=0.6, tstr=0.7),
        record("a", "v", 1, quality=1.0),
        record("b", "v", 0, quality=0.4),
        record("b", "v", 1, quality=0.3),
        record("a", "lost", 0, quality=0.6),
        record("a", "lost", 1, quality=0.6),
        record("b", "lost", 0, quality=0.6),
        {"table": "b", "model": "lost", "seed": 1, "error": "x"},
        {"table": "a", "model": "failed", "seed": 0, "error": "x"},
    ]
    v, lost, failed = bench("ablation").differences(records)
    quality = v["measures"]["quality"]  # seeds: (.1 + .3) / 2 and (.1 + .1) / 2
    assert (quality["mean"], quality["sd"]) == (pytest.approx(0.15), pytest.approx(np.std([0.2, 0.1], ddof=1)))
    assert (quality["tables"], quality["count"]) == (2, 2)
    assert v["measures"]["tstr"]["mean"] == pytest.approx(0.2)
    assert v["measures"]["tstr"]["tables"] == 1
    assert lost["measures"]["quality"]["mean"] == pytest.approx((0.1 + 0.5) / 2)  # seed 1 misses in table b
    assert lost["measures"]["quality"]["count"] == 1
    assert failed["measures"] == {}
    lines = bench("ablation").difference_lines([v, lost, failed])
    assert lines[2] == "| v | 2 | 2 | +0.1500 ± 0.0707 | +0.200 |"
    assert lines[4] == "| failed | 0 | 0 |  |  |"


def test_jobs_run_side_by_side_and_an_error_of_one_ends_nothing(bench, data, tmp_path, monkeypatch, capsys):
    both, writers = threading.Barrier(2, timeout=30), set()

    def measure(target, job):
        both.wait()  # opens only when two jobs are under way
        if target == "benchmarks.engine.variants:measure_patched":
            assert job["patch"] == "no_kernel"
            raise OSError(12, "Cannot allocate memory")
        assert "patch" not in job
        return {"measures": {"quality": 0.5}, "rows": 300, "columns": 2}

    run, append = bench("run"), bench("run").append_result
    monkeypatch.setattr(run, "run_isolated", measure)
    monkeypatch.setattr(run, "append_result", lambda *a: (writers.add(threading.get_ident()), append(*a)))
    command = ["--variants", "no_kernel", "--seeds", "0", "1", "--jobs", "2", "--out", str(tmp_path / "out")]
    bench("ablation").main(command)
    printed = capsys.readouterr().out
    assert "- tiny, no_kernel, seed 1: Cannot allocate memory" in printed
    assert "| tiny (300 x 2) | shipped | 2 | 0.5000 ± 0.0000 |" in printed
    assert writers == {threading.get_ident()}
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 4


def test_interruption_ends_what_runs_and_keeps_what_is_done(bench, data, tmp_path, monkeypatch):
    """The first job is done, the second would last for ever, when the writing of the first is interrupted."""
    run, append, isolated = bench("run"), bench("run").append_result, bench("run").run_isolated
    started = threading.Event()

    def measure(target, job):
        if job["seed"]:
            started.set()
            return isolated("signal:pause", {})
        assert started.wait(30)
        return {"measures": {"quality": 0.5}, "rows": 300, "columns": 2}

    def interrupted(*arguments):
        append(*arguments)
        while not bench("process")._running:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_isolated", measure)
    monkeypatch.setattr(run, "append_result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.main(["--models", "holdout", "--seeds", "0", "1", "--jobs", "2", "--out", str(tmp_path / "out")])
    assert not bench("process")._running
    (kept,) = bench("results").read_results(tmp_path / "out").values()
    assert kept["seed"] == 0


def test_variants_of_the_same_settings_are_one_job(bench, data, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(
        bench("run"),
        "run_isolated",
        lambda *a: started.append(a) or {"measures": {"quality": 0.5}, "rows": 1, "columns": 1},
    )
    out = tmp_path / "out"
    bench("ablation").main(["--variant", "same:dropout=0.2", "--set", "dropout=0.2", "--seeds", "0", "--out", str(out)])
    assert len(started) == 1
    rows = json.loads((out / "ablation.json").read_text())["rows"]
    assert [row["model"] for row in rows] == ["shipped", "same"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--variants", "no_such"], "--variants must be among"),
        (["--variant", "thin"], "--variant takes NAME:KEY=VALUE"),
        (["--variant", "thin:"], "--variant takes NAME:KEY=VALUE"),
        (["--variant", ":dropout=0"], "--variant takes NAME:KEY=VALUE"),
        (["--variant", "shipped:dropout=0"], "a name of its own"),
        (["--variant", "a:dropout=0", "a:dropout=0.1"], "a name of its own"),
        (["--variant", "a:no_bias"], "at most one patch"),
        (["--variant", "a:no_kernel,target_in_place"], "at most one patch"),
        (["--variant", "a:dropot=0"], "variant 'a': --set takes a setting of a chosen model, however: 'dropot'"),
        (["--variant", "a:dropout=2"], "variant 'a': synthesizer.dropout must be"),
        (["--variant", "a:seed=2"], "--set cannot change 'seed'"),
        (["--model", "sdv_tvae"], "--model must be one of"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--seeds", "-1"], "--seeds must be in"),
        (["--tables", "nowhere"], "--tables must be among"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(bench, data, tmp_path, arguments, said):
    with pytest.raises(ConfigError) as refused:
        bench("ablation").main([*arguments, "--out", str(tmp_path / "out")])
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()
