"""The border: every botocore exception becomes one of TabVeil's, with one line that says what to do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from tabveil.errors import ChecksumError, ObjectExistsError, ObjectNotFoundError, StorageError

NOT_FOUND_CODES = {"404", "NotFound", "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NoSuchUpload"}
TAKEN_CODES = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
CHECKSUM_CODES = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
REFUSED_CODES = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
EXPIRED_CODES = {"400", "ExpiredToken", "RequestExpired", "TokenRefreshRequired"}  # 400: a HEAD answers without a code
THROTTLED_CODES = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "429", "503"}
PASSING_CODES = THROTTLED_CODES | {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable"}
PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 20.0
WHAT_IS_MISSING = {"NoSuchBucket": "bucket", "NoSuchVersion": "version"}


def error_code(err: ClientError) -> str:
    """The service's error code, such as ``NoSuchKey`` (a HEAD request only has the HTTP status)."""
    return str(err.response.get("Error", {}).get("Code", ""))


def is_passing(err: BotoCoreError | ClientError) -> bool:
    """Whether the same request may succeed a little later: a broken connection, throttling, the service's own fault."""
    if isinstance(err, ClientError):
        return error_code(err) in PASSING_CODES or _status(err) >= 500
    return isinstance(err, HTTPClientError)


def pause(attempt: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait a random time, at most 0.2 s * 2^attempt and 20 s ("full jitter").

    Source: M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog 2015. botocore's retry mode `standard`
    does the same between its own attempts, on a scale of one second.
    """
    sleep(random.uniform(0, min(PAUSE_SECONDS * 2**attempt, MAX_PAUSE_SECONDS)))


@contextmanager
def at_border(action: str, bucket: str, key: str = "") -> Iterator[None]:
    """Translate botocore's exceptions in the block.

    Args:
        action: what was tried, for the message: ``read``, ``write``, ``list`` ...

    Raises:
        ObjectNotFoundError, ObjectExistsError, ChecksumError, StorageError: see `tabveil.errors`.
    """
    where = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as err:
        raise _from_service(err, action, where) from err
    except (NoCredentialsError, PartialCredentialsError) as err:
        raise StorageError(
            f"cannot {action} {where}: no complete AWS credentials found; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or a profile"
        ) from err
    except (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError) as err:
        endpoint = getattr(err, "kwargs", {}).get("endpoint_url", "the endpoint")
        raise StorageError(f"cannot {action} {where}: no answer from {endpoint}; is the server running?") from err
    except ResponseParserError as err:  # a proxy's page instead of the store's answer; its text may be anything
        raise StorageError(f"cannot {action} {where}: the answer is not an object store's; try again") from err
    except BotoCoreError as err:
        raise StorageError(
            f"cannot {action} {where}: the connection broke off ({type(err).__name__}); try again"
        ) from err


def _from_service(err: ClientError, action: str, where: str) -> StorageError:
    code, status = error_code(err), _status(err)
    if code in NOT_FOUND_CODES or status == 405:  # 405: the version is a delete marker
        missing = WHAT_IS_MISSING.get(code, "object")
        return ObjectNotFoundError(
            f"cannot {action} {where}: no such {missing}; check bucket, key and version in the configuration"
        )
    if code == "InvalidArgument" and "version" in str(err).lower():
        return ObjectNotFoundError(f"cannot {action} {where}: not a version id of this object; check version_id")
    if code in TAKEN_CODES:
        return ObjectExistsError(f"{where} exists already and is never overwritten: choose another key")
    if code in CHECKSUM_CODES:
        return ChecksumError(f"{where}: the server received other bytes than were sent ({code}): try again")
    return StorageError(f"cannot {action} {where}: {_reason(code or str(status))}")


def _reason(code: str) -> str:
    if code in EXPIRED_CODES:
        return f"the credentials have expired ({code}); log in again"
    if code in THROTTLED_CODES:
        return f"throttled repeatedly ({code}); wait a minute and run it again"
    if code in REFUSED_CODES:
        return f"access refused ({code}); check credentials and permissions"
    return f"the service answered {code}"


def _status(err: ClientError) -> int:
    metadata: dict[str, Any] = err.response.get("ResponseMetadata", {})
    return int(metadata.get("HTTPStatusCode", 0))
