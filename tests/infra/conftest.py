"""The template as plain data: ``!Sub x`` becomes ``{"Fn::Sub": "x"}``, as CloudFormation's own JSON has it."""

from pathlib import Path
from typing import Any

import pytest
import yaml


class _Loader(yaml.SafeLoader):
    pass


def _intrinsic(loader: yaml.Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix == "Ref" else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".") if suffix == "GetAtt" else value}
    return {name: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


@pytest.fixture(scope="session")
def template_path(repository) -> Path:
    return repository / "infra" / "template.yaml"


@pytest.fixture(scope="session")
def template(template_path) -> dict[str, Any]:
    return yaml.load(template_path.read_text(), Loader=_Loader)
