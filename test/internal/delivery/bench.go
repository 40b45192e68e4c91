// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// startPatience is how long a process may take until it answers, on a busy machine.
const startPatience = 60 * time.Second

// Bench is a collector and a backend on this machine, each of which can be started, killed and started again. It belongs
// to one goroutine.
type Bench struct {
	// Dir holds everything: the log folder of the collector, the TSDB and the journals of the backend, the logs of both.
	Dir string
	// OTLP is the collector's OTLP/HTTP address, Telemetry that of its own metrics.
	OTLP, Telemetry string
	// Collector and Backend are the processes, nil where none has been started.
	Collector, Backend *Process

	binary   string
	args     []string
	env      []string
	receiver string // address of the backend
	lives    int    // of the collector
	journals []string
}

// NewBench prepares a bench in dir. The configuration files are laid over each other in their order; they may use
// REMOTE_WRITE_URL, LOG_DIRECTORY, OTLP_ADDRESS, TELEMETRY_HOST, TELEMETRY_PORT, LIFE (the number of this start, as "life-1") and
// what env adds. Without a binary it is the built one of this repository.
func NewBench(dir, binary string, configs [][]byte, env ...string) (*Bench, error) {
	if binary == "" {
		root, err := testbed.FindRoot()
		if err != nil {
			return nil, err
		}
		binary = filepath.Join(root, "bin", "otelcol-runner")
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the collector's binary is missing: run `make build` first (%w)", err)
	}
	b := &Bench{Dir: dir, binary: binary}
	for i, text := range configs {
		path := filepath.Join(dir, fmt.Sprintf("config-%d.yaml", i+1))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("writing the collector's configuration: %w", err)
		}
		b.args = append(b.args, "--config="+path)
	}
	for _, address := range []*string{&b.receiver, &b.OTLP, &b.Telemetry} {
		var err error
		if *address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(b.LogDirectory(), 0o750); err != nil {
		return nil, fmt.Errorf("the collector's log folder: %w", err)
	}
	host, port, err := net.SplitHostPort(b.Telemetry)
	if err != nil {
		return nil, err
	}
	b.env = append(env, "REMOTE_WRITE_URL="+b.RemoteWrite(), "LOG_DIRECTORY="+b.LogDirectory(),
		"OTLP_ADDRESS="+b.OTLP, "TELEMETRY_HOST="+host, "TELEMETRY_PORT="+port)
	return b, nil
}

// LogDirectory is where the exporter keeps its log.
func (b *Bench) LogDirectory() string { return filepath.Join(b.Dir, "log") }

// RemoteWrite is where the backend takes samples.
func (b *Bench) RemoteWrite() string { return "http://" + b.receiver + "/api/v1/write" }

// Journal is the file that the backend writes its requests to as they arrive, before anything is done with them.
func (b *Bench) Journal() string { return b.journals[len(b.journals)-1] }

// Life is the number of the collector that runs, in the form that its configuration sees.
func (b *Bench) Life() string { return lifeName(b.lives) }

func lifeName(n int) string { return "life-" + strconv.Itoa(n) }

// freeAddress finds a free port of the loopback interface below those that the kernel gives to clients: a client that
// dials a closed port in that range can be connected to itself.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000))) //nolint:gosec // a port is no secret
		listener, err := net.Listen("tcp", address)
		if err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.New("no free port between 20000 and 32000 on 127.0.0.1")
}

// StartCollector starts the collector; AwaitCollector waits until it takes samples.
func (b *Bench) StartCollector() (err error) {
	b.lives++
	b.Collector, err = Start("collector", b.binary, b.args, append([]string{"LIFE=" + b.Life()}, b.env...), filepath.Join(b.Dir, "collector.log"))
	return err
}

// AwaitCollector waits until the collector takes samples over OTLP.
func (b *Bench) AwaitCollector(ctx context.Context) error {
	return Await(ctx, "the collector", startPatience, func(ctx context.Context) (bool, error) {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", b.OTLP)
		if err != nil {
			return false, err
		}
		return true, connection.Close()
	}, b.Collector)
}

// StartBackend starts the backend on the data that is there; AwaitBackend waits until it answers.
func (b *Bench) StartBackend() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	journal := filepath.Join(b.Dir, fmt.Sprintf("journal-%d", len(b.journals)+1))
	b.journals = append(b.journals, journal)
	b.Backend, err = Start("backend", self,
		[]string{BackendCommand, "--dir=" + b.store(), "--listen=" + b.receiver, "--journal=" + journal},
		os.Environ(), filepath.Join(b.Dir, "backend.log"))
	return err
}

func (b *Bench) store() string { return filepath.Join(b.Dir, "backend") }

// AwaitBackend waits until the backend answers.
func (b *Bench) AwaitBackend(ctx context.Context) error {
	return Await(ctx, "the backend", startPatience, func(ctx context.Context) (bool, error) {
		_, err := get(ctx, "http://"+b.receiver+"/-/healthy")
		return err == nil, err
	}, b.Backend)
}

// Query evaluates a PromQL expression whose result is one number at that time; no result is zero.
func (b *Bench) Query(ctx context.Context, expression string, at time.Time) (float64, error) {
	body, err := get(ctx, "http://"+b.receiver+"/api/v1/query?"+url.Values{
		"query": {expression}, "time": {at.UTC().Format(time.RFC3339Nano)},
	}.Encode())
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("PromQL %q: %w", expression, err)
	}
	if len(answer.Data.Result) == 0 {
		return 0, nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string) // not a text fails below
	return strconv.ParseFloat(text, 64)
}

// Discard kills what still runs.
func (b *Bench) Discard() {
	for _, p := range []*Process{b.Collector, b.Backend} {
		if p != nil {
			p.Discard()
		}
	}
}

// Traffic reads what the backend was asked in all its lives. The backend must have ended.
func (b *Bench) Traffic() (Traffic, error) { return ReadTraffic(b.journals) }

// Stored opens what the backend has stored. The backend must have ended.
func (b *Bench) Stored() (*prombackend.Backend, error) {
	return prombackend.Open(b.store(), prombackend.Options{})
}

// All iterates over everything that is stored.
func All(ctx context.Context, store *prombackend.Backend) iter.Seq2[prombackend.Series, error] {
	return store.Series(ctx, math.MinInt64, math.MaxInt64)
}

// answerTimeout is for questions, not for samples.
const answerTimeout = 10 * time.Second

// get returns the body of an answer 200. Its connections are not kept: the other side may be killed at any time.
func get(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	return do(http.DefaultClient, request)
}
