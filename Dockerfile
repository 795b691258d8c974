# One image a function, and one that loads them:
#
#   docker build --build-arg FUNCTION=exif -t dev.local/pixelamp-exif:0.1.0 .
#   docker build --build-arg FUNCTION=histogram --build-arg EXTRA=histogram-raw -t dev.local/pixelamp-histogram-raw:0.1.0 .
#   docker build --build-arg FUNCTION=loadtest -t dev.local/pixelamp-loadtest:0.1.0 .
#   make images REGISTRY=registry.example.com/me      all three functions, with docker, podman or buildah
#
# The build needs a package index and nothing else; the image holds Python, that function's pinned packages, the kit
# and that function. Plain instructions alone, so that builders without BuildKit take this file too.
FROM docker.io/library/python:3.13-slim AS build
ARG FUNCTION
# histogram-raw for FUNCTION=histogram adds rawpy, which counts the sensor's values of camera raws.
ARG EXTRA=${FUNCTION}
WORKDIR /build
COPY requirements/${EXTRA}.txt requirements.txt
COPY requirements/image.txt image.txt
# Hashes are demanded of every file, and only wheels are taken, so that no package's code runs while it is installed. The
# one exception is pyvips, which has no wheel: it is built here, in the stage that is thrown away.
RUN python -m venv --without-pip /venv \
    && install() { python -m pip --python /venv/bin/python install --no-cache-dir --no-compile --no-deps \
       --require-hashes --only-binary :all: "$@"; } \
    && if grep -q '^pyvips==' requirements.txt; then \
         install -r image.txt \
         && install --no-binary pyvips --no-build-isolation -r requirements.txt \
         && cd /venv/lib/python3*/site-packages \
         && rm -rf setuptools setuptools-* _distutils_hack distutils-precedence.pth pkg_resources; \
       else install -r requirements.txt; fi
COPY knative/image/slim.py slim.py
RUN python slim.py /venv "${FUNCTION}"
COPY pyproject.toml ./
COPY functions functions
COPY knative/__init__.py knative/
COPY knative/local knative/local
COPY loadtest loadtest
# The choice is made here, in the stage that is thrown away. The load test needs Locust's settings and the profiles of
# load that the engine reads too; a function needs the kit.
RUN mkdir -p /app/functions /app/knative \
    && if [ "${FUNCTION}" = loadtest ]; then \
         cp -r pyproject.toml loadtest /app/ \
         && cp -r knative/__init__.py knative/local /app/knative/ && rmdir /app/functions; \
       else \
         cp -r functions/__init__.py functions/kit "functions/${FUNCTION}" /app/functions/ && rmdir /app/knative \
         && ls functions/*/main.py | cut -d/ -f2 >/app/functions/names; \
       fi \
    && python -c 'import pathlib, tomllib; v = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["version"]; \
d = pathlib.Path(f"/app/pixelamp-{v}.dist-info"); d.mkdir(); \
(d / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pixelamp\nVersion: {v}\n")' \
    && chmod -R a+rX /app \
    && find /app -name __pycache__ -prune -exec rm -rf {} +
# Without bytecode a cold start takes three times as long, and a read-only root could never keep any. Unchecked: nothing
# in an image changes, so no start need compare dates.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib /app

FROM docker.io/library/python:3.13-slim
ARG FUNCTION
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pixelamp-${FUNCTION}" \
      org.opencontainers.image.description="Pixelamp, image analysis as serverless functions: ${FUNCTION}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
ENV FUNCTION=${FUNCTION} \
    PATH=/venv/bin:${PATH} \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/app/matplotlib
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
# The base has no bytecode of the standard library: that of the modules which this function loads is made here, and for
# histogram matplotlib's list of fonts, which would otherwise cost its first plot a second at every start.
COPY knative/image/prepare.py prepare.py
RUN python prepare.py && rm prepare.py
USER 65532:65532
EXPOSE 8080
# For plain containers; a cluster probes by its manifest. The load test serves nothing.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD test "$FUNCTION" = loadtest || python -c \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8080') + '/healthz', timeout=4)"
# `exec`, so that the server is process 1 and gets SIGTERM itself.
CMD if [ "$FUNCTION" = loadtest ]; then exec locust --headless; fi; exec python -m functions.kit.server "$FUNCTION"
