"""Results as lines of JSON, appended as they come; what is done with the same code and settings is not done again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tabveil.artifacts import to_json
from tabveil.provenance import sha256_of, sha256_of_files

from .models import CEILING, FLOOR, KINDS, PROTECTED, model_config, peer_script
from .process import ROOT
from .tables import Table

RESULTS = "results.jsonl"
SOURCE, HERE = ROOT / "src" / "tabveil", Path(__file__).parent
LIBRARIES = {"tvae": ("torch", "numpy"), "sdv": ("sdv", "torch", "numpy")}
SCORE_LIBRARIES = ("sdmetrics", "scikit-learn", "numpy", "pandas")


@dataclass(frozen=True)
class Job:
    """One model on one table with one seed.

    Args:
        settings: NAME=VALUE pairs of the command line.
        patch: of `variants.PATCHES`, or none.
        code: digest of the code of model and scores.
        digest: of everything the result depends on, the code included.
    """

    table: str
    model: str
    seed: int
    settings: tuple[str, ...]
    peer_python: str | None
    code: str
    digest: str
    patch: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Keywords of `target`."""
        left_out = ("code", "digest", *(() if self.patch else ("patch",)))
        kept = {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}
        return kept | {"settings": list(self.settings)}

    @property
    def target(self) -> str:
        """The function that does the job, for `process.run_isolated`."""
        return f"benchmarks.engine.{'variants:measure_patched' if self.patch else 'worker:measure'}"

    @property
    def is_current(self) -> bool:
        """Whether the code is still what it was when the job was planned."""
        return _code(self.model, self.peer_python, self.patch) == self.code


def plan_job(
    table: Table, model: str, seed: int, settings: Sequence[str], peer_python: str | None, *, patch: str | None = None
) -> Job:
    """A job and its digest: values of the table, effective settings, code of model and scores, library versions."""
    code = _code(model, peer_python, patch)
    facts = {
        "table": table.digest,
        "model": model,
        "seed": seed,
        "settings": dataclasses.asdict(model_config(model, settings, seed)) if model in KINDS else {},
        "code": code,
        "libraries": {name: version(name) for name in _libraries(model)},
        **({"patch": patch} if patch else {}),
    }
    digest = hashlib.sha256(to_json(facts).encode()).hexdigest()
    return Job(table.name, model, seed, tuple(settings), peer_python, code, digest, patch)


def _libraries(model: str) -> list[str]:
    kind = KINDS[model][0].partition("_")[0] if model in KINDS else ""
    return sorted({*SCORE_LIBRARIES, *LIBRARIES.get(kind, ())})


def _code(model: str, peer_python: str | None, patch: str | None = None) -> str:
    """Digest of the code that the scores come from; a change to our engine leaves the results of others in force."""
    files = list((SOURCE / "evaluation").glob("*.py"))
    files += [HERE / name for name in ("models.py", "scores.py", "worker.py", "peers/protocol.py")]
    if patch:
        files.append(HERE / "variants.py")
    if model == PROTECTED:
        files.append(HERE / "protected.py")
    if peer_python is not None:
        files.append(peer_script(model))
    elif model not in (FLOOR, CEILING):
        ours = model == PROTECTED or KINDS[model][0] == "tvae"
        files.append(SOURCE / "config" / "synthesizer.py")  # presets, and what settings become by the rows
        files += (SOURCE / "synthesizers").rglob("*.py") if ours else [SOURCE / "synthesizers" / "sdv.py"]
    digest = sha256_of_files({path.relative_to(ROOT).as_posix(): path for path in files})
    return f"{digest} {sha256_of(Path(peer_python))}" if peer_python is not None else digest


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """The newest record of each digest; a line that was cut off by an interruption is left out."""
    path, found = folder / RESULTS, {}
    if not path.exists():
        return {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            found[record["digest"]] = record
        except (ValueError, KeyError, TypeError):
            continue
    return found


def append_result(folder: Path, record: dict[str, Any]) -> None:
    """One more line, on a line of its own also after one that was cut off."""
    path = folder / RESULTS
    cut_off = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(("\n" if cut_off else "") + json.dumps(record, sort_keys=True) + "\n")


def record_of(job: Job, **outcome: Any) -> dict[str, Any]:
    """A line of the results: the job, and `measures`, `rows` and `columns`, or `error`."""
    return {
        "digest": job.digest,
        "table": job.table,
        "model": job.model,
        "seed": job.seed,
        "settings": list(job.settings),
        **outcome,
    }
