"""``python -m tabveil.use dataset=<name> [synthesizer=<name> ...]``: choose the options that the pipeline runs with.

Rewrites the defaults list of `conf/config.yaml`, and nothing else in it, so that DVC sees the choice. A choice whose
configuration cannot be used is refused and changes nothing; one that was made stays until the next, whether or not
the run that follows succeeds.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabveil.artifacts import write_text
from tabveil.cli import process_border
from tabveil.config import project_root
from tabveil.errors import ConfigError
from tabveil.explain import did_you_mean
from tabveil.stages.app import compose_config

CHOICE = re.compile(r"([a-z_]+)=([A-Za-z0-9_]+)")


def select(conf: Path, choices: Mapping[str, str]) -> dict[str, str]:
    """Make options the defaults of their groups: all of them, or none if one is wrong.

    Args:
        conf: the folder `conf/`.
        choices: group -> option.

    Returns:
        Groups that changed -> the option they had.

    Raises:
        ConfigError: no such group or option, or the configuration composed with it is wrong.
    """
    path = conf / "config.yaml"
    before = text = path.read_text(encoding="utf-8")
    changed = {}
    for group, option in choices.items():
        _check_exists(conf, group, option)
        lines = re.findall(rf"(?m)^\s+- {group}: (\S+)", text)
        if len(lines) != 1:
            raise ConfigError(f"{path} must have one line '- {group}: <option>' in its defaults, however: {len(lines)}")
        if lines[0] != option:
            changed[group] = lines[0]
        text = re.sub(rf"(?m)^(\s+- {group}:) \S+", rf"\1 {option}", text)
    compose_config([f"{group}={option}" for group, option in choices.items()], conf=conf)
    if text != before:
        write_text(path, text)
    return changed


def _check_exists(conf: Path, group: str, option: str) -> None:
    groups = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
    if group not in groups:
        raise ConfigError(f"unknown group {group}{did_you_mean(group, groups)}")
    options = sorted(path.stem for path in (conf / group).glob("*.yaml"))
    if option not in options:
        raise ConfigError(f"no conf/{group}/{option}.yaml{did_you_mean(option, options)}")


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """``["dataset=loans"]`` -> ``{"dataset": "loans"}``."""
    choices = {}
    for text in arguments:
        match = CHOICE.fullmatch(text)
        if match is None:
            raise ConfigError(f"expected group=option, however: {text}")
        choices[match[1]] = match[2]
    return choices


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints what changed."""
    parser = argparse.ArgumentParser(prog="python -m tabveil.use", description=__doc__)
    parser.add_argument("choices", nargs="+", metavar="group=option", help="e.g. dataset=loans synthesizer=sdv_tvae")
    asked = parser.parse_args(arguments).choices
    with process_border():
        choices = parse(asked)
        for group, before in select(project_root() / "conf", choices).items():
            print(f"conf/config.yaml: {group} is now {choices[group]} (was {before}), for this run and the next ones")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
