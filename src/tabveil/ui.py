"""``python -m tabveil.ui --port 5000``: keep a view of all runs with their scores in MLflow, and say where it opens.

`make ui` calls it, then starts the server.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tabveil.cli import process_border
from tabveil.config import project_root
from tabveil.stages.app import compose_config
from tabveil.tracking import Tracker
from tabveil.ui_view import DEFAULT_PORT, all_runs, save_view


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tabveil.ui", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="where the MLflow UI will listen on loopback")
    port: int = parser.parse_args(arguments).port
    with process_border():
        print(f"scores of all runs: {save_view(Tracker(compose_config(), project_root()), all_runs(), port=port)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
