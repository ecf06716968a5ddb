"""What the tests of every AWS adapter share: botocore's models as judges (`import aws_shapes`)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("aws_shapes", Path(__file__).with_name("shapes.py"))
assert _spec is not None
assert _spec.loader is not None
aws_shapes = importlib.util.module_from_spec(_spec)
sys.modules["aws_shapes"] = aws_shapes
_spec.loader.exec_module(aws_shapes)
