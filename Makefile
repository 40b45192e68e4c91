# The targets that people call. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

# One environment for every compile, so that build, test and lint share one build cache. The tags are the manifest's.
TAGS := $(shell sed -n 's/^ *build_tags: *//p' builder-config.yaml)
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false -trimpath -tags=$(TAGS)
LDFLAGS := -s -w
TOOL := go tool -modfile=tools/go.mod

# How long `make run` lasts, for example DURATION=60s. Empty: until Ctrl-C.
DURATION ?=
# How long each fuzz test runs in `make fuzz`.
FUZZTIME ?= 30s

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The first compile takes minutes, in which `go build` says nothing: say what goes on.
.PHONY: build
build: ## Build bin/otelcol-runner and bin/runnerctl
	@mkdir -p bin
	@./hack/progress.sh 'Building both binaries' go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/otelcol-runner ./cmd/runnerctl

.PHONY: run
run: build ## Show the whole product at work on this machine, until Ctrl-C or for DURATION=60s
	@exec bin/runnerctl demo $(if $(DURATION),--duration $(DURATION))

.PHONY: test
test: build test-unit test-image test-charts test-scrape test-exact test-crash test-outage test-faults ## Run everything that guards a promise, but for the real cluster (make e2e)

.PHONY: test-unit
test-unit: build chromium ## Run the Go tests, among them the fuzz seeds, every configuration and the demo
	@# What starts programs on ports has the machine to itself: the two groups run one after the other.
	@# Those of the charts are in test-charts.
	go test -timeout 20m $$(go list ./... | grep -vE '/(charts|cmd|internal/demo|test)(/|$$)')
	go test -timeout 30m -p 1 $$(go list ./cmd/... ./internal/demo/... ./test/... | grep -v /test/chartconfig)

.PHONY: test-image
test-image: ## Test the image: reproducible, complete, and what the Dockerfile says
	cd tools && go test -count=1 ./image/...

.PHONY: test-charts
test-charts: build bin/helm ## Judge the charts: real Helm, the OpenAPI of Kubernetes, Pod Security, policies, coverage, made-up values
	@# -count=1: what Helm and other modules read is not known to Go's cache of test results.
	@go test -count=1 ./charts/... ./test/chartconfig >&2
	@for module in chartdocs charts; do (cd tools/$$module && go test -count=1 ./... >&2) || exit 1; done
	@cd tools/charts && go run .

.PHONY: test-admission
test-admission: cluster ## Let a real kube-apiserver judge the admission policies and their fixtures
	@go run ./test/admission

.PHONY: e2e
e2e: build bin/helm ## Install, upgrade and break the charts on a real single-node Kubernetes on this machine; needs root
	@go run ./test/e2e

.PHONY: cluster
cluster: ## Build what a node of Kubernetes consists of, about 10 minutes the first time; needs root
	@./test/e2e/cluster.sh build

.PHONY: test-scrape
test-scrape: ## Test the configurations by their cases, and the cases by faults and by mutants of each relabel rule
	@go run ./test/scrape

.PHONY: test-exact
test-exact: build ## Compare what is delivered with what Prometheus itself stores, bit by bit
	@go run ./test/exact

.PHONY: test-crash
test-crash: build ## Kill the collector and its backend again and again, and look for what is lost, repeated or out of order
	@go run ./test/crash

.PHONY: test-outage
test-outage: build ## Let the backend be away for six hours (of samples), and look at the drain
	@go run ./test/outage

.PHONY: test-faults
test-faults: build ## Inject faults into receiver, network, disk and log, one row each
	@go run ./test/faults

.PHONY: fuzz
fuzz: ## Fuzz what reads bytes from outside, FUZZTIME=30s each
	@grep -rHoE --include='*_test.go' '^func Fuzz\w+' . | sed -E 's|/[^/]*_test.go:func |\t|' | while IFS=$$'\t' read -r package name; do \
		echo "$$package $$name"; \
		go test "$$package" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s || exit 1; \
	done

.PHONY: bench-processor
bench-processor: build ## Measure the runner processor, and the collector at rest
	@go run ./test/peers/processor

.PHONY: bench-delivery
bench-delivery: build bin/prometheus ## Measure what a delivered sample costs, next to three others
	@go run ./test/peers/delivery

.PHONY: bench-pushdown
bench-pushdown: build ## Measure what it saves to drop at the scrape what is out of scope
	@go run ./test/peers/pushdown

.PHONY: bench-nats
bench-nats: build ## Measure the path over NATS that ours replaces: costs, freshness, losses, parity; needs root
	@cd test/peers/natshop && ../../../hack/progress.sh 'Building NATS and both ends of it' \
		go build -ldflags '$(LDFLAGS)' -o ../../../bin/natshop/ ./collector github.com/nats-io/nats-server/v2
	@cd test/peers/natshop && go run .

# A Prometheus server, to be compared with. Its modules are not ours: it has a go.mod of its own.
bin/prometheus: tools/prometheus/go.mod
	@mkdir -p bin
	@cd tools/prometheus && ../../hack/progress.sh 'Building Prometheus' go build -ldflags '$(LDFLAGS)' -o ../../bin/prometheus github.com/prometheus/prometheus/cmd/prometheus
	@touch $@

# Helm, with which the charts are tested. Without a cluster it goes by the version of Kubernetes that it is linked with: as its
# own build does, the flags say which that is.
HELM_VERSION = $(shell sed -n 's|^.*helm.sh/helm/v3 ||p' tools/charts/go.mod)
HELM_KUBERNETES = $(shell sed -n 's|^.*k8s.io/client-go v0\.\([0-9]*\).*|\1|p' tools/charts/go.mod)
HELM := helm.sh/helm/v3
HELM_LDFLAGS = -X $(HELM)/internal/version.version=$(HELM_VERSION) \
	$(foreach package,pkg/lint/rules pkg/chartutil,-X $(HELM)/$(package).k8sVersionMajor=1 -X $(HELM)/$(package).k8sVersionMinor=$(HELM_KUBERNETES))
bin/helm: tools/charts/go.mod
	@mkdir -p bin
	@cd tools/charts && ../../hack/progress.sh 'Building Helm' go build -ldflags '$(LDFLAGS) $(HELM_LDFLAGS)' -o ../../bin/helm $(HELM)/cmd/helm
	@touch $@

.PHONY: lint
lint: bin/golangci-lint ## Look at the code with golangci-lint
	bin/golangci-lint run ./...
	@for module in tools tools/charts tools/chartdocs tools/coredns; do (cd $$module && echo "golangci-lint run ($$module)" && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

bin/golangci-lint: tools/lint/go.mod
	@mkdir -p bin
	@cd tools/lint && ../../hack/progress.sh 'Building golangci-lint' go build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

.PHONY: generate
generate: ## Write what is generated: cmd/otelcol-runner, each component's metadata, the configurations
	@$(TOOL) builder --config builder-config.yaml --skip-get-modules --skip-compilation --output-path=cmd/otelcol-runner 2>&1 | { grep -E 'ERROR|Error' || true; }
	@mkdir -p bin && cd tools && go build -o ../bin/mdatagen go.opentelemetry.io/collector/cmd/mdatagen
	@PATH="$(CURDIR)/bin:$$PATH" go generate ./...

.PHONY: chart-docs
chart-docs: ## Write what is generated about the charts: their READMEs, the table of versions, lists of rules, values and images
	@cd tools/chartdocs && go run .

.PHONY: check-generated
check-generated: generate chart-docs ## Fail when a generated file differs from what is committed
	@git diff --exit-code -- cmd/otelcol-runner components processors configs charts docs examples || \
		{ echo 'generated files differ: run `make generate` and commit what it writes' >&2; exit 1; }

.PHONY: image
image: build ## Write the container images to dist/, without Docker
	@cd tools && go run ./image build --root .. --image runnerctl && go run ./image build --root ..

# The page of the demo is looked at in a browser.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { echo 'Installing chromium, which the test of the demo page needs' >&2; \
		apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin build dist
