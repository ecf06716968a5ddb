"""A declared table from a raw file: spec (what), compile (Ibis to SQL), fit (statistics), run (DuckDB or Spark)."""

from tabveil.preprocess.run import PreprocessResult, preprocess
from tabveil.preprocess.spark_engine import RunJob

__all__ = ["PreprocessResult", "RunJob", "preprocess"]
