// SPDX-License-Identifier: Apache-2.0

package natscompat

import (
	"maps"
	"net"
	"strconv"
	"strings"
)

// goneKeys are keys that there used to be and that the collector refuses. They have no effect on what is delivered.
var goneKeys = []struct{ role, kind, key, why string }{
	{"receivers", "prometheus", "use_start_time_metric", "it was removed in v0.143.0; remote write has no start times"},
	{"receivers", "prometheus", "start_time_metric_regex", "it was removed in v0.143.0; remote write has no start times"},
	{"processors", "memory_limiter", "ballast_size_mib", "it has had no effect since v0.106.0: GOMEMLIMIT has"},
}

// refused takes out what a newer collector refuses to start with.
func (t *translation) refused() {
	for i := range goneKeys {
		g := &goneKeys[i]
		for _, id := range componentsOf(t.config, g.role, g.kind) {
			if _, ok := section(t.config, g.role, id)[g.key]; ok {
				t.takeOut(g.role+"::"+id+"::"+g.key, g.why)
			}
		}
	}
	for _, id := range componentsOf(t.config, "receivers", "prometheus") {
		t.extraMetrics("receivers::"+id, section(t.config, "receivers", id))
		t.names("receivers::"+id, section(t.config, "receivers", id))
	}
	t.ownMetrics()
}

// extraMetrics moves a key of the receiver to where Prometheus has it.
func (t *translation) extraMetrics(path string, settings map[string]any) {
	value, ok := settings["report_extra_scrape_metrics"]
	if !ok {
		return
	}
	c := t.takeOut(path+"::report_extra_scrape_metrics", "it is refused since v0.165.0")
	if value == true && settings["config"] != nil {
		c.To = path + "::config::global::extra_scrape_metrics"
		c.Edits = append(c.Edits, Edit{c.To, true})
	}
}

// names has targets asked for the names that they used to be asked for. A newer receiver asks for all of UTF-8, and takes a
// collector's own target_info for its identity.
func (t *translation) names(path string, settings map[string]any) {
	config, _ := settings["config"].(map[string]any)
	if config == nil || section(config, "global")["metric_name_escaping_scheme"] != nil {
		return
	}
	path += "::config::global::metric_name_escaping_scheme"
	t.change(path, "underscores", "names stay as they were: a newer receiver asks for such with dots", Edit{path, "underscores"})
}

// verbosities are what the levels of the exporter logging became.
var verbosities = map[string]string{"debug": "detailed", "info": "normal", "warn": "basic", "error": "basic"}

// logging gives the exporter of debugging its new name.
func (t *translation) logging() {
	for _, id := range componentsOf(t.config, "exporters", "logging") {
		renamed := "debug" + strings.TrimPrefix(id, "logging")
		settings := map[string]any{}
		maps.Copy(settings, section(t.config, "exporters", id))
		if verbosity := verbosities[text(settings["loglevel"])]; verbosity != "" {
			settings["verbosity"] = verbosity
		}
		delete(settings, "loglevel")
		if _, taken := section(t.config, "exporters")[renamed]; taken {
			settings = nil // the same under its new name
		}
		t.exporters[id] = renamed
		c := t.change("exporters::"+id, "exporters::"+renamed, "logging was removed in v0.111.0: debug is its name", Edit{Path: "exporters::" + id})
		if settings != nil {
			c.Edits = append(c.Edits, Edit{c.To, settings})
		}
	}
}

// ownMetrics makes a reader of the address of the collector's own metrics.
func (t *translation) ownMetrics() {
	const parent = "service::telemetry::metrics"
	settings := section(t.config, "service", "telemetry", "metrics")
	address, ok := settings["address"]
	if !ok {
		return
	}
	c := t.takeOut(parent+"::address", "it is refused since v0.128.0, and there are readers")
	if _, ok := settings["readers"]; ok {
		return
	}
	host, port, err := net.SplitHostPort(text(address))
	number, badPort := strconv.ParseUint(port, 10, 16)
	if err != nil || badPort != nil {
		c.To, c.Why, c.Warn, c.Edits = "left as it is", "it is no host and port: the collector refuses it", true, nil
		return
	}
	c.To, c.Why = parent+"::readers", "address is refused since v0.128.0; the names of the metrics stay the same"
	c.Edits = append(c.Edits, Edit{c.To, []any{map[string]any{"pull": map[string]any{"exporter": map[string]any{"prometheus": map[string]any{
		"host": host, "port": int(number),
		// As address used to: no units, no _total.
		"without_scope_info": true, "without_type_suffix": true, "without_units": true,
	}}}}}})
}
