// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"regexp"
	"strings"
)

// patterns is the published list. The narrow ones come first, so that the count names what it really is.
func patterns() []Pattern {
	return []Pattern{
		{
			Name:        "private_key",
			Description: "PEM and OpenPGP private keys, NATS seeds and credentials files",
			Expression:  `-----BEGIN [A-Z0-9 ]*(PRIVATE KEY|NKEY SEED|NATS USER JWT)|\bS[UAONCX][A-Z2-7]{56}\b`,
			hints:       []string{"-----begin ", "su", "sa", "so", "sn", "sc", "sx"},
			accept:      func(m string) bool { return strings.HasPrefix(m, "-----") || strings.ContainsAny(m, "234567") },
		},
		{
			Name:        "jwt",
			Description: "JSON web tokens, signed (JWS) or encrypted (JWE), among them Kubernetes service account tokens",
			Expression:  `eyJ[A-Za-z0-9_-]{8,}\.(eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)`,
			hints:       []string{"eyj"},
		},
		{
			Name:        "cloud_key",
			Description: "access keys of AWS, Azure (account keys, SAS signatures, client secrets) and Google (API keys, OAuth tokens)",
			Expression: `(^|[^A-Za-z0-9])(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b` +
				`|(?i:aws).{0,24}(?i:secret|key).{0,6}[=:]["' ]{0,2}[A-Za-z0-9/+]{40}` +
				`|(?i:(account|shared ?access)key)=[A-Za-z0-9+/]{40,}={0,2}` +
				`|[?&;]sig=[A-Za-z0-9%+/_-]{20,}` +
				`|[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}` +
				`|(^|[^A-Za-z0-9])AIza[A-Za-z0-9_-]{35}` +
				`|(^|[^A-Za-z0-9])ya29\.[A-Za-z0-9_-]{20,}`,
			hints: []string{"akia", "asia", "abia", "acca", "aws", "accountkey=", "accesskey=", "sig=", "8q~", "aiza", "ya29."},
		},
		{
			Name:        "api_token",
			Description: "tokens with a vendor's prefix: GitHub, GitLab, Slack, Stripe, npm, Docker Hub, HashiCorp Vault, Grafana, OpenAI and Anthropic",
			Expression: `(^|[^A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}` +
				`|[rs]k_live_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{36}|dckr_pat_[A-Za-z0-9_-]{20,}|hv[sbr]\.[A-Za-z0-9_-]{24,}` +
				`|gl(c|sa)_[A-Za-z0-9_+/=]{28,}|sk-(ant-|proj-)?[A-Za-z0-9_-]{24,})`,
			hints: []string{
				"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_", "npm_", "dckr_pat_", "hvs.", "hvb.", "hvr.", "glc_", "glsa_", "sk-",
			},
			accept: hasDigitAndLetter,
		},
		{
			Name:        "bearer_token",
			Description: "values of an Authorization or API key header: Bearer, Basic, token or api-key, with a value of 16 characters or more that has letters and digits",
			Expression:  `(?i)\b(bearer|basic|token|api-key)[ :=]+[A-Za-z0-9._~+/-]{16,}={0,2}`,
			hints:       []string{"bearer", "basic", "token", "api-key"},
			accept:      isToken,
		},
		{
			Name:        "connection_string",
			Description: "URLs with a password, and password, secret, token or API key parameters (name=value or JSON) of four characters or more",
			Expression: `[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@?#]*:[^\s@]+@[^\s/]` +
				`|(?i)(^|[?&;,\s_])(password|passwd|pwd|secret|client_?secret|access_?token|auth_?token|api_?key)=[^\s&;,]{4,}` +
				`|(?i)"(password|passwd|pwd|secret|client_?secret|access_?token|auth_?token|api_?key)"\s*:\s*"[^"]{4,}`,
			hints: []string{
				"://", "password=", "passwd=", "pwd=", "secret=", "token=", "apikey=", "api_key=",
				`password"`, `passwd"`, `pwd"`, `secret"`, `token"`, `apikey"`, `api_key"`,
			},
			accept: holdsPassword,
		},
		{
			Name:        "email",
			Description: "e-mail addresses, also with the @ as %40",
			Expression:  `\b[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b`,
			hints:       []string{"@", "%40"},
			accept:      isEmail,
		},
	}
}

// uuid is an identifier: what follows `token` in "token 6f1c2d3e-… revoked" is the token's name.
var uuid = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func isToken(m string) bool {
	m = strings.TrimRight(m, "=")
	m = m[strings.LastIndexAny(m, " :=")+1:]
	return hasDigitAndLetter(m) && !uuid.MatchString(m)
}

// placeholder matches a password that has been taken out already: password=*** or token=<redacted>.
var placeholder = regexp.MustCompile(`^(?i:\*+|x{3,}|<[^>]*>|\[?redacted\]?|%[sv])$|^(\$\{\w+\}|\$[A-Z_][A-Z0-9_]*)$`)

// holdsPassword looks at the password in a match of connection_string.
func holdsPassword(m string) bool {
	var password string
	if _, rest, isURL := strings.Cut(m, "://"); isURL {
		_, password, _ = strings.Cut(rest[:strings.LastIndexByte(rest, '@')], ":")
		// host:8443/a@b is a port and a path
		if port, _, found := strings.Cut(password, "/"); found && strings.Trim(port, "0123456789") == "" {
			return false
		}
	} else if i := strings.IndexAny(m, "=:"); i >= 0 {
		password = strings.Trim(m[i+1:], ` "`)
	}
	return !placeholder.MatchString(password)
}

// version matches the right side of module@v1.2.3-rc.one and icon@2x.png, which have the shape of a domain; 163.com is one.
var version = regexp.MustCompile(`^(v?\d+\.\d|\d+x\.)`)

// noDomains are what names end in that have the shape of an address and are none: systemd units and hosts of a cluster.
var noDomains = map[string]bool{
	"service": true, "socket": true, "slice": true, "scope": true, "timer": true, "mount": true, "target": true, "device": true,
	"cluster": true, "local": true, "internal": true, "svc": true,
}

func isEmail(m string) bool {
	local, domain, found := strings.Cut(m, "@")
	if !found {
		local, domain, _ = strings.Cut(m, "%40")
	}
	// git@github.com is how a repository is named.
	return local != "git" && !version.MatchString(domain) && !noDomains[domain[strings.LastIndexByte(domain, '.')+1:]]
}
