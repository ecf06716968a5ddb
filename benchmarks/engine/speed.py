"""What the engine costs, beside SDV's TVAE on the same machine in one run: look at the ratios.

    python -m benchmarks.engine.speed [--parts fit sample memory scaling shares] [--table adult]
        [--sdv-epochs 300] [--sample-rows 1000000] [--sample-repeats 5] [--memory-rows 1000000]
        [--rows 10000 100000 1000000] [--columns 15 55 200] [--steps 100] [--set num_threads=1] [--out benchmarks/out]

Parts: **fit** of our presets and of SDV's TVAE at its defaults; **sample** rows of both in chunks to Parquet;
peak **memory** of a fit on many rows; **scaling** with rows and columns, a fixed number of steps each; **shares** of
tokenising, steps, drawing and writing in a whole fit and sample. Each measurement has a process of its own. Results go
to `speed.json` and `speed.md` in the output folder; parts that are not asked for keep their last results.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tabveil.artifacts import to_json
from tabveil.cli import process_border
from tabveil.errors import ConfigError

from .models import check_settings
from .process import run_isolated
from .report import environment
from .run import OUT, Parser
from .speed_parts import grow, widen, write_table
from .speed_report import markdown
from .tables import Table, default_tables, load_table

PRESETS, OURS, PEER = ("fast", "balanced"), "balanced", "sdv_tvae"
SDV_EPOCHS = 300  # of SDV's defaults
FEW_EPOCHS = 1  # of an SDV model that is only sampled from
RESULTS, FORMAT = "speed.json", 2  # parts in an earlier format are left out


class Bench:
    """Measurements on one table; models that a later part can use again are kept in a temporary folder."""

    def __init__(self, table: Table, asked: argparse.Namespace, folder: Path) -> None:
        self.table, self.asked, self.folder = table, asked, folder
        self.fits: dict[tuple[str, int], dict[str, Any]] = {}

    def fit(self) -> dict[str, Any]:
        """Ours beside SDV's TVAE; with fewer epochs than its defaults, SDV's is extrapolated from two fits."""
        ours, epochs = {preset: self._fitted(preset, 0) for preset in PRESETS}, self.asked.sdv_epochs
        if epochs == SDV_EPOCHS:
            sdv, how = self._fitted(PEER, epochs), "measured"
        else:
            few, more = self._fitted(PEER, epochs), self._fitted(PEER, 2 * epochs)
            sdv = few | {name: _extrapolated(few[name], more[name], epochs) for name in _SECONDS}
            how = f"extrapolated to {SDV_EPOCHS} epochs from fits of {epochs} and {2 * epochs}"
        ratios = {preset: {name: sdv[name] / cost[name] for name in _SECONDS} for preset, cost in ours.items()}
        return {"ours": ours, "sdv": sdv, "sdv_is": how, "ratio": ratios}

    def sample(self) -> dict[str, Any]:
        """Many rows of ours and of SDV's TVAE, in the same chunks, in turn: a machine's speed changes while it runs."""
        epochs = self.asked.sdv_epochs if (PEER, self.asked.sdv_epochs) in self.fits else FEW_EPOCHS
        models, rows = {"ours": (OURS, 0), "sdv": (PEER, epochs)}, self.asked.sample_rows
        repeats = [
            {name: self._sampled(*model, rows) for name, model in models.items()}
            for _ in range(self.asked.sample_repeats)
        ]
        return {
            **{name: [repeat[name] for repeat in repeats] for name in models},
            "ratio": [repeat["sdv"]["draw_seconds"] / repeat["ours"]["draw_seconds"] for repeat in repeats],
            "sdv_epochs": epochs,
            "chunk_rows": self.asked.chunk_rows,
        }

    def memory(self) -> dict[str, Any]:
        """Our fit on rows of the table drawn with replacement."""
        folder = self._written("memory", self.asked.memory_rows, len(self.table.metadata.columns))
        return self._call("fit", table=str(folder), model=OURS, settings=self.asked.set, save_to=None)

    def scaling(self) -> list[dict[str, Any]]:
        """Tokenising, steps and sampling for several numbers of rows, then of columns."""
        width, height = len(self.table.metadata.columns), len(self.table.train)
        sizes = [(rows, width) for rows in self.asked.rows] + [(height, columns) for columns in self.asked.columns]
        return [self._scaled(rows, columns) for rows, columns in dict.fromkeys(sizes)]

    def shares(self) -> dict[str, Any]:
        """Seconds of each part of a fit and of sampling as many rows."""
        fitted, sampled = self._fitted(OURS, 0), self._sampled(OURS, 0, len(self.table.train))
        tokenised = self._call("tokenise", table=str(self._original()), settings=self.asked.set)
        tokenising, steps = tokenised["tokenise_wall_seconds"], fitted["steps"] * fitted["step_seconds"]
        return {
            "tokenise": tokenising,
            "steps": steps,
            "rest of the fit": max(fitted["fit_wall_seconds"] - tokenising - steps, 0.0),
            "draw": sampled["draw_seconds"],
            "write": sampled["write_seconds"],
        }

    def _scaled(self, rows: int, columns: int) -> dict[str, Any]:
        folder, model = self._written(f"{rows}-{columns}", rows, columns), self.folder / f"model-{rows}-{columns}"
        settings = [*self.asked.set, f"max_steps={self.asked.steps}"]
        tokenised = self._call("tokenise", table=str(folder), settings=settings)
        fitted = self._call("fit", table=str(folder), model=OURS, settings=settings, save_to=str(model))
        sampled = self._draw(model, min(self.asked.sample_rows, 10 * self.asked.chunk_rows))
        return tokenised | fitted | {"sample_microseconds": 1e6 * sampled["draw_seconds"] / sampled["rows"]}

    def _fitted(self, model: str, epochs: int) -> dict[str, Any]:
        """A fit on the table as it is, once; `epochs` 0: no such setting."""
        if (model, epochs) not in self.fits:
            settings = [*self.asked.set, f"epochs={epochs}"] if epochs else self.asked.set
            target = str(self._model(model, epochs))
            arguments = {"table": str(self._original()), "model": model, "settings": settings, "save_to": target}
            self.fits[model, epochs] = self._call("fit", **arguments)
        return self.fits[model, epochs]

    def _sampled(self, model: str, epochs: int, num_rows: int) -> dict[str, Any]:
        self._fitted(model, epochs)
        return self._draw(self._model(model, epochs), num_rows)

    def _draw(self, model: Path, num_rows: int) -> dict[str, Any]:
        parquet, chunk_rows = str(self.folder / "sampled.parquet"), self.asked.chunk_rows
        return self._call("sample", model=str(model), num_rows=num_rows, chunk_rows=chunk_rows, parquet=parquet)

    def _model(self, model: str, epochs: int) -> Path:
        return self.folder / f"{model}-{epochs}"

    def _original(self) -> Path:
        if not (self.folder / "original").exists():
            write_table(self.folder / "original", self.table.train, self.table.metadata)
        return self.folder / "original"

    def _written(self, name: str, rows: int, columns: int) -> Path:
        write_table(self.folder / name, *widen(grow(self.table.train, rows), self.table.metadata, columns))
        return self.folder / name

    def _call(self, function: str, **arguments: Any) -> dict[str, Any]:
        if sys.stderr.isatty():
            print(f"{function} {arguments.get('model', '')} ...", file=sys.stderr)
        return run_isolated(f"benchmarks.engine.speed_parts:{function}", arguments)


_SECONDS = ("fit_cpu_seconds", "fit_wall_seconds")


def _extrapolated(few: float, more: float, epochs: int) -> float:
    """Seconds of SDV's default epochs from those of `epochs` and twice as many: a start, and so much per epoch."""
    per_epoch = (more - few) / epochs
    return few + per_epoch * (SDV_EPOCHS - epochs)


PARTS: dict[str, Callable[[Bench], Any]] = {
    "fit": Bench.fit,
    "sample": Bench.sample,
    "memory": Bench.memory,
    "scaling": Bench.scaling,
    "shares": Bench.shares,
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line.

    Raises:
        ConfigError: something on it is wrong.
    """
    parser = Parser(
        "python -m benchmarks.engine.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--table", help="default: adult if BENCH_DATA has it, else its first table, else credit_data")
    parser.add_argument("--sdv-epochs", type=int, default=SDV_EPOCHS, help="fewer: extrapolated from two short fits")
    parser.add_argument("--sample-rows", type=int, default=1_000_000)
    parser.add_argument("--sample-repeats", type=int, default=5, help="of the part sample, ours and SDV's in turn")
    parser.add_argument("--chunk-rows", type=int, default=20_000)
    parser.add_argument("--memory-rows", type=int, default=1_000_000)
    parser.add_argument("--rows", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--columns", nargs="*", type=int, default=[15, 55, 200])
    parser.add_argument("--steps", type=int, default=100, help="training steps of the part scaling")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of our engine; SDV's gets the threads"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    numbers = [asked.sample_rows, asked.sample_repeats, asked.chunk_rows, asked.memory_rows, asked.steps]
    numbers += [*asked.rows, *asked.columns]
    if min(numbers) < 1 or not 1 <= asked.sdv_epochs <= SDV_EPOCHS:
        raise ConfigError(f"numbers must be positive, and --sdv-epochs at most {SDV_EPOCHS}, however one is not")
    check_settings([OURS], asked.set)
    return asked


def choose_table() -> str:
    """Adult where it is; else the first folder of BENCH_DATA, or a public table."""
    if not os.environ.get("BENCH_DATA"):
        return "credit_data"
    found = default_tables()
    return "adult" if "adult" in found else found[0]


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    table = load_table(asked.table or choose_table())
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / RESULTS
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results = {part: found for part, found in stored.items() if found["about"].get("format") == FORMAT}
    about = {
        "format": FORMAT,
        "table": table.name,
        "rows": len(table.train),
        "columns": table.train.shape[1],
        "settings": asked.set,
    }
    with tempfile.TemporaryDirectory(prefix="tabveil-speed-") as folder:
        bench = Bench(table, asked, Path(folder))
        for part in asked.parts:
            results[part] = {"about": about | {"environment": environment()}, "found": PARTS[part](bench)}
            path.write_text(to_json(results), encoding="utf-8")
            (asked.out / "speed.md").write_text(markdown(results), encoding="utf-8")
    print(markdown(results))


if __name__ == "__main__":
    with process_border():
        main()
