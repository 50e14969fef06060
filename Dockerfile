# docker build -t rcdm-probe .
# docker run --rm -v "$PWD:/work" rcdm-probe invariance --encoder vicreg --images 100
FROM python:3.12-slim
COPY CITATION.cff LICENSE NOTICE README.md pyproject.toml /src/
COPY analyses /src/analyses
COPY probes /src/probes
COPY rcdm_core /src/rcdm_core
COPY rcdm_probe /src/rcdm_probe
COPY reports /src/reports
RUN pip install --no-cache-dir /src && rm -r /src
ENV RCDM_PROBE_CACHE=/work/.rcdm-probe-cache
WORKDIR /work
ENTRYPOINT ["rcdm-probe"]
