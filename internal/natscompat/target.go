// SPDX-License-Identifier: Apache-2.0

package natscompat

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

// Variables that say where metrics go.
const (
	addressVariable      = "REMOTE_WRITE_URL"
	azureAddressVariable = "AZURE_REMOTE_WRITE_URL"
)

// monitorScope is the scope of tokens that Azure Monitor takes.
const monitorScope = "https://monitor.azure.com/.default"

// target is where metrics go, and how.
type target struct {
	address   string         // the variable
	ignored   string         // a variable that says otherwise
	extension string         // the type; empty: no authentication
	settings  map[string]any // of the extension
	why       string
}

// newTarget reads the environment.
func newTarget(getenv func(string) string) (*target, error) {
	t := &target{address: addressVariable}
	address, azure := getenv(addressVariable), getenv(azureAddressVariable)
	switch {
	case address == "" && azure == "":
		return nil, fmt.Errorf("there is no address to deliver to, now that it is not NATS: set the environment variable %s to the full URL of a "+
			"remote-write receiver (or %s, as for the connector, with AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TOKEN_URL)", addressVariable, azureAddressVariable)
	case address == "":
		t.address, address = azureAddressVariable, azure
	case azure != "" && azure != address:
		t.ignored = azureAddressVariable
	}
	return t, t.authenticate(getenv, address)
}

// authenticate chooses the extension: what is asked for by its own variables, else what the address suggests.
func (t *target) authenticate(getenv func(string) string, address string) error {
	set := func(name string) bool { return getenv(name) != "" }
	secret := set("AZURE_CLIENT_SECRET") || set("AZURE_CLIENT_SECRET_FILE")
	basic := set("BASIC_AUTH_USERNAME") || set("BASIC_AUTH_PASSWORD") || set("BASIC_AUTH_PASSWORD_FILE")
	if set("BEARER_TOKEN_FILE") && (basic || secret) || basic && secret {
		return errors.New("there is more than one way to authenticate: set BEARER_TOKEN_FILE, or BASIC_AUTH_USERNAME and its password, or AZURE_CLIENT_SECRET, " +
			"and unset the others")
	}
	azure := remotewrite.Detect(address) == remotewrite.Azure
	switch {
	case set("BEARER_TOKEN_FILE"):
		t.extension, t.why = "bearertokenauth", "the token in BEARER_TOKEN_FILE"
		t.settings = map[string]any{"filename": Ref("BEARER_TOKEN_FILE")}
	case basic:
		return t.basic(getenv)
	case secret:
		return t.clientSecret(getenv)
	case set("AZURE_FEDERATED_TOKEN_FILE") && set("AZURE_CLIENT_ID") && set("AZURE_TENANT_ID"):
		t.extension, t.why = "azuread_auth", "workload identity: AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID and AZURE_TENANT_ID are set, and no secret is"
		t.settings = map[string]any{"cloud": cloudRef, "workload_identity": map[string]any{
			"client_id": Ref("AZURE_CLIENT_ID"), "tenant_id": Ref("AZURE_TENANT_ID"), "token_file_path": Ref("AZURE_FEDERATED_TOKEN_FILE"),
		}}
	case set("AZURE_CLIENT_ID"), azure:
		t.extension, t.why = "azuread_auth", "managed identity: Azure Monitor asks for a token, and no secret is set"
		identity := map[string]any{}
		if set("AZURE_CLIENT_ID") {
			identity["client_id"] = Ref("AZURE_CLIENT_ID")
			t.why = "managed identity: AZURE_CLIENT_ID is set, and no secret is"
		}
		t.settings = map[string]any{"cloud": cloudRef, "managed_identity": identity}
	default:
		t.why = "no variable for it is set, and the address is not Azure Monitor's"
	}
	return nil
}

// secretFrom is a secret: from a file, which is read again when it changes, or else from the variable itself.
func secretFrom(getenv func(string) string, variable, key string, settings map[string]any) (from string) {
	if getenv(variable+"_FILE") != "" {
		settings[key+"_file"] = Ref(variable + "_FILE")
		return variable + "_FILE"
	}
	settings[key] = Secret(variable)
	return variable
}

func (t *target) basic(getenv func(string) string) error {
	if getenv("BASIC_AUTH_USERNAME") == "" || getenv("BASIC_AUTH_PASSWORD") == "" && getenv("BASIC_AUTH_PASSWORD_FILE") == "" {
		return errors.New("basic authentication takes two variables: set BASIC_AUTH_USERNAME, and BASIC_AUTH_PASSWORD_FILE or BASIC_AUTH_PASSWORD")
	}
	client := map[string]any{"username": Ref("BASIC_AUTH_USERNAME")}
	from := secretFrom(getenv, "BASIC_AUTH_PASSWORD", "password", client)
	t.extension, t.why = "basicauth", "the user BASIC_AUTH_USERNAME with the password in "+from
	t.settings = map[string]any{"client_auth": client}
	return nil
}

// cloudRef is the Azure cloud where no token URL says it.
const cloudRef = Ref("AZURE_CLOUD:-AzurePublic")

// authorities are the hosts that issue tokens, and their clouds.
var authorities = map[string]string{
	"login.microsoftonline.com":        "AzurePublic",
	"login.windows.net":                "AzurePublic",
	"login.chinacloudapi.cn":           "AzureChina",
	"login.partner.microsoftonline.cn": "AzureChina",
	"login.microsoftonline.us":         "AzureGovernment",
}

func (t *target) clientSecret(getenv func(string) string) error {
	if getenv("AZURE_CLIENT_ID") == "" {
		return errors.New("AZURE_CLIENT_SECRET is set, and AZURE_CLIENT_ID is not: set it to the ID of the application that the secret belongs to")
	}
	application := map[string]any{"client_id": Ref("AZURE_CLIENT_ID")}
	from := secretFrom(getenv, "AZURE_CLIENT_SECRET", "client_secret", application)
	t.why = "the application AZURE_CLIENT_ID with the secret in " + from
	tokens := getenv("AZURE_TOKEN_URL")
	if tokens == "" {
		if getenv("AZURE_TENANT_ID") == "" {
			return errors.New("AZURE_CLIENT_SECRET is set, and it is not known who gives a token for it: set AZURE_TENANT_ID to the directory's ID, or " +
				"AZURE_TOKEN_URL to https://login.microsoftonline.com/DIRECTORY/oauth2/v2.0/token")
		}
		application["tenant_id"] = Ref("AZURE_TENANT_ID")
		t.extension, t.settings = "azuread_auth", map[string]any{"cloud": cloudRef, "oauth": application}
		return nil
	}
	cloud, tenant, err := ParseTokenURL(tokens)
	if err != nil {
		return err
	}
	if tenant == "" {
		application["token_url"], application["scopes"] = Ref("AZURE_TOKEN_URL"), []any{monitorScope}
		t.extension, t.settings = "oauth2client", application
		t.why += ", from AZURE_TOKEN_URL, with the scope " + monitorScope
		return nil
	}
	application["tenant_id"] = tenant
	t.extension, t.settings = "azuread_auth", map[string]any{"cloud": cloud, "oauth": application}
	t.why += "; AZURE_TOKEN_URL says which directory and cloud (" + cloud + ")"
	return nil
}

// ParseTokenURL reads the cloud (AzurePublic, AzureChina, AzureGovernment) and the directory from the address of a token server of Entra ID; of another one they are empty.
func ParseTokenURL(address string) (cloud, tenant string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		// The error of url.Parse holds the address, which may hold a password.
		return "", "", errors.New("AZURE_TOKEN_URL is no URL: use a form like https://login.microsoftonline.com/DIRECTORY/oauth2/v2.0/token")
	}
	if u.User != nil {
		return "", "", errors.New("AZURE_TOKEN_URL holds a user or a password, which would get into logs: take it out")
	}
	cloud = authorities[strings.ToLower(u.Hostname())]
	directory, rest, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if cloud == "" || u.Scheme != "https" || directory == "" || rest != "oauth2/v2.0/token" && rest != "oauth2/token" {
		return "", "", nil
	}
	return cloud, directory, nil
}
