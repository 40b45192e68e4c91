// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/secrets.md")

// fill makes a look-alike of n characters that no scanner takes for the real thing in this file.
func fill(alphabet string, n int) string {
	return strings.Repeat(alphabet, n/len(alphabet)+1)[:n]
}

// positives are obviously fake values that each pattern must find, put together here so that none stands in the source.
func positives() map[string][]string {
	segment := func(n int) string { return fill("aB3-x_9Z", n) }
	jwt := "ey" + "J" + segment(20) + ".ey" + "J" + segment(30) + "." + segment(40)
	return map[string][]string{
		"private_key": {
			"-----BEGIN " + "PRIVATE KEY-----\\nMII", "-----BEGIN RSA " + "PRIVATE KEY-----", "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
			"-----BEGIN USER " + "NKEY SEED-----", "S" + "U" + fill("AB2C3D", 56), "seed=S" + "A" + fill("XY7Z", 56) + ";",
		},
		"jwt": {jwt, "session_" + jwt, "Bearer " + jwt, "token is " + jwt + ", sorry", "ey" + "J" + segment(20) + "..ab.cd.ef", "ey" + "J" + segment(12) + ".ey" + "J" + segment(9) + "."},
		"cloud_key": {
			"AK" + "IA" + fill("ABCDEFGH234567", 16), "id=AS" + "IA" + fill("QRST2345", 16) + "&x=y", "aws_secret_access_key = " + fill("aB1/c+", 40),
			"DefaultEndpointsProtocol=https;Account" + "Key=" + fill("aB1+/c", 86) + "==", "https://x.blob.core.windows.net/c?sv=1&sig=" + fill("aB1%2F", 44),
			"abc" + "8Q~" + fill("aB1.c_d~", 34), "AI" + "za" + fill("aB1_c-d", 35), "ya29" + "." + fill("aB1_c-d", 40), "key_AK" + "IA" + fill("ABCDEFGH234567", 16), "AB" + "IA" + fill("ABCDEFGH234567", 16), "AC" + "CA" + fill("ABCDEFGH234567", 16),
		},
		"api_token": {
			"gh" + "p_" + fill("aB1cD2", 36), "github" + "_pat_" + fill("aB1cD2", 40), "gl" + "pat-" + fill("aB1-c", 20), "xo" + "xb-" + fill("12345-a", 24),
			"sk" + "_live_" + fill("aB1", 24), "np" + "m_" + fill("aB1cD2", 36), "dckr" + "_pat_" + fill("aB1-", 24), "hv" + "s." + fill("aB1-", 30),
			"gl" + "sa_" + fill("aB1c", 40), "sk-ant" + "-" + fill("aB1-c", 40), "my_gh" + "p_" + fill("aB1cD2", 36), "gh" + "u_" + fill("aB1cD2", 36), "gh" + "s_" + fill("aB1cD2", 36), "gh" + "r_" + fill("aB1cD2", 36),
			"hv" + "b." + fill("aB1-", 30), "hv" + "r." + fill("aB1-", 30), "gl" + "c_" + fill("aB1c", 40),
		},
		"bearer_token":      {"Bearer " + fill("aB1cD2", 20), "authorization: bearer " + fill("a1", 16), "Basic " + fill("dXN1", 24) + "==", "token=" + fill("ab12", 16), "x-api-key: " + fill("ab12", 16)},
		"connection_string": {"postgres://app:" + "hunter2@db/x", "amqp://u:" + "p4ss@mq:5672", "redis://:" + "s3cret@cache:6379/0", "Server=x;Password" + "=hunter2;", "https://h/?api_key" + "=abcd", "client_secret" + "=abcdef", "DB_PASSWORD" + "=hunter2", `{"password":` + `"hunter2"}`, "postgres://u:" + "$ecret123@db", "password" + "=$ecret123", "mysql://u:" + "a/b1@h", "pwd" + "=1234", "passwd" + "=1234", "apikey" + "=1234"},
		"email":             {"jane.doe@example.com", "user=jane+x@mail.example.co.uk,", "<j@example.org>", "jane@163.com", "jane%40example.com", "user@1000.service jane@example.com"},
	}
}

// falsePositives are values that real series carry and that must pass.
var falsePositives = []string{
	// images, modules, versions
	"ghcr.io/kubiyabot/tool-manager:0.5.8", "registry.k8s.io/pause@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097",
	"github.com/prometheus/prometheus@v0.315.1", "golang.org/x/mod@v0.42.0-rc.one", "react@18.2.0-next.aa", "v1.46.2-gke.1200",
	// Kubernetes names, hashes, addresses
	"tool-manager-7d9c5b6f4d-x2x9z", "10.244.0.17:3001", "6f1c2d3e-4b5a-6978-8a9b-0c1d2e3f4a5b", "user@1000.service", "getty@tty1.service",
	"containerd://4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"k8s.io/api/core/v1", "system:serviceaccount:runner:tool-manager", "kubernetes.io/service-account-token",
	// paths, URLs, routes
	"/api/v1/tokens/{token}", "/oauth/token", "https://example.com/login?next=/secrets&page=2", "https://host:8443/path@2x.png", "http://[::1]:9090/metrics",
	"nats://nats.runner.svc:4222", "postgres://db:5432/app", "GET /reset-password", "https://example.com/a:b@c", "file:///etc/secret/key",
	// words that sound like it
	"Bearer", "bearer token missing", "Bearer authentication-not-configured", "basic authentication required", "token expired", "token_manager_requests",
	"password reset", "password: incorrect", "secret not found", "api_key_invalid", "Authorization header is malformed", "public key", "PRIVATE KEY missing",
	"-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "password=***", "postgres://app:***@db/x", "postgres://app:xxxxx@db/x", "token=<redacted>", "client_secret=${SECRET}",
	// shapes near a pattern's
	"AKIA", "SUPERCALIFRAGILISTIC", "sk-learn", "disk-ant-farm-with-a-long-name-of-words", "sk-some-long-model-name-without-numbers", "glpat", "xoxo", "eyJust", "eyJ.eyJ.x",
	"a@b", "me@localhost", "n1@n2:7946", "<redacted:jwt>", "0.9", "+Inf", "{\"a\": 1}", "2026-11-24T08:26:42Z", "SELECT * FROM t WHERE secret = $1",
	"git@github.com:org/repo", "tool-manager@runner.svc.cluster", "root@node1.cluster.local", "token 6f1c2d3e-4b5a-6978-8a9b-0c1d2e3f4a5b revoked",
	"password=%s", "token=$TOKEN", "https://host:8443/a@b.c/d",
	"STANDARD_D4S_V3", "aws_region=us-east-1", "arn:aws:iam::123456789012:role/runner", "sig=short", "?sig=abc",
}

func TestEveryPatternFindsItsOwn(t *testing.T) {
	all := positives()
	for _, p := range Patterns() {
		require.NotEmpty(t, all[p.Name], "no value tried for %s", p.Name)
		for _, value := range all[p.Name] {
			found := Find(value)
			assert.Equal(t, p.Name, found, "%q", value)
			assert.NotEmpty(t, Find("a "+value+" b"), "inside a longer value: %q", value)
		}
	}
}

func TestFalsePositives(t *testing.T) {
	for _, value := range falsePositives {
		assert.Empty(t, Find(value), "%q", value)
	}
}

// The published list is written from the code, and says what was tried.
func TestDocumentIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Secrets in label values\n\n" +
		"`scope::secrets` of the runner processor looks at every label value, and every value in an exemplar, before it leaves the cluster. A value of which a part\n" +
		"matches one of these patterns (RE2) is replaced as a whole by `<redacted:NAME>` (`redact`), or its series is dropped (`drop`). The count is in\n" +
		"`otelcol_processor_runner_redacted_points` or under the reason `secret`, and the log names metric and label once, never the value.\n\n" +
		"A pattern is a net, not a proof: what has no shape of its own (a plain password as a label value) passes. Metric and label names are not looked at.\n\n" +
		"This file is written by `go test ./internal/secrets -update`.\n\n")
	for _, p := range Patterns() {
		fmt.Fprintf(&b, "## %s\n\n%s.\n\n```\n%s\n```\n\n", p.Name, p.Description, strings.ReplaceAll(p.Expression, "|", "\n|"))
	}
	b.WriteString("## Tried, and must pass\n\n```\n")
	for _, v := range falsePositives {
		b.WriteString(v + "\n")
	}
	b.WriteString("```\n")
	file := filepath.Join("..", "..", "docs", "secrets.md")
	if *update {
		require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	}
	got, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	assert.Equal(t, b.String(), string(got), "run go test ./internal/secrets -update")
}

func FuzzFind(f *testing.F) {
	for _, values := range positives() {
		for _, v := range values {
			f.Add(v)
		}
	}
	for _, v := range falsePositives {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if name := Find(value); name != "" && Find("<redacted:"+name+">") != "" {
			t.Fatalf("the replacement of %s is a secret itself", name)
		}
	})
}
