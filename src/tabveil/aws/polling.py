"""Waiting for a job that runs elsewhere: look, sleep, look again; a job we stop waiting for is cancelled.

What a job reads and writes in the work bucket is deleted at the end, however it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tabveil.errors import CloudError, StorageError
from tabveil.storage import S3Store

RUNS_ON = "the job may run on"  # begins the note of a job that was not cancelled
INTERRUPTIONS = (KeyboardInterrupt, SystemExit)  # Ctrl-C and a termination signal
T = TypeVar("T")


def poll(
    look: Callable[[], T],
    is_done: Callable[[T], bool],
    *,
    what: str,
    timeout_seconds: float,
    every_seconds: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Look until it is done.

    Args:
        look: describes the job.
        is_done: whether a description is final.
        what: the job, for the error message: ``Glue job run jr_1``.
        every_seconds: pause between two looks; the first looks come sooner (an eighth, a quarter, half of it).

    Returns:
        The final description.

    Raises:
        CloudError: not done after `timeout_seconds`.
    """
    deadline, pause = clock() + timeout_seconds, every_seconds / 8
    while not is_done(seen := look()):
        if clock() >= deadline:
            raise CloudError(f"{what} must end within {timeout_seconds:g} s, however it still runs: it was cancelled")
        sleep(pause)
        pause = min(every_seconds, pause * 2)
    return seen


@contextmanager
def cancelling(cancel: Callable[[], object]) -> Iterator[None]:
    """Cancel the job when the block ends early: by an error, Ctrl-C or a termination signal.

    The reason for ending early is what is raised; a cancellation that fails, or is interrupted by a second Ctrl-C, is
    added to it as a note.
    """
    try:
        yield
    except BaseException as reason:
        try:
            cancel()
        except CloudError as err:
            reason.add_note(f"{RUNS_ON}, it could not be cancelled: {err}")
        except INTERRUPTIONS:
            reason.add_note(f"{RUNS_ON}, its cancellation was interrupted: look at it in AWS's console")
        raise


@contextmanager
def tidying(store: S3Store, bucket: str, prefix: str) -> Iterator[None]:
    """Delete everything below a job's prefix at the end.

    After an error, what cannot be deleted is a note to it, and so is what a job that runs on may still write there.

    Args:
        prefix: ends in ``/``; holds real rows.

    Raises:
        StorageError: the block succeeded, and the prefix could not be deleted.
    """
    try:
        yield
    except BaseException as reason:
        where = f"s3://{bucket}/{prefix}"
        if any(note.startswith(RUNS_ON) for note in getattr(reason, "__notes__", [])):
            reason.add_note(f"{where} is deleted all the same; what the job still writes there has to be deleted later")
        try:
            store.delete_prefix(bucket, prefix)
        except StorageError as err:
            reason.add_note(f"{where} holds real rows and could not be deleted: {err}")
        except INTERRUPTIONS:
            reason.add_note(f"{where} holds real rows, deleting it was interrupted: delete it")
        raise
    store.delete_prefix(bucket, prefix)
