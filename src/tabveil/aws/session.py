"""From an environment's settings to AWS clients: one region, one retry policy, the endpoint that belongs to it.

Only the environment 'aws' may leave this machine, and it wants real credentials; every other one is loopback only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tabveil.aws.embedded.process import EmbeddedAWS
from tabveil.aws.failures import aws_border
from tabveil.config import EnvironmentConfig
from tabveil.storage import S3Store, connect
from tabveil.storage.connection import (
    EMBEDDED_FOLDER,
    client_settings,
    own_session,
    refuse_foreign,
    without_aws_settings,
)
from tabveil.storage.server_state import load_credentials

AWS_FOLDER = Path(".tabveil") / "aws"


@dataclass(frozen=True)
class AWS:
    """One environment's AWS: the object store, and clients of the other services.

    Args:
        environment: its settings.
        store: the object store, connected.
        session: credentials and region.
        endpoint_url: of every service but S3; None for AWS itself.
    """

    environment: EnvironmentConfig
    store: S3Store
    session: boto3.Session
    endpoint_url: str | None

    def client(self, service: str) -> Any:
        """A boto3 client of a service other than S3, e.g. ``glue``, ``macie2``, ``sagemaker``, ``sts``.

        Raises:
            ConfigError: its endpoint is not on this machine outside the environment 'aws'; dummy credentials in it.
        """
        with without_aws_settings() if self.environment.embedded_aws else nullcontext():
            made = self.session.client(service, endpoint_url=self.endpoint_url)
            refuse_foreign(made.meta.endpoint_url, self.environment.name)
            return self.session.client(
                service, endpoint_url=self.endpoint_url, config=client_settings(made.meta.endpoint_url)
            )

    def account_id(self) -> str:
        """The account that the credentials belong to (12 digits).

        Raises:
            CloudError: STS refuses or does not answer.
        """
        with aws_border("STS", "name the caller's account"):
            return str(self.client("sts").get_caller_identity()["Account"])


@contextmanager
def connect_aws(environment: EnvironmentConfig, root: Path) -> Iterator[AWS]:
    """The environment's AWS, for the length of the block.

    With `embedded_aws`, the endpoint below `root/.tabveil/aws/` runs that long, beside the embedded S3.

    Raises:
        ConfigError: an endpoint that is not loopback outside the environment 'aws', and the reverse; dummy or no
            credentials in it.
        ServerError: an embedded server does not start, or another process keeps it.
    """
    with connect(environment, root) as store:
        if not environment.embedded_aws:
            yield AWS(environment, store, own_session(environment), None)
            return
        credentials = load_credentials(root / EMBEDDED_FOLDER / "credentials.json")
        with EmbeddedAWS(root / AWS_FOLDER, root, store.endpoint_url, credentials, environment.region) as url:
            with without_aws_settings():
                session = boto3.Session(
                    aws_access_key_id=credentials.access_key,
                    aws_secret_access_key=credentials.secret_key,
                    region_name=environment.region,
                )
            yield AWS(environment, store, session, url)
