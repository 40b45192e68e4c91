// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.yaml.in/yaml/v3"
)

// loadConfig decodes one entry of testdata/config.yaml over the defaults.
func loadConfig(t *testing.T, name string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub("azuread_auth/" + name)
	require.NoError(t, err)
	cfg := NewFactory().CreateDefaultConfig()
	require.NoError(t, sub.Unmarshal(cfg))
	return cfg.(*Config)
}

func TestLoadConfig(t *testing.T) {
	for name, want := range map[string]*Config{
		"system":   {Cloud: "AzurePublic", ManagedIdentity: &ManagedIdentityConfig{}},
		"identity": {Cloud: "AzurePublic", ManagedIdentity: &ManagedIdentityConfig{ClientID: testClient}},
		"workload": {Cloud: "AzurePublic", WorkloadIdentity: &WorkloadIdentityConfig{ClientID: testClient, TenantID: testTenant}},
		"secret_file": {Cloud: "AzureGovernment", OAuth: &OAuthConfig{ //nolint:gosec // the name of a file
			ClientID: testClient, TenantID: "contoso.onmicrosoft.com", ClientSecretFile: "/etc/azure/client-secret",
		}},
		"certificate": {Cloud: "AzureChina", Scope: "https://monitor.azure.cn//.default", Certificate: &CertificateConfig{
			ClientID: testClient, TenantID: testTenant, CertificatePath: "/etc/azure/tls.crt", CertificateKeyPath: "/etc/azure/tls.key", SendCertificateChain: true,
		}},
		"sdk": {Cloud: "AzurePublic", SDK: &SDKConfig{}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := loadConfig(t, name)
			assert.Equal(t, want, cfg)
			assert.NoError(t, cfg.Validate())
		})
	}
}

func TestValidate(t *testing.T) {
	const (
		noMethod = "no authentication method is given; add one of managed_identity, workload_identity, oauth, certificate, sdk" +
			" (one without fields is written as an empty map: `managed_identity: {}`)"
		uuidRemedy = "; give the UUID that the Azure portal shows for it"
	)
	for name, tc := range map[string]struct {
		cfg  Config
		want []string
	}{
		"nothing": {Config{Cloud: "AzurePublic"}, []string{noMethod}},
		"several": {
			Config{Cloud: "AzurePublic", SDK: &SDKConfig{}, ManagedIdentity: &ManagedIdentityConfig{}},
			[]string{"2 authentication methods are given: managed_identity, sdk; keep one"},
		},
		"cloud": {
			Config{Cloud: "azurepublic", SDK: &SDKConfig{}},
			[]string{`cloud: "azurepublic" is no Azure cloud; use one of AzurePublic, AzureChina, AzureGovernment`},
		},
		"scope": {
			Config{Cloud: "AzurePublic", Scope: "a;b", SDK: &SDKConfig{}},
			[]string{`scope: "a;b" has characters that no scope has; leave it out or write it like https://monitor.azure.com//.default`},
		},
		"managed identity": {
			Config{Cloud: "AzurePublic", ManagedIdentity: &ManagedIdentityConfig{ClientID: "runner"}},
			[]string{`managed_identity::client_id: "runner" is no UUID (invalid UUID length: 6)` + uuidRemedy},
		},
		"workload identity": {
			Config{Cloud: "AzurePublic", WorkloadIdentity: &WorkloadIdentityConfig{TenantID: "contoso.com"}},
			[]string{
				"workload_identity::client_id: is missing" + uuidRemedy,
				`workload_identity::tenant_id: "contoso.com" is no UUID (invalid UUID length: 11)` + uuidRemedy,
			},
		},
		"oauth": {
			Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{TenantID: "a tenant"}},
			[]string{
				"oauth::client_id: is missing" + uuidRemedy,
				`oauth::tenant_id: "a tenant" is no tenant; give the directory's UUID or domain (letters, digits, dots and hyphens)`,
				"oauth::client_secret: is missing; give client_secret (from the environment: ${env:AZURE_CLIENT_SECRET}) or client_secret_file",
			},
		},
		"two secrets": {
			Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecret: configopaque.String(testSecret), ClientSecretFile: "/s"}},
			[]string{`oauth::client_secret_file: "/s" is given beside client_secret; keep one`},
		},
		"certificate": {
			Config{Cloud: "AzurePublic", Certificate: &CertificateConfig{ClientID: testClient}},
			[]string{
				"certificate::tenant_id: is missing; give the directory's UUID or domain",
				"certificate::certificate_path: is missing; give the path of the PEM or PKCS #12 file",
			},
		},
		"sdk": {
			Config{Cloud: "AzurePublic", SDK: &SDKConfig{TenantID: "/"}},
			[]string{`sdk::tenant_id: "/" is no tenant; give the directory's UUID or domain (letters, digits, dots and hyphens)`},
		},
		"all faults together": {
			Config{Cloud: "", Scope: "!"},
			[]string{
				`cloud: "" is no Azure cloud; use one of AzurePublic, AzureChina, AzureGovernment`,
				`scope: "!" has characters that no scope has; leave it out or write it like https://monitor.azure.com//.default`,
				noMethod,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.cfg.Validate()
			require.Error(t, err)
			var got []string
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				got = append(got, e.Error())
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

// TestOurRulesCoverPrometheus: what passes Validate passes azuread's checks, too.
func TestOurRulesCoverPrometheus(t *testing.T) {
	for _, name := range []string{"system", "identity", "workload", "secret_file", "certificate", "sdk"} {
		t.Run(name, func(t *testing.T) {
			cfg := loadConfig(t, name)
			require.NoError(t, cfg.Validate())
			_, err := cfg.prometheus("x")
			assert.NoError(t, err)
		})
	}
}

func TestWorkloadIdentityTokenFile(t *testing.T) {
	cfg := loadConfig(t, "workload")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
	p, err := cfg.prometheus("")
	require.NoError(t, err)
	assert.Equal(t, "/var/run/secrets/azure/tokens/azure-identity-token", p.WorkloadIdentity.TokenFilePath)

	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/from/the/webhook")
	p, err = cfg.prometheus("")
	require.NoError(t, err)
	assert.Equal(t, "/from/the/webhook", p.WorkloadIdentity.TokenFilePath)
}

// TestSecretsAreNeverPrinted looks at every way by which a secret could get out:
// the configuration printed or marshalled, errors, and the log.
func TestSecretsAreNeverPrinted(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secretFile, []byte(testSecret), 0o600))
	secret := configopaque.String(testSecret)
	inline := &Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecret: secret}}
	file := &Config{Cloud: "AzurePublic", OAuth: &OAuthConfig{ClientID: testClient, TenantID: testTenant, ClientSecretFile: secretFile}}
	password := &Config{Cloud: "AzurePublic", Certificate: &CertificateConfig{CertificatePassword: secret}}

	for _, cfg := range []*Config{inline, password} {
		for _, value := range []any{cfg, *cfg, cfg.OAuth, cfg.Certificate, newAuthenticator(cfg, nil)} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				assert.NotContains(t, fmt.Sprintf(verb, value), testSecret, "%s of %T", verb, value)
			}
		}
		asJSON, err := json.Marshal(cfg)
		require.NoError(t, err)
		assert.NotContains(t, string(asJSON), testSecret)
		asYAML, err := yaml.Marshal(cfg)
		require.NoError(t, err)
		assert.NotContains(t, string(asYAML), testSecret)
		conf := confmap.New()
		require.NoError(t, conf.Marshal(cfg))
		assert.NotContains(t, fmt.Sprint(conf.ToStringMap()), testSecret)
		if err := cfg.Validate(); err != nil {
			assert.NotContains(t, err.Error(), testSecret)
		}
	}

	for name, cfg := range map[string]*Config{"inline": inline, "file": file} {
		t.Run(name, func(t *testing.T) {
			e := newEntra(t)
			r := newReceiver(t)
			c := newClient(t, cfg, r.URL)
			answers := []http.HandlerFunc{e.refuse, e.issueText("", time.Hour), e.issue(time.Hour)}
			for i, answer := range answers {
				e.answers(answer)
				err := c.send(t, 10*time.Second)
				if i == len(answers)-1 {
					require.NoError(t, err)
					continue
				}
				require.Error(t, err)
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), testSecret)
			}
			_, form, _ := e.last()
			require.Equal(t, testSecret, form.Get("client_secret"), "the secret was in use")
			require.NotZero(t, c.logs.Len())
			for _, entry := range c.logs.All() {
				line := fmt.Sprint(entry.Message, entry.ContextMap())
				assert.NotContains(t, line, testSecret)
				assert.NotContains(t, line, r.last(t)[len("Bearer "):])
			}
			assert.NotContains(t, fmt.Sprintf("%+v %#v", c.extension, c.extension), testSecret)
		})
	}
}
