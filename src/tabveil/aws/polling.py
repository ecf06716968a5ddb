"""Waiting for a job that runs elsewhere: look, sleep, look again; a job we stop waiting for is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tabveil.errors import CloudError

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

    The reason for ending early is what is raised; a cancellation that fails too is added to it as a note.
    """
    try:
        yield
    except BaseException as reason:
        try:
            cancel()
        except CloudError as err:
            reason.add_note(f"the job could not be cancelled: {err}")
        raise
