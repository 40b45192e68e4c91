# The targets that people call. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# One environment for every compile, so that build, test and lint share one build cache.
# The tags are the manifest's: builder-config.yaml is their source.
TAGS := $(shell sed -n 's/^ *build_tags: *//p' builder-config.yaml)
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false -trimpath -tags=$(TAGS)
LDFLAGS := -s -w

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/otelcol-runner and bin/runnerctl (about 5 minutes the first time, seconds after)
	@mkdir -p bin
	@go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/otelcol-runner ./cmd/runnerctl

.PHONY: generate
generate: ## Write cmd/otelcol-runner from builder-config.yaml, and each component's metadata
	@go tool -modfile=tools/go.mod builder --config builder-config.yaml --skip-get-modules --skip-compilation --output-path=cmd/otelcol-runner 2>/dev/null
	@go generate ./...
