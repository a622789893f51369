# docker build -t airbyte/source-exact-online:dev .     (or: make image)
# Any Debian-like image with Python 3.10 to 3.13, pip and venv serves as base. The digest is that of Python 3.11.16, as
# https://github.com/docker-library/repo-info lists it in repos/python/remote/3.11-slim-bookworm.md.
ARG BASE_IMAGE=python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

FROM ${BASE_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/connector
COPY requirements/build.txt requirements/runtime.txt requirements/
# The dependencies are a layer of their own: a change of the connector does not install them again.
# Then the test suites that pandas, numpy, joblib and nltk (dependencies of the CDK) ship with.
RUN /build/tools/bin/pip install --quiet --no-deps --require-hashes -r requirements/build.txt \
 && /build/tools/bin/pip --python /opt/connector/bin/python install --quiet --no-deps --no-compile --require-hashes \
      -r requirements/runtime.txt \
 && cd /opt/connector/lib/python3.*/site-packages \
 && rm -rf pandas/tests joblib/test nltk/test \
 && find numpy -type d -name tests -prune -exec rm -rf {} +
COPY setup.py pyproject.toml README.md LICENSE ./
COPY source_exact_online source_exact_online
# The command line tools of the dependencies go: nothing in the image calls them. Python is a symbolic link.
# Last, Python compiles what the commands import, and that alone: most modules of the CDK's dependencies are never used.
RUN /build/tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
 && /build/tools/bin/pip --python /opt/connector/bin/python install --quiet --no-deps --no-index dist/*.whl \
 && find /opt/connector/bin -type f ! -name source-exact-online -delete \
 && cd / && /opt/connector/bin/python -c 'from source_exact_online import command_line, entrypoint, offline, run; \
      from source_exact_online.auth import token_database; from source_exact_online.login import command'

FROM ${BASE_IMAGE}
# Airbyte's platform runs connectors as this user and calls the command that AIRBYTE_ENTRYPOINT names.
RUN groupadd --gid 1000 airbyte \
 && useradd --uid 1000 --gid airbyte --create-home --shell /usr/sbin/nologin airbyte
COPY --from=builder /opt/connector /opt/connector
ENV PATH=/opt/connector/bin:$PATH \
    AIRBYTE_ENTRYPOINT=/opt/connector/bin/source-exact-online
WORKDIR /home/airbyte
USER airbyte
ENTRYPOINT ["/opt/connector/bin/source-exact-online"]
# The package's own version (source_exact_online/version.py); a unit test holds it to that.
ARG VERSION=0.1.0
# The commit that is built (`make image` says it), and where the source of a published version is.
ARG REVISION=unknown
ARG SOURCE=https://pypi.org/project/airbyte-source-exact-online/
LABEL io.airbyte.name=airbyte/source-exact-online \
      io.airbyte.version=${VERSION} \
      org.opencontainers.image.title=source-exact-online \
      org.opencontainers.image.description="Airbyte source connector for Exact Online" \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.source=${SOURCE} \
      org.opencontainers.image.documentation=https://docs.airbyte.com/integrations/sources/exact-online \
      org.opencontainers.image.licenses=MIT
