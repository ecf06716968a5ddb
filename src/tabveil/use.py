"""``python -m tabveil.use dataset=<name> [synthesizer=<name> ...]``: choose the options that the pipeline runs with.

Rewrites the defaults list of `conf/config.yaml`, and nothing else in it, so that DVC sees the choice.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from tabveil.artifacts import write_text
from tabveil.config import did_you_mean, project_root
from tabveil.errors import ConfigError, TabVeilError

CHOICE = re.compile(r"([a-z_]+)=([A-Za-z0-9_]+)")


def select(conf: Path, group: str, option: str) -> bool:
    """Make `option` the default of `group`.

    Args:
        conf: the folder `conf/`.

    Returns:
        Whether the file changed.

    Raises:
        ConfigError: no such group or option.
    """
    groups = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
    if group not in groups:
        raise ConfigError(f"unknown group {group}{did_you_mean(group, groups)}")
    options = sorted(path.stem for path in (conf / group).glob("*.yaml"))
    if option not in options:
        raise ConfigError(f"no conf/{group}/{option}.yaml{did_you_mean(option, options)}")
    path = conf / "config.yaml"
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(rf"(?m)^(\s+- {group}:) \S+$", rf"\1 {option}", text)
    if count != 1:
        raise ConfigError(f"{path} must have one line '- {group}: <option>' in its defaults, however: {count}")
    if changed != text:
        write_text(path, changed)
    return changed != text


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints what changed."""
    parser = argparse.ArgumentParser(prog="python -m tabveil.use", description=__doc__)
    parser.add_argument("choices", nargs="+", metavar="group=option", help="e.g. dataset=loans synthesizer=sdv_tvae")
    choices = parser.parse_args(arguments).choices
    try:
        for choice in choices:
            match = CHOICE.fullmatch(choice)
            if match is None:
                raise ConfigError(f"expected group=option, however: {choice}")
            if select(project_root() / "conf", match[1], match[2]):
                print(f"conf/config.yaml: {match[1]} is now {match[2]}")
    except TabVeilError as err:
        parser.exit(2, f"error: {err}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
