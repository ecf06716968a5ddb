"""The scan beside the scores: its verdict, its errors, and what happens when its process dies."""

import os
import time

import pytest

from tabveil.artifacts import read_json
from tabveil.errors import ArtifactError, ScanIncompleteError
from tabveil.stages.evaluate import meanwhile, scan_result


def test_work_runs_in_another_process():
    with meanwhile(os.getpid) as future:
        assert future.result() != os.getpid()


def test_errors_of_the_scan_come_through_as_they_are(tmp_path):
    missing = tmp_path / "identity_digests.parquet"
    with meanwhile(read_json, missing, "verify") as future, pytest.raises(ArtifactError, match="identity_digests"):
        scan_result(future)


def test_a_killed_scan_is_an_incomplete_one():
    with meanwhile(os._exit, 9) as future, pytest.raises(ScanIncompleteError, match="was killed"):
        scan_result(future)


def test_an_error_in_the_block_is_not_swallowed():
    with pytest.raises(ZeroDivisionError), meanwhile(time.sleep, 0):
        _ = 1 / 0
