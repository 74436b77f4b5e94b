# The image of the command API, the query API, the worker and the initialiser: one for all, because
# they share nearly everything. Which of them runs is the container's command.

FROM python:3.13-slim AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Without pip: the services have no use for it.
RUN python -m venv --without-pip /venv
# This file alone: the packages are installed again only when it changes.
COPY requirements.txt ./
# Wheels only, so no compiler is needed, here or below; and only those whose hashes are in the file.
RUN python -m pip --python /venv/bin/python install --only-binary :all: --require-hashes --requirement requirements.txt

FROM python:3.13-slim
WORKDIR /app
COPY --from=build /venv /venv
# The collections' definitions are found beside the packages, so they run from here.
COPY command_api ./command_api
COPY events ./events
COPY mongo-cluster ./mongo-cluster
COPY operations ./operations
COPY query_api ./query_api
COPY service_kit ./service_kit
COPY subscriber ./subscriber
COPY verifier ./verifier
COPY workers ./workers
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1
RUN python -m compileall -q /app
# What volumes for the wrapped transport keys and for the journal of erasures begin as.
RUN install -d -o 10001 -g 10001 -m 700 /var/lib/rollcall /var/lib/rollcall/erasures
# A number, so that nothing has to look it up. Nothing else here is writable for it.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "service_kit.http.probe"]
CMD ["python", "-m", "command_api"]
