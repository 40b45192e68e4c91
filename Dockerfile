# The images where Docker is at hand: the same content as `make image`, which needs no Docker.
#
#   docker build -t otelcol-runner .
#   docker build -t runnerctl --target runnerctl .
#   docker run -v otelcol-runner:/var/lib/otelcol-runner -e RUNNER_ORGANIZATION=... otelcol-runner
#
# A test (tools/image) compares USER, ENTRYPOINT, CMD, EXPOSE, VOLUME, ENV, WORKDIR and LABEL with what `make image` writes.

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=linux GOARCH=$TARGETARCH make build && \
    mkdir /data && cd tools && go run ./image rootfs --root .. --platform linux/$TARGETARCH --dest /rootfs && \
    go run ./image rootfs --image runnerctl --root .. --platform linux/$TARGETARCH --dest /runnerctl

# The command line, for checks in a cluster.
FROM scratch AS runnerctl
# dist.version of builder-config.yaml
ARG VERSION=0.1.0
COPY --from=build /runnerctl/ /
LABEL org.opencontainers.image.title="runnerctl" \
      org.opencontainers.image.description="Shows, checks and explains what a runner's collector does" \
      org.opencontainers.image.source="https://github.com/kubiyabot/otelcol-runner" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
ENV PATH=/
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/runnerctl"]
CMD ["--help"]

# The collector.
FROM scratch
# dist.version of builder-config.yaml
ARG VERSION=0.1.0
# With a second name of the program: a deployment of the predecessor runs otelcol-kubiya --config=/etc/otel/config.yaml.
COPY --from=build /rootfs/ /
# The log of the exporter, writable for the user below.
COPY --from=build --chown=65532:65532 /data/ /var/lib/otelcol-runner/
LABEL org.opencontainers.image.title="otelcol-runner" \
      org.opencontainers.image.description="A runner's metrics, straight to managed Prometheus" \
      org.opencontainers.image.source="https://github.com/kubiyabot/otelcol-runner" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
ENV PATH=/
# Half of Go's default headroom: what is live is mostly the scraper's and the exporter's tables, which do not change.
ENV GOGC=50
WORKDIR /
USER 65532:65532
VOLUME /var/lib/otelcol-runner
EXPOSE 4317/tcp 4318/tcp 8888/tcp 13133/tcp
ENTRYPOINT ["/otelcol-runner"]
CMD ["--config=/etc/otelcol-runner/collector.yaml"]
