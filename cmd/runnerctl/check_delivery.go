// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/kubiyabot/otelcol-runner/internal/arrival"
)

// lookback is how far back a query of Prometheus sees, unless the server is told otherwise.
const lookback = 5 * time.Minute

type checkDeliveryOptions struct {
	streams streams
	arrival arrival.Options
	query   arrival.Query
	timeout time.Duration
	output  string
}

func newCmdCheckDelivery(s streams, runF func(context.Context, *checkDeliveryOptions) error) *cobra.Command {
	opts := &checkDeliveryOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "delivery (--metrics URL... | --query-url URL --organization NAME --runner NAME)",
		Short: "Wait until what is scraped arrives, and say what does not",
		Long: `delivery waits until metrics arrive, from both ends or from one of them:

  --metrics    asks the collectors for their own metrics. Each exporter that writes to a Prometheus has to have delivered
               samples since the check began. What the receiver has refused, what was dropped and how old the backlog is, is shown
               and fails nothing. Works with durable_remote_write and with upstream's prometheus_remote_write.
  --query-url  asks the backend, by Prometheus's HTTP API, for the runner's targets. One has to have a sample that is younger
               than --max-age. The components of which something has arrived are listed.

The address of the backend is what stands before /api/v1/query. Whoever asks needs the right to read, which the token that
the collector writes with need not have. A certificate of an authority of your own goes into the variable SSL_CERT_FILE.

Exit codes: 0 all has arrived; 1 not within --timeout; 2 somebody could not be asked.`,
		Example: `  # the collector of this pod, or one that is forwarded here
  runnerctl check delivery --metrics http://127.0.0.1:8888/metrics

  # three shards
  runnerctl check delivery --metrics http://runner-otel-0.runner-otel:8888/metrics \
    --metrics http://runner-otel-1.runner-otel:8888/metrics --metrics http://runner-otel-2.runner-otel:8888/metrics

  # what the backend has of a runner
  runnerctl check delivery --query-url https://mimir.example.com/prometheus --bearer-token-file ./token \
    --organization acme --runner acme-prod --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.complete(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&opts.arrival.Metrics, "metrics", nil, "address of a collector's own metrics; may be given again")
	flags.StringVar(&opts.query.URL, "query-url", "", "address of the backend's query API, without /api/v1")
	flags.StringVar(&opts.query.BearerTokenFile, "bearer-token-file", "", "file with a bearer token for --query-url, read for each request")
	flags.StringVar(&opts.query.Username, "username", "", "user name for --query-url, with --password-file")
	flags.StringVar(&opts.query.PasswordFile, "password-file", "", "file with the user's password, read for each request")
	flags.StringVar(&opts.query.Organization, "organization", "", "label organization of the runner's series, with --query-url")
	flags.StringVar(&opts.query.Runner, "runner", "", "label runner of the runner's series, with --query-url")
	flags.StringVar(&opts.query.Namespace, "namespace", "", "label namespace of the runner's series (default: any)")
	flags.DurationVar(&opts.query.MaxAge, "max-age", 2*time.Minute, "how old the latest sample may be, at most 5m: a query sees no older ones")
	flags.DurationVar(&opts.timeout, "timeout", 2*time.Minute, "how long to wait")
	flags.StringVar(&opts.output, "output", "text", "text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

func (o *checkDeliveryOptions) complete() error {
	for _, address := range o.arrival.Metrics {
		if err := checkAddress("--metrics", address, "http://127.0.0.1:8888/metrics"); err != nil {
			return err
		}
	}
	switch q := &o.query; {
	case q.URL == "" && len(o.arrival.Metrics) == 0:
		return errors.New("nobody to ask: give --metrics with the address of a collector's own metrics, or --query-url with that of the backend, or both")
	case q.URL == "" && *q != (arrival.Query{MaxAge: q.MaxAge}):
		return errors.New("--organization, --runner, --namespace and the credentials are for the backend: give --query-url as well")
	case q.URL == "":
	case q.Organization == "" || q.Runner == "":
		return errors.New("--query-url needs --organization and --runner: the labels of the series to look for")
	case q.BearerTokenFile != "" && q.Username != "":
		return errors.New("--bearer-token-file and --username are two ways of authentication: give one")
	case (q.Username == "") != (q.PasswordFile == ""):
		return errors.New("--username and --password-file belong together: give both")
	case q.MaxAge <= 0 || q.MaxAge > lookback:
		return fmt.Errorf("--max-age %s: use a time up to %s, which is how far back a query sees", q.MaxAge, model.Duration(lookback))
	default:
		if err := checkAddress("--query-url", q.URL, "https://prometheus.example.com"); err != nil {
			return err
		}
		o.arrival.Query = q
	}
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout %s: use a time such as 2m", o.timeout)
	}
	return checkOutput(o.output)
}

func checkAddress(flag, address, example string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%s: no http or https address: use one such as %s", flag, example) // not the text: there may be a password in it
	case u.User != nil:
		return fmt.Errorf("%s %s: a password in an address is seen by everybody who lists processes: leave it out, and use the flags for files", flag, u.Redacted())
	}
	return nil
}

func checkDeliveryRun(ctx context.Context, o *checkDeliveryOptions) error {
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	report, err := arrival.Check(waiting, o.arrival)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var writeErr error
	if o.output == "json" {
		writeErr = json.NewEncoder(o.streams.out).Encode(struct {
			Delivered bool `json:"delivered"`
			*arrival.Report
		}{report.Delivered(), report})
	} else {
		writeErr = writeArrival(o.streams.out, report)
	}
	switch {
	case err != nil || writeErr != nil:
		return errors.Join(err, writeErr)
	case !report.Delivered():
		return errBroken
	}
	return nil
}

func writeArrival(to io.Writer, r *arrival.Report) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush reports it
	for i := range r.Collectors {
		c := &r.Collectors[i]
		line("%s: %s", c.URL, verdict(c.Delivered))
		if c.Problem != "" {
			line("  %s", c.Problem)
		}
		for j := range c.Exporters {
			e := &c.Exporters[j]
			line("  %s\t%d samples since the check began, %d in all", e.ID, e.New, e.Acknowledged)
			if e.Backlog > 0 {
				line("    backlog\t%d samples, the oldest is %s old", e.Backlog, seconds(e.BacklogAge))
			}
			writeReasons(line, "refused by the receiver", e.Refused)
			writeReasons(line, "dropped", e.Dropped)
			writeReasons(line, "not accepted", e.NotAccepted)
			writeReasons(line, "answers", e.Answers)
		}
	}
	if b := r.Backend; b != nil {
		line("%s: %s", b.URL, verdict(b.Delivered))
		if b.Problem != "" {
			line("  %s", b.Problem)
		}
		if b.Age != nil {
			line("  %s\tthe latest sample is %s old", b.Selector, seconds(*b.Age))
		}
		for _, c := range b.Components {
			line("  %s\t%d of %d targets up, %s ago", c.Name, c.Up, c.Targets, seconds(c.Age))
		}
		for _, warning := range b.Warnings {
			line("  it warns: %s", warning)
		}
	}
	return w.Flush()
}

func verdict(delivered bool) string {
	if delivered {
		return "delivered"
	}
	return "not delivered"
}

func writeReasons(line func(string, ...any), name string, counts map[string]uint64) {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, counts[reason]))
	}
	if len(parts) > 0 {
		line("    %s\t%s", name, strings.Join(parts, ", "))
	}
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
