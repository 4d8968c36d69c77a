# syntax=docker/dockerfile:1
# Build the native wheel, then everything with its dependencies; run as nobody in a small stage without tools.
#   docker build -t untrace-pipeline .
#   docker run -p 4317:4317 -p 4318:4318 -v "$PWD/my.yaml:/etc/untrace-pipeline/config.yaml:ro" untrace-pipeline
ARG PYTHON=3.13
ARG RUST=1.88

FROM rust:${RUST}-slim AS rust

FROM python:${PYTHON}-slim AS native
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
ENV PATH=/usr/local/cargo/bin:$PATH RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo
WORKDIR /src/native
COPY native .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY untrace_pipeline untrace_pipeline
COPY plugins/untrace_plugins plugins/untrace_plugins
COPY configs configs
COPY --from=native /wheels /wheels
RUN python -m venv /opt/untrace \
 && /opt/untrace/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt '.[all]' /wheels/*.whl \
 && /opt/untrace/bin/python -m compileall -q /opt/untrace/lib

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="untrace-pipeline" \
      org.opencontainers.image.description="LLM observability pipeline daemon" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/untrace /opt/untrace
COPY deploy/docker/config.yaml /etc/untrace-pipeline/config.yaml
ENV PATH=/opt/untrace/bin:$PATH PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2
USER 10001:10001
EXPOSE 4317 4318 8888 13133
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:13133/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["untrace-pipeline"]
CMD ["--config=/etc/untrace-pipeline/config.yaml"]
