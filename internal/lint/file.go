// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

func fileRules() []Rule {
	return []Rule{
		{
			ID: "secret", Severity: report.Error, Elsewhere: report.Error,
			Summary: "A password, token or key in the file, also in a comment. The value is never shown.",
			Why:     "Configurations lie in repositories, ConfigMaps and tickets, where a secret is read by all who can read those.",
			Fix:     "take it from a file (password_file, credentials_file) or, in a configuration of the collector, from the environment (${env:NAME}), and change it where it is valid",
			Bad:     ofJob("basic_auth: {username: scraper, password: correct-horse}\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			Good:    ofJob("basic_auth: {username: scraper, password_file: /etc/scraper/password}\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			check:   checkSecrets,
		},
		{
			ID: "bad-silence", Severity: report.Warning, Elsewhere: report.Warning,
			Summary: "A comment that silences a rule without a reason, or a rule that there is not, or that finds nothing there.",
			Why:     "A finding that is hidden for no reason is hidden for ever.",
			Fix:     "write # runnerctl-lint: disable=<rule> <reason>",
			Bad:     ofJob("scrape_interval: 10s # runnerctl-lint: disable=interval-range\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
			Good:    ofJob("scrape_interval: 10s # runnerctl-lint: disable=interval-range the test bed is slow to start\nstatic_configs: [{targets: ['tool-manager:3001']}]\n"),
		},
	}
}

// secretKeys are keys whose value is a secret, whatever it looks like.
var secretKeys = []string{
	"password", "passwd", "client_secret", "secret_key", "secret", "bearer_token", "credentials", "api_key", "access_token", "auth_token",
	"application_credential_secret", "token", "secret_access_key",
}

// redacted is what stands in the place of a secret in examples.
var redacted = regexp.MustCompile(`^(?i:<[^>]*>|\*+|x{3,}|\.{3}|…|\[?redacted\]?|)$`)

func checkSecrets(c *checker) {
	found := map[int]bool{}
	c.file.Walk(func(_ string, key, value *yaml.Node) bool {
		if key == nil || value.Kind != yaml.ScalarNode || !slices.Contains(secretKeys, strings.ToLower(key.Value)) {
			return true
		}
		if c.isReferenceOnly(value) || redacted.MatchString(value.Value) || value.ShortTag() == "!!null" || value.ShortTag() == "!!bool" {
			return true
		}
		found[value.Line] = true
		c.add(key, "%s is written in the file", key.Value).Source = ""
		return true
	})
	for number := 1; number <= c.file.Lines(); number++ {
		kind := secrets.Find(c.file.Line(number))
		if kind == "" || kind == "email" || found[number] {
			continue
		}
		c.addAt(configfile.Position{Line: number, Column: 1}, 0, "the line holds what looks like a secret ("+kind+")").Source = ""
	}
}

// isReferenceOnly says whether nothing is left of a value but references without a default.
func (c *checker) isReferenceOnly(n *yaml.Node) bool {
	if !c.file.HasReference(n) {
		return false
	}
	value, known := c.file.Known(n)
	return !known || value == ""
}
