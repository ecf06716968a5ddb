"""Every error TabVeil raises on purpose, in one tree.

::

    TabVeilError
    ├── ConfigError (ValueError)             a setting is missing, unknown, of the wrong type or out of range
    ├── DataError (ValueError)               a table is not what the configuration says it is
    │   ├── UnreadableFileError              not text, CSV or Parquet; broken quoting; empty
    │   ├── SchemaError                      a declared column is missing, an undeclared one is there
    │   └── TooManyRejectedError             more rows quarantined than `max_rejected_fraction`
    ├── ProcessingError (RuntimeError)       the engine that runs the compiled SQL failed
    ├── PrivacyError (RuntimeError)          something personal could get past; the run stops
    │   ├── ScanIncompleteError              a column or row was not scanned
    │   ├── PolicyViolationError             a finding that the policy does not tolerate
    │   └── KeyUnavailableError              the pseudonymisation key is missing, open to others, or another one
    ├── SynthesizerError (RuntimeError)      a model cannot be fitted, sampled, saved or loaded
    │   ├── NotFittedError
    │   ├── TrainingError                    loss not finite, too few rows
    │   └── ModelFileError                   corrupt, foreign or newer model folder
    ├── GateError (RuntimeError)             the evaluation gate failed, or its verdict is missing
    ├── ArtifactError (OSError)              a stage's input is missing or unreadable
    ├── TrackingError (OSError)              the MLflow store cannot be reached, or was moved
    ├── CloudError (RuntimeError)            an AWS service refused, failed, or its job did not end well
    │   └── CostError                        an estimate is above `environment.max_cost_usd`
    └── StorageError (OSError)               the object store
        ├── ObjectNotFoundError
        ├── ObjectExistsError                never overwrite
        ├── ChecksumError                    bytes differ from what was promised
        ├── ObjectTooLargeError
        └── ServerError                      the embedded server did not start, or stopped

A message says what was expected, what was found and what to do, in one line, and never holds a value
of the real table: counts and column names only.
"""


class TabVeilError(Exception):
    """Base of every error raised on purpose; the process border prints it as one line."""


class ConfigError(TabVeilError, ValueError):
    """A setting is missing, unknown, of the wrong type or out of range."""


class DataError(TabVeilError, ValueError):
    """A table is not what the configuration says it is."""


class UnreadableFileError(DataError):
    """A file is empty, binary, or cannot be parsed in the declared format."""


class SchemaError(DataError):
    """Columns differ from the declared ones."""


class TooManyRejectedError(DataError):
    """The rejected share of the rows is above `max_rejected_fraction`."""


class ProcessingError(TabVeilError, RuntimeError):
    """The engine that runs the compiled SQL failed."""


class PrivacyError(TabVeilError, RuntimeError):
    """Something personal could get past; the run stops."""


class ScanIncompleteError(PrivacyError):
    """A scan did not cover every row and column."""


class PolicyViolationError(PrivacyError):
    """A finding remains that the dataset's policy does not tolerate."""


class KeyUnavailableError(PrivacyError):
    """The pseudonymisation key is missing, readable by others, or not the one used before."""


class SynthesizerError(TabVeilError, RuntimeError):
    """A synthesizer cannot be fitted, sampled, saved or loaded."""


class NotFittedError(SynthesizerError):
    """`sample` or `save` was called before `fit`."""


class TrainingError(SynthesizerError):
    """Training cannot start or went wrong (too few rows, loss not finite)."""


class ModelFileError(SynthesizerError):
    """A model folder is corrupt, of another kind, or written by a newer version."""


class GateError(TabVeilError, RuntimeError):
    """The evaluation gate failed, or its verdict is missing."""


class ArtifactError(TabVeilError, OSError):
    """An artifact that a stage needs is missing or unreadable."""


class TrackingError(TabVeilError, OSError):
    """The MLflow store cannot be reached, or its artifacts are elsewhere."""


class CloudError(TabVeilError, RuntimeError):
    """An AWS service refused, failed, or its job did not end well."""


class CostError(CloudError):
    """What is about to be started is estimated to cost more than `environment.max_cost_usd`."""


class StorageError(TabVeilError, OSError):
    """The object store refused or broke off."""


class ObjectNotFoundError(StorageError):
    """No such bucket, key or version."""


class ObjectExistsError(StorageError):
    """The key is taken; published objects are never overwritten."""


class ChecksumError(StorageError):
    """The bytes differ from the promised checksum or length."""


class ObjectTooLargeError(StorageError):
    """The object is larger than the configured limit."""


class ServerError(StorageError):
    """The embedded S3 server did not start or stopped."""
