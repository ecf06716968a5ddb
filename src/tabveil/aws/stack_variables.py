"""`.tabveil/aws.env`: which stack this project has and where, and the variables that conf/environment/aws.yaml reads.

`up` writes the file; `down` and `status` read from it what they are about, so that a new shell without AWS_REGION looks
where the stack is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tabveil.errors import CloudError, ConfigError
from tabveil.storage.server_state import private_folder, write_private

VARIABLES = Path(".tabveil") / "aws.env"
OUTPUTS = {  # of infra/template.yaml -> variable
    "LandingBucket": "TABVEIL_LANDING_BUCKET",
    "WorkBucket": "TABVEIL_WORK_BUCKET",
    "OutputBucket": "TABVEIL_OUTPUT_BUCKET",
    "KmsKey": "TABVEIL_KMS_KEY",
    "PipelineRole": "TABVEIL_PIPELINE_ROLE",
    "GlueRole": "TABVEIL_GLUE_ROLE",
    "GlueJob": "TABVEIL_GLUE_JOB",
    "GlueLogs": "TABVEIL_GLUE_LOGS",
    "SageMakerRole": "TABVEIL_SAGEMAKER_ROLE",
    "Repository": "TABVEIL_REPOSITORY",
}
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
DEFAULT_PREFIX = "tabveil"
DEFAULT_REGION = "eu-central-1"
PREFIX = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")


@dataclass(frozen=True)
class Place:
    """A stack's name, which is the prefix of every name in it, and its Region."""

    prefix: str
    region: str

    def __str__(self) -> str:
        return f"{self.prefix} in {self.region}"


def variables(outputs: Mapping[str, str], place: Place, image_tag: str) -> dict[str, str]:
    """What the file holds: names and ARNs, no credentials.

    Raises:
        CloudError: the stack lacks an output of the template.
    """
    missing = sorted(set(OUTPUTS) - set(outputs))
    if missing:
        raise CloudError(f"the stack must have the template's outputs, however {', '.join(missing)} are missing")
    named = {variable: outputs[key] for key, variable in OUTPUTS.items()}
    image = f"{outputs['Repository']}:{image_tag}"
    return {"AWS_REGION": place.region, "TABVEIL_PREFIX": place.prefix, **named, "TABVEIL_IMAGE": image}


def write_variables(path: Path, values: Mapping[str, str]) -> None:
    """Write a file for ``set -a; source`` that only its owner can read."""
    private_folder(path.parent)
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))


def recorded_place(path: Path) -> Place | None:
    """Where the stack of the file is; None: there is no file.

    Raises:
        ConfigError: the file does not say it.
    """
    if not path.exists():
        return None
    try:
        words = shlex.split(path.read_text(encoding="utf-8"), comments=True)
        values = dict(word.split("=", 1) for word in words)
        return Place(values["TABVEIL_PREFIX"], values["AWS_REGION"])
    except (KeyError, ValueError) as err:
        raise ConfigError(
            f"{VARIABLES} must name AWS_REGION and TABVEIL_PREFIX, however it does not: add them, as "
            "NAME=value, or remove the file and say PREFIX=... and REGION=..."
        ) from err


def shell_region(shell: Mapping[str, str]) -> str | None:
    """The Region that a shell's variables name, as boto3 and the AWS CLI read them."""
    return next((shell[name] for name in REGION_VARIABLES if shell.get(name)), None)


def choose_place(prefix: str | None, region: str | None, recorded: Place | None) -> Place:
    """The stack that is meant: as asked, else as recorded, else the default.

    Raises:
        ConfigError: the prefix is not one.
    """
    default = recorded or Place(DEFAULT_PREFIX, DEFAULT_REGION)
    place = Place(prefix or default.prefix, region or default.region)
    if not PREFIX.fullmatch(place.prefix):
        raise ConfigError(
            f"--prefix must be 3 to 20 of a-z, 0-9 and -, starting with a letter, however: {place.prefix}"
        )
    return place


def refuse_second(place: Place, recorded: Place | None) -> None:
    """Refuse to make a stack while the file names another one, which would be forgotten and go on costing.

    Raises:
        ConfigError: so it is.
    """
    if recorded not in (place, None):
        raise ConfigError(
            f"a project folder has one stack, and {VARIABLES} names {recorded}, however {place} is asked for (by "
            "PREFIX, REGION or AWS_REGION): say PREFIX=... and REGION=... of the first to bring it up to date, or make "
            "aws-down before the second; remove the file if the first was deleted elsewhere"
        )
