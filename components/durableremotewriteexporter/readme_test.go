// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

var update = flag.Bool("update", false, "write the table of receivers in README.md")

const readmeFile = "README.md"

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(readmeFile)
	require.NoError(t, err)
	return string(text)
}

// TestReadmeHasEveryKey compares the tables of keys with the configuration and its defaults.
func TestReadmeHasEveryKey(t *testing.T) {
	text := readme(t)
	keys(t, "", reflect.ValueOf(createDefaultConfig()).Elem(), func(key string, value reflect.Value) {
		row := regexp.MustCompile("(?m)^\\| `" + key + "` \\| (.*?) \\|").FindStringSubmatch(text)
		if assert.NotNil(t, row, "%s has no row", key) {
			want := fmt.Sprint(value)
			if list, ok := value.Interface().([]string); ok {
				want = "[" + strings.Join(list, ", ") + "]"
			}
			if want == "" {
				assert.Equal(t, "required", row[1], key)
				return
			}
			assert.Equal(t, "`"+want+"`", row[1], "default of %s", key)
		}
	})
	for field := range fields(reflect.TypeFor[confighttp.ClientConfig]()) {
		assert.Contains(t, text, "`"+field+"`", "the HTTP client's key %s", field)
	}
	cfg := createDefaultConfig().(*Config)
	assert.Contains(t, text, "| `timeout` | `"+cfg.Timeout.String()+"` |")
}

// keys calls f with every key of our own, nested ones joined by ::.
func keys(t *testing.T, prefix string, v reflect.Value, f func(string, reflect.Value)) {
	t.Helper()
	for name, field := range fields(v.Type()) {
		value := v.FieldByIndex(field.Index)
		switch {
		case name == "": // squashed: confighttp's
		case value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[time.Duration]():
			keys(t, prefix+name+"::", value, f)
		default:
			f(prefix+name, value)
		}
	}
}

// fields returns the fields of a struct that can be configured, by key; a squashed one has none.
func fields(of reflect.Type) map[string]reflect.StructField {
	found := map[string]reflect.StructField{}
	for i := range of.NumField() {
		tag, ok := of.Field(i).Tag.Lookup("mapstructure")
		name, _, _ := strings.Cut(tag, ",")
		if ok && name != "-" && of.Field(i).IsExported() {
			found[name] = of.Field(i)
		}
	}
	return found
}

// receiversTable is the table of README.md and docs/delivery.md.
func receiversTable() string {
	orNone := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	var b strings.Builder
	b.WriteString("| receiver | protocol | oldest sample | request, bytes | labels, name, value | what durable means |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, p := range remotewrite.Profiles() {
		age := ""
		if p.MaxAge > 0 {
			age = strings.TrimSuffix(p.MaxAge.String(), "0s")
		}
		limits := ""
		if p.MaxLabels > 0 {
			limits = strings.TrimSuffix(strings.TrimSuffix(orNone(p.MaxLabels)+", "+orNone(p.MaxLabelName)+", "+orNone(p.MaxLabelValue), ", "), ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", p.Name, p.Protocol, age, orNone(p.MaxBytes), limits, p.Note)
	}
	return b.String()
}

// TestReceivers compares the tables with remotewrite.Profiles.
func TestReceivers(t *testing.T) {
	marked := regexp.MustCompile(`(?s)(<!-- receivers: [^\n]*-->\n)(.*?)(<!-- end -->)`)
	for _, file := range []string{readmeFile, "../../docs/delivery.md"} {
		text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
		require.NoError(t, err)
		require.Regexp(t, marked, string(text), file)
		want := marked.ReplaceAllString(string(text), "${1}\n"+receiversTable()+"\n${3}")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o600)) //nolint:gosec // one of the two files above
			continue
		}
		assert.Equal(t, want, string(text), "%s: run `go test ./components/durableremotewriteexporter -run TestReceivers -update`", file)
	}
}
