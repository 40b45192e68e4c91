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
			Expression: `\b(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b` +
				`|(?i:aws).{0,24}(?i:secret|key).{0,6}[=:]["' ]{0,2}[A-Za-z0-9/+]{40}` +
				`|(?i:(account|shared ?access)key)=[A-Za-z0-9+/]{40,}={0,2}` +
				`|[?&;]sig=[A-Za-z0-9%+/_-]{20,}` +
				`|\b[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}` +
				`|\bAIza[A-Za-z0-9_-]{35}` +
				`|\bya29\.[A-Za-z0-9_-]{20,}`,
			hints: []string{"akia", "asia", "abia", "acca", "aws", "accountkey=", "accesskey=", "access key=", "sig=", "8q~", "aiza", "ya29."},
		},
		{
			Name:        "api_token",
			Description: "tokens with a vendor's prefix: GitHub, GitLab, Slack, Stripe, npm, Docker Hub, HashiCorp Vault, Grafana, OpenAI and Anthropic",
			Expression: `\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}|\bglpat-[A-Za-z0-9_-]{20,}|\bxox[abeoprs]-[A-Za-z0-9-]{10,}` +
				`|\b[rs]k_live_[A-Za-z0-9]{16,}|\bnpm_[A-Za-z0-9]{36}|\bdckr_pat_[A-Za-z0-9_-]{20,}|\bhv[sbr]\.[A-Za-z0-9_-]{24,}` +
				`|\bgl(c|sa)_[A-Za-z0-9_+/=]{28,}|\bsk-(ant-|proj-)?[A-Za-z0-9_-]{24,}`,
			hints: []string{
				"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_", "npm_", "dckr_pat_", "hvs.", "hvb.", "hvr.", "glc_", "glsa_", "sk-",
			},
			accept: hasDigitAndLetter,
		},
		{
			Name:        "bearer_token",
			Description: "values of an Authorization header: Bearer or Basic with a token of 16 characters or more that has letters and digits",
			Expression:  `(?i)\b(bearer|basic|token)[ :=]+[A-Za-z0-9._~+/-]{16,}={0,2}`,
			hints:       []string{"bearer", "basic", "token"},
			accept: func(m string) bool {
				m = strings.TrimRight(m, "=")
				return hasDigitAndLetter(m[strings.LastIndexAny(m, " :=")+1:])
			},
		},
		{
			Name:        "connection_string",
			Description: "URLs with a password, and password=, secret= or token= parameters of four characters or more",
			Expression: `[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@?#]*:[^\s/@]+@[^\s/]` +
				`|(?i)(^|[?&;,\s])(password|passwd|pwd|secret|client_?secret|access_?token|auth_?token|api_?key)=[^\s&;,]{4,}`,
			accept: func(m string) bool { return !placeholder.MatchString(m) },
			hints:  []string{"://", "password=", "passwd=", "pwd=", "secret=", "token=", "apikey=", "api_key="},
		},
		{
			Name:        "email",
			Description: "e-mail addresses",
			Expression:  `\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b`,
			hints:       []string{"@"},
			accept:      isEmail,
		},
	}
}

// placeholder matches a parameter whose value has been taken out already: password=*** or token=<redacted>.
var placeholder = regexp.MustCompile(`(?i)[=:](\*+|x{3,}|<[^>]*>|\[?redacted\]?|\$\{?\w+\}?|%[sv])@?.?$`)

// version matches the right side of module@v1.2.3-rc.one and icon@2x.png, which have the shape of a domain; 163.com is one.
var version = regexp.MustCompile(`^(v?\d+\.\d|\d+x\.)`)

// unitTypes are systemd's: user@1000.service is no address.
var unitTypes = map[string]bool{
	"service": true, "socket": true, "slice": true, "scope": true, "timer": true, "mount": true, "target": true, "device": true,
	"path": true, "swap": true, "automount": true,
}

func isEmail(m string) bool {
	domain := m[strings.LastIndexByte(m, '@')+1:]
	return !version.MatchString(domain) && !unitTypes[domain[strings.LastIndexByte(domain, '.')+1:]]
}
