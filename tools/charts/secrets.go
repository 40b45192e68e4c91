// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	// The list that the collector itself looks by, through a symbolic link: requiring the root module would tie its dependencies to Helm's.
	"github.com/kubiyabot/otelcol-runner/tools/charts/internal/secrets"
)

// secretsIn names what looks like a secret in a text, with its line.
func secretsIn(text string) []string {
	var found []string
	number, certificate := 0, false
	for line := range strings.Lines(text) {
		number++
		name, public := hidden(line)
		if name == "" {
			name = secrets.Find(line)
		}
		if name != "" && name != "email" {
			found = append(found, fmt.Sprintf("line %d: %s", number, name))
			continue
		}
		// A certificate is public and looks as random as a key.
		if strings.Contains(line, "-----BEGIN CERTIFICATE") {
			certificate = true
		}
		if !certificate && !public && random(line) {
			found = append(found, fmt.Sprintf("line %d: a random string", number))
		}
		if strings.Contains(line, "-----END CERTIFICATE") {
			certificate = false
		}
	}
	return found
}

// base64Text matches text that base64 hides, where it is long enough to be a certificate.
var base64Text = regexp.MustCompile(`[A-Za-z0-9+/]{40,}={0,2}`)

// hidden decodes base64 in a line and names the secret in it; public says that a certificate is.
func hidden(line string) (name string, public bool) {
	for _, candidate := range base64Text.FindAllString(line, -1) {
		text, err := base64.StdEncoding.DecodeString(candidate)
		if err != nil {
			continue
		}
		if name := secrets.Find(string(text)); name != "" && name != "email" {
			return name, false
		}
		public = public || strings.HasPrefix(string(text), "-----BEGIN CERTIFICATE")
	}
	return "", public
}

// token matches what could be a key without a shape of its own. A path or an image has separators that this leaves out.
var token = regexp.MustCompile(`[A-Za-z0-9+_=]{24,}`)

// hexadecimal matches digests and checksums, which say what is there and open nothing.
var hexadecimal = regexp.MustCompile(`^(sha256)?[0-9a-f]+$`)

// minEntropy, in bits per character, lies above words and camelCase names, and below random base64.
const minEntropy = 4.2

func random(line string) bool {
	if strings.Contains(line, "data:image/") {
		return false
	}
	for _, candidate := range token.FindAllString(line, -1) {
		mixed := strings.ContainsAny(candidate, "0123456789") && strings.ToLower(candidate) != candidate && strings.ToUpper(candidate) != candidate
		if mixed && !hexadecimal.MatchString(candidate) && entropy(candidate) >= minEntropy {
			return true
		}
	}
	return false
}

// entropy is Shannon's, in bits per character.
func entropy(s string) float64 {
	counts := map[rune]float64{}
	for _, r := range s {
		counts[r]++
	}
	var bits float64
	for _, n := range counts {
		p := n / float64(len(s))
		bits -= p * math.Log2(p)
	}
	return bits
}

// scanFiles looks through every file of the charts and gives how many look-alikes it found.
func scanFiles(dir string, report *report) int {
	found := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // inside of the charts
		if err != nil {
			return err
		}
		for _, place := range secretsIn(string(data)) {
			found++
			report.add(Violation{Rule: ruleSecret, Source: path, Object: place, Message: "looks like a secret", Remedy: "take it out; where it was real, make a new one"})
		}
		return nil
	})
	if err != nil {
		report.add(Violation{Rule: ruleSecret, Source: dir, Object: "files", Message: err.Error()})
	}
	return found
}

// scanHistory looks through every line that was ever added to the charts: what was committed once is public. A generated README.md repeats
// values.yaml.
func scanHistory(ctx context.Context, root string, report *report) int {
	command := exec.CommandContext(ctx, "git", "log", "--patch", "--no-color", "--unified=0", "--format=commit %h", "--", "charts", "test/charts/predecessor", ":(exclude,glob)charts/*/README.md")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		// An archive of the sources has no history.
		report.say("   the history was not looked at: git log: %v\n", err)
		return 0
	}
	found, commit := 0, ""
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "commit "); ok {
			commit = strings.TrimSpace(rest)
			continue
		}
		// By shape only: a random string in the middle of a certificate is not to be told from a key here.
		if name := secrets.Find(strings.TrimPrefix(line, "+")); strings.HasPrefix(line, "+") && name != "" && name != "email" {
			found++
			report.add(Violation{Rule: ruleSecret, Source: "git log", Object: "commit " + commit, Message: "added what looks like a secret: " + name, Remedy: "make a new one, and take it out of the history"})
		}
	}
	return found
}
