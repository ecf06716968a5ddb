"""The border to AWS's control planes: botocore's exceptions become a `CloudError` of one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MissingDependencyException,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from tabveil.errors import CloudError

EXPIRED_CODES = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"}
REFUSED_CODES = {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "SignatureDoesNotMatch"}
THROTTLED_CODES = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}


def error_code(err: ClientError) -> str:
    """The service's error code, such as ``EntityNotFoundException``."""
    return str(err.response.get("Error", {}).get("Code", ""))


@contextmanager
def aws_border(service: str, action: str) -> Iterator[None]:
    """Translate botocore's exceptions in the block.

    Args:
        service: ``Glue``, ``Macie``, ``SageMaker`` ...
        action: what was tried: ``start job tabveil-loans``.

    Raises:
        CloudError: whatever botocore raised, with the service's own message.
    """
    try:
        yield
    except ClientError as err:
        raise CloudError(f"{service} must {action}, however {_explained(err)}") from err
    except (NoCredentialsError, PartialCredentialsError) as err:
        raise CloudError(
            f"{service} must {action}, however no complete AWS credentials were found: log in, or set AWS_PROFILE"
        ) from err
    except (EndpointConnectionError, ConnectTimeoutError) as err:
        endpoint = getattr(err, "kwargs", {}).get("endpoint_url", "the endpoint")
        raise CloudError(f"{service} must {action}, however {endpoint} does not answer: check the network") from err
    except ParamValidationError as err:
        told = " ".join(str(err).split())
        raise CloudError(f"{service} must {action}, however the request breaks the service's model: {told}") from err
    except ResponseParserError as err:  # a proxy's page instead of the service's answer; its text may be anything
        raise CloudError(f"{service} must {action}, however the answer is not the service's: run it again") from err
    except (SSOError, TokenRetrievalError, CredentialRetrievalError) as err:
        raise CloudError(f"{service} must {action}, however the login gives no credentials: log in again") from err
    except MissingDependencyException as err:  # of credentials by `aws login`
        raise CloudError(
            f"{service} must {action}, however these credentials need a package that is not installed: log in by "
            "`aws sso login`, or pip install 'botocore[crt]'"
        ) from err
    except BotoCoreError as err:
        raise CloudError(
            f"{service} must {action}, however the connection broke off ({type(err).__name__}): run it again"
        ) from err


def _explained(err: ClientError) -> str:
    code = error_code(err)
    said = " ".join(str(err.response.get("Error", {}).get("Message", "")).split())
    if code in EXPIRED_CODES:
        return f"the credentials have expired ({code}): log in again"
    if code in REFUSED_CODES:
        return f"access was refused ({code}: {said}): compare the role with infra/template.yaml"
    if code in THROTTLED_CODES:
        return f"it was throttled repeatedly ({code}): wait a minute and run it again"
    return f"it answered {code}: {said}"
