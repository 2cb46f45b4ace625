# The package on Debian, for the CPU.
#
#   docker run -p 127.0.0.1:7860:7860 -v cfcontra:/data cfcontra
#       the web demo at http://localhost:7860; the first time, the quickstart makes its
#       model, which takes minutes
#   docker run -v "$PWD:/data" --user "$(id -u):$(id -g)" cfcontra cfcontra-segment drive.mp4 …
#       any of the commands, on the current folder
#
# Build arguments:
#   TORCH_INDEX     where torch's CPU wheels are; empty takes torch from the package index
#                   itself (the CUDA build: several GB more, and usable with --gpus)
#   PIP_INDEX_URL   another package index than PyPI

ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/venv

FROM python AS requirements
COPY pyproject.toml .
RUN python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], sep='\n')" > /requirements.txt

# The dependencies are a layer of their own: a change of the code does not load them again.
FROM python AS dependencies
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG PIP_INDEX_URL=https://pypi.org/simple
COPY --from=requirements /requirements.txt .
RUN /opt/venv/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        --requirement requirements.txt

FROM python AS wheel
ARG PIP_INDEX_URL=https://pypi.org/simple
WORKDIR /src
COPY . .
RUN /opt/venv/bin/pip wheel --no-deps --wheel-dir /wheels .

FROM ${BASE}
LABEL org.opencontainers.image.title="cfcontra" \
      org.opencontainers.image.description="Domain-adaptive driving-scene segmentation: adapt, export, run" \
      org.opencontainers.image.licenses="Apache-2.0"
# OpenCV needs libGL, libxcb and GLib; downloads of pretrained weights need certificates.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libgl1 libglib2.0-0 libxcb1 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home cfcontra \
    && install --directory --owner cfcontra --group cfcontra /data
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=wheel /wheels /tmp/wheels
RUN /opt/venv/bin/pip install --no-cache-dir --no-index --no-deps /tmp/wheels/*.whl \
    && rm -r /tmp/wheels
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
EXPOSE 7860
# As Ctrl-C does: commands stop in order, and a half-written video stays playable.
STOPSIGNAL SIGINT
# Only the demo has an address to ask; other commands are well as long as they run.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15m \
    CMD tr '\0' ' ' < /proc/1/cmdline | grep -q 'cfcontra[- ]demo' || exit 0; \
        python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/ready', timeout=4)" || exit 1
# The first process of a container gets no signal without a trap, and a background one no Ctrl-C.
CMD ["sh", "-c", "trap 'kill $!; wait; exit 130' INT TERM; [ -e runs/quickstart/model.onnx ] || { cfcontra-quickstart & wait $!; } || exit; exec cfcontra-demo --host 0.0.0.0 --port 7860"]
