"""SageMaker training jobs that really train: moto keeps the records, a subprocess of this interpreter is the container.

A job's channels are downloaded below a private `/opt/ml`, ``tabveil train`` runs there without credentials, and what
it leaves in `model/` becomes model.tar.gz. What S3 holds of `checkpoints/` is there when it starts, and follows what it
writes there. Stopping sends SIGTERM; a job that runs longer than its limit ends as
*Stopped* with the secondary status *MaxRuntimeExceeded*, as on AWS.
"""

from __future__ import annotations

import shutil
from typing import Any

from moto.core.responses import EmptyResult
from moto.sagemaker import models
from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError
from moto.sagemaker.responses import SageMakerResponse

from tabveil.aws.embedded.context import Context
from tabveil.aws.embedded.training_container import JobRequest, TrainingContainer

FOLDER = "training"  # below the endpoint's own
DESCRIBED = (
    *("TrainingJobName", "TrainingJobArn", "ModelArtifacts", "HyperParameters", "AlgorithmSpecification", "RoleArn"),
    *("InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition", "CreationTime"),
    *(
        "CheckpointConfig",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
    ),
)


def install(context: Context) -> None:
    """Replace moto's training job, and add `StopTrainingJob`, which moto does not know."""
    shutil.rmtree(context.folder / FOLDER, ignore_errors=True)  # rows that a killed endpoint left

    class TrainingJob(models.FakeTrainingJob):
        """moto's record of a job, with a container that runs it."""

        def __init__(self, **arguments: Any) -> None:
            specification = dict(arguments["algorithm_specification"])
            super().__init__(**arguments)
            self.algorithm_specification = specification  # moto puts a metric of its own in
            self.container = TrainingContainer(context, job_request(arguments))
            self.container.start()

        @property
        def response_object(self) -> dict[str, Any]:
            described = super().response_object
            return {
                name: described[name] for name in DESCRIBED if described.get(name) is not None
            } | self.container.described()

        @property
        def training_job_status(self) -> str:
            """What moto lists."""
            return self.container.status

        @training_job_status.setter
        def training_job_status(self, status: str) -> None:
            """Ignore moto's constructor, which says Completed: the container knows better."""

    replaced: Any = models
    replaced.FakeTrainingJob = TrainingJob
    _refuse_taken_names()
    answers: Any = SageMakerResponse
    answers.stop_training_job = stop_training_job


def job_request(arguments: dict[str, Any]) -> JobRequest:
    """What the container needs of moto's arguments."""
    resources = arguments["resource_config"]
    return JobRequest(
        name=arguments["training_job_name"],
        hyperparameters=arguments["hyper_parameters"] or {},
        channels=arguments["input_data_config"] or [],
        input_mode=arguments["algorithm_specification"]["TrainingInputMode"],
        output_uri=arguments["output_data_config"]["S3OutputPath"],
        checkpoint_uri=(arguments["checkpoint_config"] or {}).get("S3Uri"),
        instance_type=resources["InstanceType"],
        max_runtime_seconds=arguments["stopping_condition"].get("MaxRuntimeInSeconds", 86_400),
    )


def stop_training_job(response: SageMakerResponse) -> EmptyResult:
    """`StopTrainingJob` (docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html)."""
    name = response._get_param("TrainingJobName")
    jobs: dict[str, Any] = response.sagemaker_backend.training_jobs
    if name not in jobs:
        raise ResourceNotFound("Requested resource not found.")
    if not jobs[name].container.stop():
        raise ValidationError(
            "The request was rejected because the training job is in status " + jobs[name].container.status
        )
    return EmptyResult()


def _refuse_taken_names() -> None:
    """Let a name be used once, as SageMaker does; moto overwrites the job."""
    create = models.SageMakerModelBackend.create_training_job

    def create_training_job(self: models.SageMakerModelBackend, training_job_name: str, **others: Any) -> Any:
        if training_job_name in self.training_jobs:
            raise ResourceInUseException("Training job names must be unique within an AWS account and region.")
        return create(self, training_job_name=training_job_name, **others)

    backend: Any = models.SageMakerModelBackend
    backend.create_training_job = create_training_job
