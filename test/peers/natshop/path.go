// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
	"github.com/kubiyabot/otelcol-runner/test/peers/natshop/credentials"
)

// The names of the paths, as they are in the figures.
const (
	ours      = "ours"
	core      = "nats_core"
	jetstream = "jetstream"
)

var pathNames = []string{ours, core, jetstream}

const (
	repository    = "../../.." // this is run in the folder of its module
	collectorPath = repository + "/bin/otelcol-runner"
	shopPath      = repository + "/bin/natshop/collector"
	serverPath    = repository + "/bin/natshop/nats-server"
	referencePath = repository + "/configs/collector.yaml"
	imagePath     = repository + "/Dockerfile"

	answerLimit    = 10 * time.Second
	startPatience  = 60 * time.Second
	settlePatience = 90 * time.Second
	quiet          = 8 * time.Second
)

//go:embed config
var configFiles embed.FS

// settings are what the configurations are rendered from.
type settings struct {
	Path          string
	Interval      time.Duration
	Targets       []exposed
	Scrape        string
	Dir           string // where the log or the stream is
	URL           string
	Limit         int    // of ours: above the number of series
	MaxWait       string // of ours; empty: as it ships
	Server        string
	Monitor       string
	Trust         string
	Credentials   string
	Health        string
	TelemetryPort string
	JetStream     bool
	Resource      bool // with the processor that sets instance
	Compressed    bool // times at which something is given up are compressed like the outage
}

// exposed is one target.
type exposed struct{ Name, Address, Component string }

// part is one program of a path, that can be started and ended.
type part struct {
	*delivery.Process
	name   string
	ready  string // where it says so
	binary string
	args   []string
	env    []string
	log    string
}

func (p *part) start(ctx context.Context) (err error) {
	if p.Process, err = delivery.Start(p.name, p.binary, p.args, p.env, p.log); err != nil {
		return err
	}
	return delivery.Await(ctx, "the "+p.name, startPatience, func(ctx context.Context) (bool, error) {
		_, err := get(ctx, p.ready)
		return err == nil, err
	}, p.Process)
}

// path is one way from the targets to a Prometheus.
type path struct {
	name               string
	asked              string // what targets know the path by
	dir                string
	state              string // folder of the log or the stream
	monitor, receiver  string // addresses of the NATS server's figures and of the backend
	telemetry          string // address of the collector's own metrics
	backend, collector *part
	server, connector  *part       // of ours, nil
	killed             []time.Time // when the collector was
}

// parts are the programs that the path costs.
func (p *path) parts() []*part {
	if p.server == nil {
		return []*part{p.collector}
	}
	return []*part{p.server, p.connector, p.collector}
}

// newPath writes the configurations of the path into dir. Its targets and what is set apply to it.
func newPath(name, dir string, t *targets, s settings) (*path, error) {
	p := &path{name: name, dir: dir, state: filepath.Join(dir, "state")}
	if err := os.MkdirAll(p.state, 0o750); err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(7)
	if err != nil {
		return nil, err
	}
	p.receiver, p.monitor = addresses[0], addresses[1]
	if s.Path == "" {
		s.Path = name
	}
	p.asked, s.Dir, s.URL, s.JetStream = s.Path, p.state, "http://"+p.receiver+writePath, name == jetstream
	s.Limit = 1_000_000
	s.Monitor, s.Server = p.monitor, addresses[2]
	for i, target := range t.names {
		s.Targets = append(s.Targets, exposed{target, t.address, components[i%len(components)]})
	}
	if s.Scrape, err = render("scrape.yaml", s); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.backend = p.part("backend", self, "http://"+p.receiver+"/-/healthy", roleBackend, filepath.Join(dir, "tsdb"), p.receiver)
	s.Health, s.TelemetryPort, p.telemetry = addresses[3], portOf(addresses[4]), addresses[4]
	if name == ours {
		return p, p.addOurs(s)
	}
	return p, p.addShop(s, addresses[5], addresses[6])
}

func (p *path) part(name, binary, ready string, args ...string) *part {
	return &part{name: p.name + "'s " + name, binary: binary, ready: ready, args: args, log: filepath.Join(p.dir, name+".log")}
}

// addOurs adds our collector as it ships, with the environment that its image sets.
func (p *path) addOurs(s settings) error {
	config, err := p.write("ours.yaml", s)
	if err != nil {
		return err
	}
	p.collector = p.part("collector", collectorPath, "http://"+s.Health+"/", "--config="+referencePath, "--config="+config)
	image, err := imageEnv()
	p.collector.env = append(image, "RUNNER_ORGANIZATION=acme", "RUNNER_NAME=runner-eu-1", "RUNNER_NAMESPACE=runner", "REMOTE_WRITE_URL="+s.URL)
	return err
}

// addShop adds the old path.
func (p *path) addShop(s settings, health, telemetry string) error {
	trust, err := credentials.Make(p.dir)
	if err != nil {
		return fmt.Errorf("making credentials: %w", err)
	}
	s.Trust = trust.Server
	server, err := p.write("server.conf", s)
	if err != nil {
		return err
	}
	p.server = p.part("nats-server", serverPath, "http://"+s.Monitor+"/varz", "--config", server)
	s.Credentials = trust.Publisher
	collector, err := p.write("legacy.yaml", s)
	if err != nil {
		return err
	}
	p.collector = p.part("collector", shopPath, "http://"+s.Health+"/", "--config="+collector)
	s.Credentials, s.Health, s.TelemetryPort = trust.Consumer, health, portOf(telemetry)
	connector, err := p.write("connector.yaml", s)
	p.connector = p.part("connector", shopPath, "http://"+s.Health+"/", "--config="+connector)
	return err
}

// start starts all parts: first who receives.
func (p *path) start(ctx context.Context) error {
	if err := p.backend.start(ctx); err != nil {
		return err
	}
	for _, part := range p.parts() {
		if err := part.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// finish stops the collector, which hands on what it has, waits until that has arrived, and stops the rest.
func (p *path) finish(ctx context.Context) error {
	if err := errors.Join(p.collector.Stop(), p.awaitQuiet(ctx)); err != nil {
		return err
	}
	var errs []error
	for _, part := range append(p.parts(), p.backend) {
		if part != p.collector {
			errs = append(errs, part.Stop())
		}
	}
	return errors.Join(errs...)
}

// discard ends what runs.
func (p *path) discard() {
	for _, part := range append(p.parts(), p.backend) {
		if part.Process != nil {
			part.Discard()
		}
	}
}

// arrivals asks the backend.
func (p *path) arrivals(ctx context.Context) (a arrivals, err error) {
	body, err := get(ctx, "http://"+p.receiver+arrivalsPath)
	if err != nil {
		return a, fmt.Errorf("asking the backend: %w", err)
	}
	return a, json.Unmarshal(body, &a)
}

// awaitSince waits until something has been stored that was scraped at that time or later.
func (p *path) awaitSince(ctx context.Context, at time.Time) error {
	return delivery.Await(ctx, "samples of "+p.name, settlePatience, func(ctx context.Context) (bool, error) {
		a, err := p.arrivals(ctx)
		return a.Newest >= at.UnixMilli(), err
	})
}

// awaitQuiet waits until nothing has been stored for longer than the server waits for an acknowledgement.
func (p *path) awaitQuiet(ctx context.Context) error {
	var last arrivals
	since := time.Now()
	return delivery.Await(ctx, "the last samples of "+p.name, settlePatience, func(ctx context.Context) (bool, error) {
		a, err := p.arrivals(ctx)
		if err == nil && a.Samples != last.Samples {
			last, since = a, time.Now()
		}
		return time.Since(since) > quiet, err
	}, p.backend.Process)
}

func (p *path) write(name string, s settings) (string, error) {
	text, err := render(name, s)
	if err != nil {
		return "", err
	}
	file := filepath.Join(p.dir, name)
	return file, os.WriteFile(file, []byte(text), 0o600)
}

func render(name string, s settings) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"indent": indent}).ParseFS(configFiles, "config/"+name)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return "", fmt.Errorf("rendering %s: %w", name, err)
	}
	return out.String(), nil
}

func indent(spaces int, text string) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad)
}

// imageEnv is what the image sets for the collector.
func imageEnv() ([]string, error) {
	text, err := os.ReadFile(imagePath)
	if err != nil {
		return nil, fmt.Errorf("reading what the image sets: %w", err)
	}
	var env []string
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), "ENV "); found && !strings.HasPrefix(rest, "PATH=") {
			env = append(env, strings.Fields(rest)...)
		}
	}
	return env, nil
}

// freeAddresses finds ports below those that the kernel gives to clients: a client that dials a closed port in that range can be connected
// to itself, and one that is free while a part is away could be taken.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for tries := 0; len(out) < n; tries++ {
		if tries == 1000 {
			return nil, errors.New("no free ports between 20000 and 32000 on 127.0.0.1")
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000))) //nolint:gosec // a port is no secret
		listener, err := net.Listen("tcp", address)                                    //nolint:noctx // closed at once
		if err != nil {
			continue
		}
		defer func() { _ = listener.Close() }() // only when all are found, or one could be found twice
		out = append(out, address)
	}
	return out, nil
}

func portOf(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}
