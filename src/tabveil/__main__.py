"""``tabveil train``, also ``python -m tabveil train``: what SageMaker runs in our image (see `tabveil.container`)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tabveil import container


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(prog="tabveil", description="Privacy-preserving synthetic tabular data.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="fit a synthesizer by SageMaker's container contract",
        description=f"Read the settings and the table below /opt/ml (or {container.ROOT_VARIABLE}), as SageMaker lays "
        "them out, and write the model there.",
    )
    train.set_defaults(run=container.main)
    parser.parse_args(arguments).run()


if __name__ == "__main__":
    main()
