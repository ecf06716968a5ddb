"""SDV's synthesizers as baselines: the only module that imports `sdv` (BUSL-1.1; public API only).

SDV offers no other public way to store a fitted synthesizer than its own `save`, which is a (cloud)pickle. It is kept
in `model.pkl` and unpickled only after its sha256 matched the one in `synthesizer.json`. Both files come from the same
folder, so this catches damage, not a forged folder: load SDV models only from a place you trust.

SDV sees the modelled columns only: no id, no free text, no personal column. Its fit and sample use the process-wide
random generators; they run seeded and isolated, with the states put back afterwards.
"""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata as SDVMetadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer
from sdv.utils import load_synthesizer as load_sdv

from tabveil.config import SDVConfig, SynthesizerConfig
from tabveil.errors import ConfigError, ModelFileError, NotFittedError, TrainingError
from tabveil.schema import Column, ColumnType, Metadata, SDType
from tabveil.synthesizers.base import LossRecord, OnLoss, Synthesizer
from tabveil.synthesizers.runtime import isolated

MODEL = "model.pkl"
TABLE = "table"
