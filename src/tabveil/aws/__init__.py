"""AWS through boto3: Glue, Macie, SageMaker, what they cost, and an endpoint on loopback that stands in for them.

- `session`: clients of one environment (region, retries, endpoint, credentials), and what is refused
- `polling`: waiting for a job, cancelling it when we are stopped, deleting what it read and wrote
- `glue`, `macie`, `sagemaker`: one adapter per service; none asks where its endpoint is
- `charges`: what a run's jobs and requests cost, by list prices
- `stack`, `stack_variables`: the account's resources, up and down, and the file that names them
- `embedded`: the endpoint (moto and executors that really run the jobs)
"""
