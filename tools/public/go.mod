// Modules with public configurations for test/public. Nothing is built from them: it downloads the versions that are named here and checks
// them against go.sum. `go mod tidy` would remove them.
module github.com/kubiyabot/otelcol-runner/tools/public

go 1.26.0

require (
	github.com/VictoriaMetrics/VictoriaMetrics v1.148.8
	github.com/prometheus-community/helm-charts v0.0.0-20260828105119-ed5d7d9b5933
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
