// SPDX-License-Identifier: Apache-2.0

package natscompat

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/scope"
)

// Types of components that matter here.
const (
	natsType    = "natsexporter"
	durableType = "durable_remote_write"
	batchType   = "batch"
)

// Translate returns what has to change in a configuration, which it leaves as it is; nothing where there is no natsexporter. It
// looks at the environment for what is set, and takes no values from it but the directory in a token URL. The error says why the
// configuration cannot be translated.
func Translate(config map[string]any, getenv func(string) string) ([]*Change, error) {
	nats := componentsOf(config, "exporters", natsType)
	if len(nats) == 0 {
		return nil, nil
	}
	t := &translation{
		config: config, getenv: getenv, pipelines: pipelinesOf(config),
		exporters: map[string]string{},
	}
	used := t.used()
	t.readOperations()
	for _, id := range nats {
		if err := t.natsExporter(id); err != nil {
			return nil, err
		}
	}
	t.instance()
	t.logging()
	t.rewire()
	t.takeOutUnused(used)
	t.refused()
	t.stage1()
	return t.changes, nil
}

// translation is a Translate that is under way.
type translation struct {
	config    map[string]any
	getenv    func(string) string
	pipelines []*pipeline // as they become
	changes   []*Change
	// operations are what processors do to labels on the way to NATS.
	operations []operation
	// nats is the exporter that delivers metrics.
	nats string
	// exporters are new IDs of exporters by the old one; empty: taken out.
	exporters map[string]string
	// attributes are what addedProcessor sets, at the end of the pipelines that deliver metrics.
	attributes []any
}

// natsExporter decides what becomes of an exporter.
func (t *translation) natsExporter(id string) error {
	t.exporters[id] = ""
	if !slices.ContainsFunc(t.pipelines, func(p *pipeline) bool { return p.signal == signalMetrics && slices.Contains(p.ids["exporters"], id) }) {
		t.takeOut("exporters::"+id, "no pipeline delivers metrics through it")
		return nil
	}
	if t.nats != "" {
		return errors.New("exporters::" + t.nats + " and exporters::" + id + " both deliver metrics, and there is one address to deliver to: use one of them in all pipelines")
	}
	target, err := newTarget(t.getenv)
	if err != nil {
		return errors.New("exporters::" + id + ": " + err.Error())
	}
	_, name, named := strings.Cut(id, "/")
	durable := durableType
	if named {
		durable += "/" + name
	}
	if _, taken := section(t.config, "exporters")[durable]; taken {
		return errors.New("exporters::" + id + ": there is an exporter " + durable + " beside it: take " + id + " out of the configuration")
	}
	t.nats, t.exporters[id] = id, durable
	t.deliver(durable, target)
	for _, name := range sortedKeys(section(t.config, "exporters", id)) {
		t.natsKey(id, name)
	}
	return nil
}

// deliver puts the durable exporter in the place of the other, and the extension that it authenticates with.
func (t *translation) deliver(durable string, target *target) {
	old, path := "exporters::"+t.nats, "exporters::"+durable
	body := map[string]any{
		"endpoint":        Ref(target.address),
		"resource_labels": t.resourceLabels(),
		"log":             map[string]any{"directory": Ref("LOG_DIRECTORY:-/var/lib/otelcol-runner/log")},
	}
	t.change(old, path, "metrics go by remote write to "+target.address+", through a log in LOG_DIRECTORY, and not through NATS",
		Edit{Path: old}, Edit{path, body})
	if target.ignored != "" {
		c := t.change(old, "not used", target.address+" is set too, and goes before")
		c.From, c.Warn = target.ignored, true
	}
	if target.extension == "" {
		t.change(old, "none", target.why).From = "authentication"
		return
	}
	extension := target.extension
	if _, taken := section(t.config, "extensions")[extension]; taken {
		extension += "/" + natsType
	}
	body["auth"] = map[string]any{"authenticator": extension}
	extensions := append(texts(section(t.config, "service")["extensions"]), extension)
	t.change(old, "extensions::"+extension, target.why, Edit{"extensions::" + extension, target.settings}, Edit{"service::extensions", anys(extensions)}).
		From = "authentication"
}

// natsKey says what becomes of a key of the exporter.
func (t *translation) natsKey(id, name string) {
	c := t.change("exporters::"+id+"::"+name, "not used", "metrics do not go to NATS any more")
	switch name {
	case "org":
		t.organization(c)
	case "endpoint":
	case "creds_file":
		c.To, c.Why = "not read", c.Why+"; whether the file is there makes no difference"
	default:
		c.Why, c.Warn = "it is none of org, endpoint and creds_file; what took the exporter's place has other keys", true
	}
}

// addedProcessor sets what only the exporter said.
const addedProcessor = "resource/" + natsType

// organization keeps the name of the organization: as a label, where no processor sets it.
func (t *translation) organization(c *Change) {
	by, org := t.setsOrganization(), t.org()
	c.Why = "it was part of the NATS subject; "
	switch {
	case by != "":
		c.Why += "the label organization is what " + by + " sets"
	case org == "":
		c.Why, c.Warn = "it is empty, so that series have no label organization", true
	default:
		c.To, c.Why = "processors::"+addedProcessor, c.Why+"no processor sets the label organization"
		t.attribute(c, "organization", org)
	}
}

// org is what the exporter says.
func (t *translation) org() string { return text(section(t.config, "exporters", t.nats)["org"]) }

// attribute has a processor set an attribute of all resources.
func (t *translation) attribute(c *Change, name, value string) {
	t.attributes = append(slices.Clone(t.attributes), map[string]any{"key": name, "value": value, "action": "upsert"})
	c.Edits = []Edit{{"processors::" + addedProcessor + "::attributes", t.attributes}}
}

// stage1 says what there would be to save.
func (t *translation) stage1() {
	metrics, err := scope.Profile("stage1")
	if err != nil || t.nats == "" {
		return
	}
	t.change("service::pipelines", "all that was delivered", "nothing is dropped, as before. Dashboards and alerts read "+strconv.Itoa(len(metrics))+
		" metrics: a processor `runner` with the profile stage1 delivers these and leaves the rest in the cluster; `runnerctl cost` says what that saves").
		From = "scope"
}
