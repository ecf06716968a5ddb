"""A declared table from a raw file: spec (what), fit (statistics), compile (Ibis to SQL), run (DuckDB)."""

from tabveil.preprocess.run import PreprocessResult, preprocess

__all__ = ["PreprocessResult", "preprocess"]
