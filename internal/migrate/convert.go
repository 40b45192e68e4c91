// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/legacyvalues"
	"github.com/kubiyabot/otelcol-runner/internal/natscompat"
	"github.com/kubiyabot/otelcol-runner/internal/remotewrite"
)

// conversion makes the value of one new key.
type conversion struct {
	migration *valuesMigration
	path      string // the old key
	to        []string
	line      int
}

var uuid = regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$`)

// value returns the new value, and what is to be said about it. nil: it cannot be taken over, for the reason in note.
func (c *conversion) value(old *yaml.Node) (made *yaml.Node, note string) {
	last := c.to[len(c.to)-1]
	switch {
	case last == "image":
		return c.image(old)
	case last == "env" && old.Kind == yaml.SequenceNode:
		return c.env(old)
	case last == "env" && old.Kind == yaml.MappingNode:
		return c.envMap(old)
	case last == "imagePullSecrets" && old.Kind == yaml.SequenceNode:
		return pullSecrets(old)
	case last == "uuid" && !uuid.MatchString(old.Value):
		return nil, "It is no UUID, which the components need: set uuid to one such as 123e4567-e89b-42d3-a456-426614174000."
	case last == "replicas" && old.Value == "0":
		enabled := append(slices.Clone(c.to[:len(c.to)-1]), "enabled")
		c.migration.putFalse(enabled, c.path)
		c.migration.add(c.line, c.path, Changed, strings.Join(enabled, "."), "A component is switched off by enabled: false.")
		return nil, ""
	}
	made = c.copy(c.path, old)
	if made == nil {
		return nil, "It looks like a secret, and is not copied: create a Secret in the cluster and refer to it."
	}
	return c.typed(made)
}

// putFalse writes a switch.
func (m *valuesMigration) putFalse(path []string, from string) {
	if name := strings.Join(path, "."); m.from[name] == "" {
		m.from[name] = from
		m.put(path, &yaml.Node{Kind: yaml.ScalarNode}, &yaml.Node{Kind: yaml.ScalarNode, Value: "false", Tag: "!!bool"})
	}
}

// typed gives a value the type that the chart's schema asks for: text for text. Elsewhere it stays as it is.
func (c *conversion) typed(n *yaml.Node) (*yaml.Node, string) {
	standard := c.migration.known.at(c.to)
	if standard == nil || standard.Kind != yaml.ScalarNode || n.Kind != yaml.ScalarNode {
		if standard != nil && standard.Kind != n.Kind && !isNull(standard) && !isNull(n) {
			return nil, "Another kind of value is expected: see the chart's values.yaml."
		}
		return n, ""
	}
	switch want, have := standard.ShortTag(), n.ShortTag(); {
	case want == "!!str" && have != "!!str" && have != "!!null":
		return textNode(n.Value), ""
	case want == "!!int" && have == "!!str", want == "!!bool" && have == "!!str":
		plain := &yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}
		if plain.ShortTag() != want {
			return nil, "Another kind of value is expected: see the chart's values.yaml."
		}
		return plain, "It was text."
	}
	return n, ""
}

// copy copies a value with its comments, without anchors. nil: something in it is a secret.
func (c *conversion) copy(path string, n *yaml.Node) *yaml.Node {
	n = configfile.Resolve(n)
	if n.Kind == yaml.ScalarNode && secretIn(n.Value) != "" {
		return nil
	}
	out := *n
	out.Anchor, out.Alias, out.Content = "", nil, nil
	for _, comment := range []*string{&out.HeadComment, &out.LineComment, &out.FootComment} {
		if secretIn(*comment) != "" {
			*comment = ""
		}
	}
	if n.Kind == yaml.MappingNode {
		for key, value := range configfile.Pairs(n) {
			below := c.copy(path+"."+key.Value, value)
			if below == nil {
				c.migration.add(key.Line, path+"."+key.Value, Refused, "", "It looks like a secret, and is not copied: create a Secret in the cluster and refer to it.")
				continue
			}
			out.Content = append(out.Content, c.migration.commented(key, path+"."+key.Value), below)
		}
		return &out
	}
	for _, item := range configfile.Items(n) {
		below := c.copy(path, item)
		if below == nil {
			return nil
		}
		out.Content = append(out.Content, below)
	}
	return &out
}

// image makes registry, repository, tag and digest of an image that is one text, or whose repository has the registry in it.
func (c *conversion) image(old *yaml.Node) (*yaml.Node, string) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	set := func(key, value string) {
		if value != "" && pairOf(out, key) == nil {
			out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, textNode(value))
		}
	}
	text := func(key string) string {
		if n := configfile.Get(old, key); n != nil && !isNull(n) {
			return n.Value
		}
		return ""
	}
	reference := old.Value
	if old.Kind == yaml.MappingNode {
		reference = text("repository")
		set("registry", text("registry"))
	}
	if reference != "" {
		registry, repository, tag, digest := splitImage(reference)
		set("registry", registry)
		set("repository", repository)
		set("tag", text("tag"))
		set("tag", tag)
		set("digest", digest)
	}
	for _, key := range []string{"tag", "digest", "pullPolicy"} {
		set(key, text(key))
	}
	for key := range configfile.Pairs(old) {
		if !slices.Contains([]string{"registry", "repository", "tag", "digest", "pullPolicy"}, key.Value) {
			c.migration.add(key.Line, c.path+"."+key.Value, Refused, "", "An image is registry, repository, tag, digest and pullPolicy: it is left out.")
		}
	}
	if len(out.Content) == 0 {
		return nil, "It says no image: the chart's own is taken."
	}
	if tag := pairOf(out, "tag"); tag != nil && tag.Value == "latest" {
		return out, "The tag moves: set one that names a release, or the digest."
	}
	if pairOf(out, "registry") == nil || old.Kind == yaml.MappingNode && text("registry") == pairOf(out, "registry").Value {
		return out, ""
	}
	return out, "Its registry is a key of its own now."
}

// splitImage takes registry.example.com:5000/a/b:tag@sha256:... apart.
func splitImage(reference string) (registry, repository, tag, digest string) {
	reference, digest, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		reference, tag = reference[:i], reference[i+1:]
	}
	first, rest, found := strings.Cut(reference, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first, rest, tag, digest
	}
	if !found && reference != "" {
		return "docker.io", "library/" + reference, tag, digest
	}
	return "docker.io", reference, tag, digest
}

// env makes a map of a list of variables.
func (c *conversion) env(old *yaml.Node) (*yaml.Node, string) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, item := range configfile.Items(old) {
		name, value := configfile.Get(item, "name"), configfile.Get(item, "value")
		if name == nil {
			c.migration.add(item.Line, c.path, Refused, "", "A variable without a name is left out.")
			continue
		}
		if value == nil {
			c.migration.add(item.Line, c.path+"."+name.Value, Refused, "", "The variable is not a value but refers to one (valueFrom): mount what it refers to, with extraVolumes and extraVolumeMounts.")
			continue
		}
		c.variable(out, name, value)
	}
	return out, "A list became a map."
}

func (c *conversion) envMap(old *yaml.Node) (*yaml.Node, string) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for key, value := range configfile.Pairs(old) {
		c.variable(out, key, configfile.Resolve(value))
	}
	return out, ""
}

func (c *conversion) variable(out, name, value *yaml.Node) {
	path := c.path + "." + name.Value
	if value.Kind != yaml.ScalarNode {
		c.migration.add(name.Line, path, Refused, "", "The value of a variable is text: it is left out.")
		return
	}
	if secretAt(name.Value, value.Value) != "" {
		c.migration.add(name.Line, path, Refused, "", "It looks like a secret, and is not copied: create a Secret in the cluster, and mount it with extraVolumes and extraVolumeMounts.")
		return
	}
	made := textNode(value.Value)
	if secretIn(value.LineComment) == "" {
		made.LineComment = value.LineComment
	}
	out.Content = append(out.Content, c.migration.commented(name, path), made)
}

// pullSecrets makes names of what may be texts.
func pullSecrets(old *yaml.Node) (*yaml.Node, string) {
	out, note := &yaml.Node{Kind: yaml.SequenceNode}, ""
	for _, item := range configfile.Items(old) {
		name := configfile.Get(item, "name")
		if item.Kind == yaml.ScalarNode {
			name, note = item, "The names are in a key name now."
		}
		if name == nil || name.Value == "" {
			return nil, "A pull secret has a name: write a list of `name: ...`."
		}
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "name"}, textNode(name.Value)}})
	}
	return out, note
}

// remoteWriteSecret is the Secret that the new values refer to. Its keys are in otel.backend.secretKeys.
const remoteWriteSecret = "runner-remote-write"

// azure moves what the previous chart had at the top about where metrics go. It says whether the key is one of these.
func (m *valuesMigration) azure(name string, key, value *yaml.Node, entry *legacyvalues.Entry) bool {
	text := strings.TrimSpace(value.Value)
	if !strings.HasPrefix(name, "AZURE_") || value.Kind != yaml.ScalarNode || text == "" {
		return false
	}
	const backend = "otel.backend."
	switch name {
	case "AZURE_REMOTE_WRITE_URL":
		preset, why := "azure", "otel.backend.preset is azure."
		if r := remotewrite.Detect(text); r != remotewrite.Azure {
			why = "otel.backend.preset is azure, although the host is none of Azure Monitor's: change it if it is another receiver."
		}
		if strings.Contains(text, "@") {
			m.add(key.Line, name, Refused, backend+"endpoint", "It has a user or a password in it, which is not copied: set the address without, and the credentials in a Secret.")
			return true
		}
		m.putText(backend+"preset", preset, name)
		m.putText(backend+"endpoint", text, name)
		m.variables[name] = text
		m.add(key.Line, name, Changed, backend+"endpoint", why)
	case "AZURE_CLIENT_ID":
		m.putText(backend+"azure.clientId", text, name)
		m.variables[name] = text
		m.add(key.Line, name, Changed, backend+"azure.clientId", entry.Reason)
	case "AZURE_TOKEN_URL":
		cloud, tenant, err := natscompat.ParseTokenURL(text)
		if err != nil || tenant == "" {
			m.add(key.Line, name, Refused, entry.New, "It is no address of Entra ID for tokens (https://login.microsoftonline.com/DIRECTORY/oauth2/v2.0/token), so that the directory cannot be read from it: set otel.backend.azure.tenantId.")
			return true
		}
		m.putText(backend+"azure.tenantId", tenant, name)
		m.putText(backend+"azure.cloud", cloud, name)
		m.variables[name] = text
		m.add(key.Line, name, Changed, backend+"azure.tenantId", "The address of tokens says which directory and cloud: "+cloud+".")
	case "AZURE_CLIENT_SECRET":
		m.putText(backend+"azure.auth", "clientSecret", name)
		m.putText(backend+"existingSecret", remoteWriteSecret, name)
		m.variables["AZURE_CLIENT_SECRET_FILE"] = "/etc/remote-write/client-secret"
		m.add(key.Line, name, Refused, backend+"existingSecret", "A secret, which is not copied. It has been in every copy of the release: make a new one, put it into a Secret "+
			remoteWriteSecret+" with the key client-secret, and revoke this one. Better, with otel.backend.azure.auth: workloadIdentity there is none.")
	default:
		return false
	}
	return true
}
