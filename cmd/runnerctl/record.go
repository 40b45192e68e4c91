// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/record"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

type recordOptions struct {
	streams    streams
	out        string
	force      bool
	kubeconfig string
	context    string
	namespace  string
	addresses  []string
	config     string
	env        []string
	duration   time.Duration
	interval   time.Duration
	anonymise  bool
	labels     []string
	output     string
}

func newCmdRecord(s streams, runF func(context.Context, *recordOptions) error) *cobra.Command {
	opts := &recordOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "record [URL...]",
		Short: "Make a scene for tests of a real namespace, or of addresses",
		Long: `record writes a folder with what a test of a scrape configuration needs: the objects of a namespace, stripped to what discovery
reads, and the pages that its targets answer. It only reads. In the cluster it needs the runner's Role and no more: get, list and
watch on pods, services and endpointslices.

Which pages: with --config those that the configuration scrapes; without, those that pods ask for with the annotations
prometheus.io/*, and every TCP port that a pod declares and that answers with a page at /metrics. With URLs or --address and
without --namespace, --context, --kubeconfig and --config there is no cluster, and only these addresses are recorded.

How: within the cluster at the pods' addresses. From outside, through the API server, which needs get on pods/proxy, and else at
the addresses as well, if they lead anywhere. What cannot be reached is listed; record it through a port that you forward:

  kubectl port-forward tool-manager-0 3001 &
  runnerctl record --namespace runner --address pod/tool-manager-0:3001=http://127.0.0.1:3001/metrics

What looks like a secret or an e-mail address is never written. Look at the folder all the same before you pass it on:
names of pods and services, addresses and label values are the real ones.

Exit codes: 0 all is recorded; 1 some targets are not, and are listed; 2 there is no recording.`,
		Example: `  runnerctl record --namespace runner --config configs/collector.yaml --out scene \
    --env RUNNER_ORGANIZATION=acme --env RUNNER_NAME=prod --env REMOTE_WRITE_URL=http://127.0.0.1/api/v1/write
  runnerctl record --namespace runner --duration 2m --interval 30s --anonymise
  runnerctl record http://127.0.0.1:9100/metrics node-exporter:9100=http://127.0.0.1:9100/metrics`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.addresses = append(opts.addresses, args...)
			if err := opts.check(); err != nil {
				return err
			}
			return runF(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.out, "out", "scene", "the folder to write: it is made, or has to be empty")
	flags.BoolVar(&opts.force, "force", false, "write into a folder that is not empty, over files of the same names")
	flags.StringVar(&opts.kubeconfig, "kubeconfig", "", "the kubeconfig; default: $KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in")
	flags.StringVar(&opts.context, "context", "", "the context of the kubeconfig; default: its current one")
	flags.StringVarP(&opts.namespace, "namespace", "n", "", "the namespace; default: the context's")
	flags.StringArrayVar(&opts.addresses, "address", nil, "a URL, or NAME=URL where NAME is what configurations call the target: HOST:PORT or pod/NAME:PORT; may be given several times")
	flags.StringVar(&opts.config, "config", "", "record exactly the targets of this configuration")
	flags.StringArrayVar(&opts.env, "env", nil, "NAME=VALUE for the configuration's variables, written to the scene as well; may be given several times")
	flags.DurationVar(&opts.duration, "duration", 0, "record again until this is over; what changes becomes steps of the scene")
	flags.DurationVar(&opts.interval, "interval", 30*time.Second, "how long to wait from one sample to the next")
	flags.BoolVar(&opts.anonymise, "anonymise", false, "replace the values of samples by others that behave alike")
	flags.StringSliceVar(&opts.labels, "anonymise-labels", nil, "replace the values of these labels on pages: customer-1, customer-2, ...")
	flags.StringVar(&opts.output, "output", "text", "text, json, github (workflow commands) or junit")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	_ = cmd.MarkFlagDirname("out")                                                                                             // the flag is there
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (o *recordOptions) check() error {
	if o.interval <= 0 || o.duration < 0 {
		return fmt.Errorf("--interval %s and --duration %s cannot be: use times such as 30s and 2m", o.interval, o.duration)
	}
	if o.duration > 0 && o.duration < o.interval {
		return fmt.Errorf("--duration %s is shorter than --interval %s, which makes one sample: make it longer, or leave it out", o.duration, o.interval)
	}
	return report.CheckFormat(o.output)
}

// hasCluster says that a namespace is to be recorded, and not only addresses.
func (o *recordOptions) hasCluster() bool {
	return len(o.addresses) == 0 || o.namespace != "" || o.context != "" || o.kubeconfig != "" || o.config != ""
}

func recordRun(ctx context.Context, o *recordOptions) error {
	options := record.Options{
		Dir: o.out, Force: o.force, Anonymise: o.anonymise, AnonymiseLabels: o.labels,
		Samples: 1 + int(o.duration/o.interval), Interval: o.interval, Env: map[string]string{},
		Progress: func(text string) { _, _ = fmt.Fprintln(o.streams.err, text) }, // nowhere left to report to
	}
	for _, text := range o.addresses {
		address, err := record.ParseAddress(text)
		if err != nil {
			return err
		}
		options.Addresses = append(options.Addresses, address)
	}
	for _, text := range o.env {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return errors.New("--env needs NAME=VALUE")
		}
		options.Env[name] = value
	}
	if o.config != "" {
		file, err := configfile.Load(o.config)
		if err != nil {
			return err
		}
		options.Config, options.Engine = file, scrapetest.New(o.streams.clock)
	}
	if o.hasCluster() {
		if err := o.connect(&options); err != nil {
			return err
		}
	}
	// The first interrupt ends the recording with what there is.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	summary, err := record.Run(ctx, options)
	if err != nil {
		return err
	}
	switch o.output {
	case "json":
		err = json.NewEncoder(o.streams.out).Encode(summary)
	case "text":
		writeRecordSummary(o.streams.out, summary)
	default:
		err = report.Write(o.streams.out, o.output, recordSuite(summary), o.streams.reportOptions())
	}
	if err == nil && len(summary.Problems) > 0 {
		return errBroken
	}
	return err
}

// connect finds the cluster and the namespace as kubectl does.
func (o *recordOptions) connect(options *record.Options) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
	config, err := loader.ClientConfig()
	if err != nil {
		return fmt.Errorf("there is no cluster to record: %w: choose one with --kubeconfig and --context, or name addresses", err)
	}
	if options.Namespace = o.namespace; options.Namespace == "" {
		if options.Namespace, _, err = loader.Namespace(); err != nil {
			return err
		}
	}
	inside, err := rest.InClusterConfig()
	options.Cluster, options.Inside = config, err == nil && inside.Host == config.Host
	return nil
}

// recordSuite has a finding for each target without a page.
func recordSuite(s *record.Summary) report.Suite {
	c := report.Case{Name: s.Scene, File: s.Scene}
	for _, p := range s.Problems {
		f := report.Finding{Rule: "not-recorded", Severity: report.Error, Message: p.Target + " is not recorded: " + p.Why}
		if p.Unreachable {
			f.Fix = unreachableRemedy
		}
		c.Findings = append(c.Findings, f)
	}
	return report.Suite{Name: "record", Unit: "recording", Cases: []report.Case{c}, Summary: recordLine(s)}
}

// unreachableRemedy is what to do about targets to which there is no way.
const unreachableRemedy = "to record what cannot be reached, forward a port to it and name it with --address, run this in the cluster, or allow get on pods/proxy"

// recordLine says in one line what was recorded.
func recordLine(s *record.Summary) string {
	return fmt.Sprintf("%s: samples: %d; objects: %s; pages: %d with %s", s.Scene, s.Samples, counted(s.Objects, "none"), s.Pages, size(s.Bytes))
}

func writeRecordSummary(to io.Writer, s *record.Summary) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(to, format, args...) } // nowhere left to report to
	line("%s\n", recordLine(s))
	if s.Anonymised {
		line("values are anonymised\n")
	}
	if len(s.Redacted) > 0 {
		line("redacted: %s\n", counted(s.Redacted, ""))
	}
	if len(s.LeftOut) > 0 {
		line("left out: %s\n", counted(s.LeftOut, ""))
	}
	if len(s.Problems) == 0 {
		return
	}
	line("\nnot recorded:\n")
	for _, p := range s.Problems {
		line("  %s: %s\n", p.Target, p.Why)
	}
	if slices.ContainsFunc(s.Problems, func(p record.Problem) bool { return p.Unreachable }) {
		line("\n%s.\n", strings.ToUpper(unreachableRemedy[:1])+unreachableRemedy[1:])
	}
}

// counted writes numbers of things in the order of their names: 3 jwt, 1 email.
func counted(counts map[string]int, none string) string {
	if len(counts) == 0 {
		return none
	}
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}
