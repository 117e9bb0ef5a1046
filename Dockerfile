# The bridge alone. For the embedded model too: docker build --build-arg REQUIREMENTS=demo .
FROM python:3.13-slim AS build
ARG REQUIREMENTS=runtime
COPY requirements/${REQUIREMENTS}.txt /tmp/requirements.txt
RUN python -m venv /venv \
 && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.txt
COPY bridge /app/bridge
COPY twiml /app/twiml
RUN /venv/bin/python -m compileall -q /app

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data bridge
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 BRIDGE_SERVER__HOST=0.0.0.0 BRIDGE_SERVER__PORT=8080
# Settings are read from here (bridge.toml), call records and tapes are written here.
WORKDIR /data
VOLUME /data
USER bridge
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['BRIDGE_SERVER__PORT'] + '/healthz', timeout=3)"]
CMD ["python", "-m", "bridge", "serve"]
