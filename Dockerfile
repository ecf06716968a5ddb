# TabVeil in one image: the pipeline and its stages, CPU only.
#   docker build -t tabveil .                (or: make image)
#   mkdir -p out && docker run --rm --user "$(id -u)" -v "$PWD/out:/app/artifacts" tabveil    # the whole pipeline
#   docker run --rm tabveil python -m tabveil.stages.pull --help
# The same image for SageMaker, which runs `docker run IMAGE train` and mounts /opt/ml for root only:
#   docker build --target sagemaker -t tabveil:sagemaker .
FROM python:3.11-slim-bookworm AS base

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true
RUN apt-get update && apt-get install -y --no-install-recommends git libgomp1 && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
# CPU torch: from the folder of pip's find-links if one is configured, else from PyTorch's CPU index
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN if [ -z "$(pip config get global.find-links 2>/dev/null)" ]; then \
      pip install --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.lock)"; fi \
 && pip install --no-deps -r requirements.lock
COPY src src
# `train` on the PATH is what SageMaker looks for; exec hands it the signals
RUN pip install --no-deps --no-build-isolation --editable . \
 && printf '#!/bin/sh\nexec tabveil train "$@"\n' > /usr/local/bin/train && chmod 755 /usr/local/bin/train

FROM base AS sagemaker
CMD ["train"]

FROM base AS pipeline
COPY conf conf
COPY .dvc/config .dvc/config
COPY .dvcignore dvc.yaml data.dvc ./
COPY data/README.md data/README.md
COPY mlruns/.gitignore mlruns/.gitignore
RUN useradd --create-home --uid 1000 tabveil \
 && dvc config --local core.no_scm true \
 && mkdir -p artifacts && chown -R tabveil:tabveil /app
USER tabveil
CMD ["sh", "-c", "python -m tabveil.sample_data && dvc repro --quiet && python -m tabveil.summary"]
