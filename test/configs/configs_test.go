// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// backendCase is what one configuration needs of its environment, and how its requests are recognised.
type backendCase struct {
	env map[string]string
	// headers are regexps for headers of each remote-write request. None: the requests are not looked at, since the
	// authority that they need a token from is not within a test's reach.
	headers map[string]string
	// version is that of remote write, in the first request. Empty: 2.0.0, after which 1.0 is sent where that is not taken.
	version string
}

// The tenant and the client are no one's.
const someUUID = "00000000-0000-0000-0000-000000000000"

// backends are the cases by file name. base is the environment that every file needs, tokens the address of a token
// server.
func backends(t *testing.T, tokens string) map[string]backendCase {
	t.Helper()
	dir := t.TempDir()
	token := write(t, dir, "token", "not-a-"+"token")
	key, certificate := selfSigned(t)
	keyFile := write(t, dir, "key.pem", key)
	certificateFile := write(t, dir, "certificate.pem", key+certificate)
	bearer := map[string]string{"Authorization": "^Bearer not-a-token$"}

	return map[string]backendCase{
		"collector.yaml":  {headers: map[string]string{"Authorization": "^$"}},
		"stock.yaml":      {headers: map[string]string{"Authorization": "^$"}, version: "0.1.0"},
		"prometheus.yaml": {headers: map[string]string{"Authorization": "^$"}},
		"prometheus-bearer.yaml": {
			env:     map[string]string{"BEARER_TOKEN_FILE": token},
			headers: bearer,
		},
		"mimir.yaml": {
			env:     map[string]string{"MIMIR_TENANT": "acme"},
			headers: map[string]string{"X-Scope-OrgID": "^acme$"},
		},
		"thanos.yaml": {
			env:     map[string]string{"THANOS_TENANT": "acme", "BEARER_TOKEN_FILE": token},
			headers: map[string]string{"THANOS-TENANT": "^acme$", "Authorization": "^Bearer not-a-token$"},
		},
		"victoriametrics.yaml": {env: map[string]string{"BEARER_TOKEN_FILE": token}, headers: bearer, version: "0.1.0"},
		"grafana-cloud.yaml": {
			env: map[string]string{"GRAFANA_CLOUD_INSTANCE_ID": "12345", "GRAFANA_CLOUD_TOKEN_FILE": token},
			// base64 of 12345:not-a-token
			headers: map[string]string{"Authorization": "^Basic MTIzNDU6bm90LWEtdG9rZW4=$"},
		},
		"aws.yaml": {
			env:     map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"},
			headers: map[string]string{"Authorization": "^AWS4-HMAC-SHA256 Credential=nobody/[0-9]{8}/eu-west-1/aps/aws4_request,"},
			version: "0.1.0",
		},
		"google.yaml": {
			env: map[string]string{
				"GOOGLE_CLIENT_EMAIL": "nobody@example.com", "GOOGLE_PRIVATE_KEY_ID": "1", "GOOGLE_PRIVATE_KEY_FILE": keyFile,
				"GOOGLE_TOKEN_URL": tokens + "/oauth2",
			},
			headers: bearer,
		},
		"azure-managed-identity.yaml": {
			env:     map[string]string{"IDENTITY_ENDPOINT": tokens + "/identity", "IDENTITY_HEADER": "nobody"},
			headers: bearer, version: "0.1.0",
		},
		"azure-sdk.yaml": {
			env:     map[string]string{"IDENTITY_ENDPOINT": tokens + "/identity", "IDENTITY_HEADER": "nobody"},
			headers: bearer, version: "0.1.0",
		},
		"azure-workload-identity.yaml": {
			env: map[string]string{"AZURE_CLIENT_ID": someUUID, "AZURE_TENANT_ID": someUUID, "AZURE_FEDERATED_TOKEN_FILE": token},
		},
		"azure-client-secret.yaml": {
			env: map[string]string{"AZURE_CLIENT_ID": someUUID, "AZURE_TENANT_ID": someUUID, "AZURE_CLIENT_SECRET_FILE": token},
		},
		"azure-certificate.yaml": {
			env: map[string]string{"AZURE_CLIENT_ID": someUUID, "AZURE_TENANT_ID": someUUID, "AZURE_CLIENT_CERTIFICATE_PATH": certificateFile},
		},
	}
}

func baseEnv(remoteWriteURL string) map[string]string {
	return map[string]string{
		"RUNNER_ORGANIZATION": "acme", "RUNNER_NAME": "r1", "RUNNER_NAMESPACE": namespace, "REMOTE_WRITE_URL": remoteWriteURL,
	}
}

// tokenServer issues the same token to everybody, as Google's and as Azure's managed identity endpoint do it.
func tokenServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"access_token": "not-a-" + "token", "token_type": "Bearer"}
		switch r.URL.Path {
		case "/oauth2":
			answer["expires_in"] = 3600
		case "/identity":
			answer["expires_on"] = fmt.Sprint(time.Now().Add(time.Hour).Unix())
		default:
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(answer) // the client may be gone
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// requiredEnv reads what a file says that it needs.
func requiredEnv(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	var config struct {
		Processors struct {
			Runner struct {
				RequiredEnv []string `yaml:"required_env"`
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &config))
	return config.Processors.Runner.RequiredEnv
}

// Every file is valid with its environment, and says which variable is missing without it.
func TestMissingVariablesAreNamed(t *testing.T) {
	files := configFiles(t)
	cases := backends(t, "http://127.0.0.1:1")
	require.ElementsMatch(t, slices.Collect(maps.Keys(files)), slices.Collect(maps.Keys(cases)), "a case for each file")
	for name, file := range files {
		env := baseEnv("http://127.0.0.1:1/api/v1/write")
		maps.Copy(env, cases[name].env)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := validate(t, file, env)
			require.NoError(t, err, "with everything set: %s", out)

			required := requiredEnv(t, file)
			require.Subset(t, required, slices.Collect(maps.Keys(baseEnv(""))))
			for _, variable := range required {
				out, err := validate(t, file, without(env, variable))
				require.Error(t, err, "%s is not set", variable)
				assert.Contains(t, out, "environment variable "+variable+" is not set or empty")
			}
		})
	}
}

func TestEmptyVariableIsNamed(t *testing.T) {
	env := baseEnv("")
	out, err := validate(t, configFiles(t)["collector.yaml"], env)
	require.Error(t, err)
	assert.Contains(t, out, "environment variable REMOTE_WRITE_URL is not set or empty: set it where the collector is started")
}

func TestScrapeInterval(t *testing.T) {
	f := func(interval, want string) {
		t.Helper()
		env := baseEnv("http://127.0.0.1:1/api/v1/write")
		env["SCRAPE_INTERVAL"] = interval
		out, err := validate(t, configFiles(t)["collector.yaml"], env)
		if want == "" {
			require.NoError(t, err, out)
			return
		}
		require.Error(t, err)
		assert.Contains(t, out, want)
	}
	f("15s", "")
	f("30s", "")
	f("60s", "")
	f("5s", "global scrape timeout greater than scrape interval")
	f("30", "not a valid duration string")
}

// A collector that lacks a variable does not start, nor does it ask the API server for anything.
func TestStartWithoutNamespace(t *testing.T) {
	api := startKubeAPI(t, "")
	file := withAPIServer(t, configFiles(t)["collector.yaml"], api.URL)
	out, err := run(t, file, without(baseEnv("http://127.0.0.1:1/api/v1/write"), "RUNNER_NAMESPACE"))
	require.Error(t, err)
	assert.Contains(t, out, "environment variable RUNNER_NAMESPACE is not set or empty")
	assert.Empty(t, api.Requests())
}

// Every file is started, becomes healthy, delivers with its own authentication, and ends well.
func TestEveryConfigurationStartsAndDelivers(t *testing.T) {
	tokens := tokenServer(t)
	cases := backends(t, tokens)
	files := configFiles(t)
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		backend := cases[name]
		ip := fmt.Sprintf("127.0.78.%d", i+1)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := startKubeAPI(t, "")
			requests := make(chan http.Header, 1)
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case requests <- r.Header:
				default: // one is enough
				}
				w.WriteHeader(http.StatusNoContent)
			}))
			t.Cleanup(receiver.Close)

			env := baseEnv(receiver.URL + "/api/v1/write")
			maps.Copy(env, backend.env)
			env["SCRAPE_INTERVAL"], env["SCRAPE_TIMEOUT"] = "1s", "1s"
			c := start(t, withAPIServer(t, files[name], api.URL), ip, env)
			if backend.headers != nil {
				select {
				case header := <-requests:
					assert.Equal(t, cmp.Or(backend.version, "2.0.0"), header.Get("X-Prometheus-Remote-Write-Version"))
					for key, pattern := range backend.headers {
						assert.Regexp(t, regexp.MustCompile(pattern), header.Get(key), key)
					}
				case <-time.After(limit):
					require.FailNow(t, "nothing was delivered")
				}
				c.delivers(t)
			}
			c.stop(t)
			api.onlyAskedForWhatIsAllowed(t)
		})
	}
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// selfSigned makes a key and its certificate, both as PEM.
func selfSigned(t *testing.T) (key, certificate string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nobody"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
