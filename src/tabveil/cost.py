"""``python -m tabveil.cost dataset=loans environment=aws``: what a run is expected to cost, before it.

Sizes come from the dataset's seed file, else from the object in the landing bucket. The arithmetic, and what is assumed
in it, is in `tabveil.aws.estimate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tabveil.aws.estimate import Expected, estimate, require_affordable, text_bytes
from tabveil.cli import process_border
from tabveil.config import Config, FileFormat, project_root
from tabveil.stages.app import compose_config
from tabveil.storage import connect

PARQUET_EXPANSION = 10  # text bytes per byte of a Parquet object that is not here yet; assumed


def raw_size_bytes(config: Config, root: Path) -> int:
    """Bytes of the raw table as text: of the local seed file if it is there, else of the object in the landing bucket.

    A Parquet object is not fetched for this: ten times its size is assumed. The stage `pull` measures it.

    Raises:
        StorageError: the object cannot be described.
        UnreadableFileError: the seed file is no Parquet file, where it should be one.
    """
    source = config.dataset.source
    local = root / source.seed_file if source.seed_file else None
    if local is not None and local.is_file():
        return text_bytes(local, source.format)
    with connect(config.environment, root) as store:
        size = store.head(config.environment.landing_bucket, source.key, source.version_id).size_bytes
    return size * PARQUET_EXPANSION if source.format is FileFormat.parquet else size


def render(config: Config, raw_bytes: int, expected: Sequence[Expected]) -> Table:
    """The estimate as a table."""
    environment, prices = config.environment, config.environment.prices
    table = Table(
        box=box.SIMPLE,
        title=f"cost of one run (estimated, list prices of {prices.as_of}, {environment.region})",
        caption=f"{config.dataset.name}, {raw_bytes:,} bytes of text, environment={environment.name}; "
        f"prices {prices.source}",
    )
    for heading in ("service", "expected use", "USD", "USD at most"):
        table.add_column(heading, justify="right" if "USD" in heading else "left")
    for item in expected:
        table.add_row(item.charge.service, item.charge.usage, f"{item.charge.usd:.4f}", f"{item.at_most:.4f}")
    total, at_most = sum(e.charge.usd for e in expected), sum(e.at_most for e in expected)
    table.add_section()
    note = "" if expected else "every job runs on this machine"
    table.add_row("[bold]total[/]", note, f"[bold]{total:.4f}[/]", f"[bold]{at_most:.4f}[/]")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: prints the estimate; exit code 2 when it could be above `environment.max_cost_usd`."""
    parser = argparse.ArgumentParser(prog="python -m tabveil.cost", description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset=loans environment=aws")
    asked = parser.parse_args(arguments).overrides
    with process_border():
        config, root = compose_config(asked), project_root()
        raw_bytes = raw_size_bytes(config, root)
        expected = estimate(config.environment, raw_bytes, config.synthesizer.step_budget)
        Console().print(render(config, raw_bytes, expected))
        require_affordable(config.environment, expected)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
