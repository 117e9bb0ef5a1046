# The bridge with all that a line in production needs: fast door, PostgreSQL, Redis, traces.
# With the embedded model instead, for rehearsals: docker build --build-arg REQUIREMENTS=demo .
FROM python:3.13-slim AS build
ARG REQUIREMENTS=serve
COPY requirements/${REQUIREMENTS}.txt /tmp/requirements.txt
# The image's own pip fills a venv that has none: nobody installs anything where calls are taken.
RUN python -m venv --without-pip /venv \
 && python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
    --require-hashes -r /tmp/requirements.txt
COPY bridge /app/bridge
COPY twiml /app/twiml
RUN /venv/bin/python -m compileall -q /app

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data bridge
COPY --from=build /venv /venv
COPY --from=build /app /app
# Nothing outside /data and /tmp is written, so that the root file system may be read-only.
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    BRIDGE_SERVER__HOST=0.0.0.0 BRIDGE_SERVER__PORT=8080
# Settings are read from here (bridge.toml), call records and tapes are written here.
WORKDIR /data
VOLUME /data
USER bridge
EXPOSE 8080
# A live call may go on for server.drain_s (300 s) after this: give `docker stop` more than its ten seconds.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['BRIDGE_SERVER__PORT'] + '/healthz', timeout=3)"]
# Other commands too: docker run --rm voicebridge config check
ENTRYPOINT ["python", "-m", "bridge"]
CMD ["serve"]
