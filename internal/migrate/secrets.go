// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// secretName is a key whose value is one, whatever it looks like: a password need not look like one.
var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|access_?key|private_?key|credentials?)$`)

// secretIn returns what kind of secret a text looks like, also in base64; "" where it looks harmless. An e-mail address is none here.
func secretIn(text string) string {
	if kind := secrets.Find(text); kind != "" && kind != "email" {
		return kind
	}
	compact := strings.Join(strings.Fields(text), "")
	if decoded, err := base64.StdEncoding.DecodeString(compact); err == nil && len(compact) >= 32 {
		if kind := secrets.Find(string(decoded)); kind != "" && kind != "email" {
			return kind
		}
	}
	return ""
}

// secretAt is secretIn for the value of a key, whose name may say it as well. A reference is no secret, nor is a path or a name.
func secretAt(name, value string) string {
	if kind := secretIn(value); kind != "" {
		return kind
	}
	if secretName.MatchString(name) && value != "" && !strings.Contains(value, "${") && !strings.HasPrefix(value, "/") {
		return "by its name"
	}
	return ""
}
