// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/storage/remote/azuread"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
)

// Config of the azuread_auth extension. Exactly one of managed_identity,
// workload_identity, oauth, certificate and sdk is given; a method without
// fields is written as an empty map, for example `managed_identity: {}`.
//
// The methods are pointers and not configoptional.Optional because fmt prints
// the unexported value inside an Optional without asking configopaque, which
// would show the client secret.
type Config struct {
	// Cloud is the Azure cloud that issues the token and takes the samples:
	// AzurePublic, AzureChina or AzureGovernment. It decides the authority host
	// and the default scope. Default: AzurePublic.
	Cloud string `mapstructure:"cloud"`

	// Scope is the OAuth 2.0 scope of the token. Empty, the default, means
	// Azure Monitor's ingestion scope of the cloud, for example
	// https://monitor.azure.com//.default.
	Scope string `mapstructure:"scope"`

	// ManagedIdentity takes tokens of an identity that Azure attaches to the
	// machine, from the instance metadata service or from IDENTITY_ENDPOINT.
	ManagedIdentity *ManagedIdentityConfig `mapstructure:"managed_identity"`

	// WorkloadIdentity exchanges a Kubernetes service account token (AKS with
	// the workload identity webhook).
	WorkloadIdentity *WorkloadIdentityConfig `mapstructure:"workload_identity"`

	// OAuth authenticates an application with a client secret.
	OAuth *OAuthConfig `mapstructure:"oauth"`

	// Certificate authenticates an application with a certificate.
	Certificate *CertificateConfig `mapstructure:"certificate"`

	// SDK lets the Azure SDK find credentials itself: environment variables,
	// workload identity, managed identity, then developer tools.
	SDK *SDKConfig `mapstructure:"sdk"`
}

// ManagedIdentityConfig selects a managed identity.
type ManagedIdentityConfig struct {
	// ClientID is the client ID (a UUID) of a user-assigned identity. Empty,
	// the default, means the system-assigned identity.
	ClientID string `mapstructure:"client_id"`
}

// WorkloadIdentityConfig names the application that trusts the service account.
type WorkloadIdentityConfig struct {
	// ClientID is the client ID (a UUID) of the application or user-assigned
	// identity. Required. The webhook sets it as AZURE_CLIENT_ID.
	ClientID string `mapstructure:"client_id"`

	// TenantID is the directory ID (a UUID) in which it is registered.
	// Required. The webhook sets it as AZURE_TENANT_ID.
	TenantID string `mapstructure:"tenant_id"`

	// TokenFilePath is the file with the projected service account token; it is
	// read for every token request, so that rotation needs no restart. Default:
	// the value of AZURE_FEDERATED_TOKEN_FILE, else
	// /var/run/secrets/azure/tokens/azure-identity-token.
	TokenFilePath string `mapstructure:"token_file_path"`
}

// OAuthConfig is an application with a client secret. Exactly one of
// client_secret and client_secret_file is given.
type OAuthConfig struct {
	// ClientID is the client ID (a UUID) of the application. Required.
	ClientID string `mapstructure:"client_id"`

	// TenantID is the directory's ID or domain, for example
	// contoso.onmicrosoft.com. Required.
	TenantID string `mapstructure:"tenant_id"`

	// ClientSecret is the secret itself, meant to come from the environment:
	// ${env:AZURE_CLIENT_SECRET}. It is never printed.
	ClientSecret configopaque.String `mapstructure:"client_secret"`

	// ClientSecretFile is a file with the secret; white space around it is
	// ignored. It is read again when its content changes.
	ClientSecretFile string `mapstructure:"client_secret_file"`
}

// CertificateConfig is an application with a certificate.
type CertificateConfig struct {
	// ClientID is the client ID (a UUID) of the application. Required.
	ClientID string `mapstructure:"client_id"`

	// TenantID is the directory's ID or domain. Required.
	TenantID string `mapstructure:"tenant_id"`

	// CertificatePath is the certificate in PEM or PKCS #12 (PFX), with its
	// chain and, unless certificate_key_path is given, its private key.
	// Required. It is read again when its content changes.
	CertificatePath string `mapstructure:"certificate_path"`

	// CertificateKeyPath is the private key in unencrypted PEM, where it is not
	// in certificate_path. Default: none. It is read again when its content
	// changes.
	CertificateKeyPath string `mapstructure:"certificate_key_path"`

	// CertificatePassword opens a PKCS #12 file. Default: none. It is never
	// printed.
	CertificatePassword configopaque.String `mapstructure:"certificate_password"`

	// SendCertificateChain sends the chain (x5c) with each token request, for
	// applications that trust a subject name and issuer. Default: false.
	SendCertificateChain bool `mapstructure:"send_certificate_chain"`
}

// SDKConfig narrows the Azure SDK's own search.
type SDKConfig struct {
	// TenantID is the directory's ID or domain. Empty, the default, leaves the
	// choice to the SDK (AZURE_TENANT_ID).
	TenantID string `mapstructure:"tenant_id"`
}

var (
	_ component.Config = (*Config)(nil)

	clouds = []string{azuread.AzurePublic, azuread.AzureChina, azuread.AzureGovernment}

	// What azuread means to check; it ignores whether the tenant matched.
	tenantPattern = regexp.MustCompile(`^[0-9a-zA-Z.-]+$`)
	scopePattern  = regexp.MustCompile(`^[\w\s:/.\-]+$`)
)

// Validate reports every fault at once, each with its key, its value unless
// that is a secret, and the remedy.
func (c Config) Validate() error {
	var errs []error
	if !slices.Contains(clouds, c.Cloud) {
		errs = append(errs, fmt.Errorf("cloud: %q is no Azure cloud; use one of %s", c.Cloud, strings.Join(clouds, ", ")))
	}
	if c.Scope != "" && !scopePattern.MatchString(c.Scope) {
		errs = append(errs, fmt.Errorf("scope: %q has characters that no scope has; leave it out or write it like %s",
			c.Scope, azuread.IngestionPublicAudience))
	}

	switch given := c.methods(); len(given) {
	case 1:
	case 0:
		errs = append(errs, errors.New("no authentication method is given; add one of managed_identity, workload_identity, oauth, certificate, sdk"+
			" (one without fields is written as an empty map: `managed_identity: {}`)"))
	default:
		errs = append(errs, fmt.Errorf("%d authentication methods are given: %s; keep one", len(given), strings.Join(given, ", ")))
	}

	if m := c.ManagedIdentity; m != nil && m.ClientID != "" {
		errs = append(errs, checkUUID("managed_identity::client_id", m.ClientID))
	}
	if w := c.WorkloadIdentity; w != nil {
		errs = append(errs,
			checkUUID("workload_identity::client_id", w.ClientID),
			checkUUID("workload_identity::tenant_id", w.TenantID))
	}
	if o := c.OAuth; o != nil {
		errs = append(errs,
			checkUUID("oauth::client_id", o.ClientID),
			checkTenant("oauth::tenant_id", o.TenantID),
			o.checkSecret())
	}
	if x := c.Certificate; x != nil {
		errs = append(errs,
			checkUUID("certificate::client_id", x.ClientID),
			checkTenant("certificate::tenant_id", x.TenantID))
		if x.CertificatePath == "" {
			errs = append(errs, errors.New("certificate::certificate_path: is missing; give the path of the PEM or PKCS #12 file"))
		}
	}
	if s := c.SDK; s != nil && s.TenantID != "" {
		errs = append(errs, checkTenant("sdk::tenant_id", s.TenantID))
	}
	return errors.Join(errs...)
}

// String names the method and the cloud. Without it, fmt's %s and %q print the
// secrets below the pointers: a verb that does not fit a pointer makes fmt print
// what it points to without asking configopaque.
func (c Config) String() string {
	return fmt.Sprintf("azuread_auth(%s, %s)", strings.Join(c.methods(), ", "), c.Cloud)
}

// methods are the keys of the methods that are given.
func (c Config) methods() []string {
	var given []string
	for _, m := range []struct {
		key string
		set bool
	}{
		{"managed_identity", c.ManagedIdentity != nil},
		{"workload_identity", c.WorkloadIdentity != nil},
		{"oauth", c.OAuth != nil},
		{"certificate", c.Certificate != nil},
		{"sdk", c.SDK != nil},
	} {
		if m.set {
			given = append(given, m.key)
		}
	}
	return given
}

func (o *OAuthConfig) checkSecret() error {
	if o.ClientSecret == "" && o.ClientSecretFile == "" {
		return errors.New("oauth::client_secret: is missing; give client_secret (from the environment: ${env:AZURE_CLIENT_SECRET}) or client_secret_file")
	}
	if o.ClientSecret != "" && o.ClientSecretFile != "" {
		return fmt.Errorf("oauth::client_secret_file: %q is given beside client_secret; keep one", o.ClientSecretFile)
	}
	return nil
}

func checkUUID(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: is missing; give the UUID that the Azure portal shows for it", key)
	}
	if _, err := uuid.Parse(value); err != nil {
		return fmt.Errorf("%s: %q is no UUID (%w); give the UUID that the Azure portal shows for it", key, value, err)
	}
	return nil
}

func checkTenant(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: is missing; give the directory's UUID or domain", key)
	}
	if !tenantPattern.MatchString(value) {
		return fmt.Errorf("%s: %q is no tenant; give the directory's UUID or domain (letters, digits, dots and hyphens)", key, value)
	}
	return nil
}

// files are the files whose content goes into the credential, by their keys.
// The service account token is not among them: the Azure SDK reads it itself.
func (c Config) files() []credentialFile {
	var files []credentialFile
	if c.OAuth != nil && c.OAuth.ClientSecretFile != "" {
		files = append(files, credentialFile{"oauth::client_secret_file", c.OAuth.ClientSecretFile})
	}
	if c.Certificate != nil {
		files = append(files, credentialFile{"certificate::certificate_path", c.Certificate.CertificatePath})
		if c.Certificate.CertificateKeyPath != "" {
			files = append(files, credentialFile{"certificate::certificate_key_path", c.Certificate.CertificateKeyPath})
		}
	}
	return files
}

type credentialFile struct {
	key, path string
}

// read returns the content and names the key and the path where it cannot.
func (f credentialFile) read() ([]byte, error) {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; mount the file or correct the path", f.key, err)
	}
	if strings.TrimSpace(string(content)) == "" {
		return nil, fmt.Errorf("%s: %s is empty; write the credential into it", f.key, f.path)
	}
	return content, nil
}

// prometheus translates to Prometheus's configuration, with its defaults.
// secret is the client secret, wherever it came from.
func (c Config) prometheus(secret string) (*azuread.AzureADConfig, error) {
	p := &azuread.AzureADConfig{Cloud: c.Cloud, Scope: c.Scope}
	if m := c.ManagedIdentity; m != nil {
		p.ManagedIdentity = &azuread.ManagedIdentityConfig{ClientID: m.ClientID}
	}
	if w := c.WorkloadIdentity; w != nil {
		p.WorkloadIdentity = &azuread.WorkloadIdentityConfig{ClientID: w.ClientID, TenantID: w.TenantID, TokenFilePath: w.TokenFilePath}
	}
	if o := c.OAuth; o != nil {
		p.OAuth = &azuread.OAuthConfig{ClientID: o.ClientID, TenantID: o.TenantID, ClientSecret: promconfig.Secret(secret)}
	}
	if x := c.Certificate; x != nil {
		p.Certificate = &azuread.CertificateConfig{
			ClientID: x.ClientID, TenantID: x.TenantID,
			CertificatePath: x.CertificatePath, CertificateKeyPath: x.CertificateKeyPath,
			CertificatePassword:  promconfig.Secret(x.CertificatePassword),
			SendCertificateChain: x.SendCertificateChain,
		}
	}
	if s := c.SDK; s != nil {
		p.SDK = &azuread.SDKConfig{TenantID: s.TenantID}
	}
	// Validate also fills in the path of the service account token.
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}
