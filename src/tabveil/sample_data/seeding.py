"""One random stream per purpose, so that a change in one leaves the others as they were."""

from __future__ import annotations

import random


def seeded(seed: int, purpose: str) -> random.Random:
    """Generator for one purpose. Text seeds are hashed with SHA-512: the same stream on every machine."""
    return random.Random(f"{seed}/{purpose}")
