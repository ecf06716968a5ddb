"""tabveil.aws.failures: what botocore raises about credentials is one line that says what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions

from tabveil.aws.failures import aws_border
from tabveil.errors import CloudError

LOGIN = exceptions.MissingDependencyException(msg='You will need to pip install "botocore[crt]" before proceeding.')


@pytest.mark.parametrize(
    ("raised", "advice"),
    [
        (LOGIN, "log in by `aws sso login`, or pip install 'botocore[crt]'"),
        (exceptions.UnauthorizedSSOTokenError(), "log in again"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="expired\ntoken"), "log in again"),
        (exceptions.CredentialRetrievalError(provider="sso", error_msg="x"), "log in again"),
        (exceptions.NoCredentialsError(), "log in, or set AWS_PROFILE"),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), "ConnectionClosedError): run it again"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_said_in_one_line(raised, advice):
    with pytest.raises(CloudError) as caught, aws_border("Glue", "start job x"):
        raise raised
    said = str(caught.value)
    assert said.startswith("Glue must start job x, however ")
    assert said.endswith(advice)
    assert len(said.splitlines()) == 1
