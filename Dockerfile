ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN python -m pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}" \
    && python -m venv --without-pip /opt/milepost
ENV VIRTUAL_ENV=/opt/milepost
WORKDIR /src
COPY pyproject.toml requirements.lock ./
COPY milepost/pyproject.toml ./milepost/
# What is built here is not to be looked for among what is published.
RUN echo milepost > built-here.txt \
    && uv pip install --no-cache --require-hashes --constraints requirements.lock --excludes built-here.txt \
        --requirements pyproject.toml --requirements milepost/pyproject.toml
COPY README.md alembic.ini ./
COPY alembic ./alembic
COPY app ./app
COPY milepost ./milepost
RUN uv build --no-cache --all-packages --wheel --require-hashes --build-constraints requirements.lock --out-dir dist \
    && uv pip install --no-cache --no-deps dist/*.whl

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 milepost \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/milepost --create-home --shell /usr/sbin/nologin milepost
COPY --from=build /opt/milepost /opt/milepost
# Without an API key `serve` refuses to listen on 0.0.0.0, so an open service takes a decision.
ENV PATH=/opt/milepost/bin:${PATH} \
    MILEPOST_HOST=0.0.0.0 \
    MILEPOST_PORT=8000 \
    MILEPOST_DATA_DIR=/var/lib/milepost
USER 10001:10001
WORKDIR /var/lib/milepost
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['MILEPOST_PORT'] + '/livez', timeout=4)"]
ENTRYPOINT ["milepost"]
CMD ["serve"]
