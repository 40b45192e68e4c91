// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"strings"
	"time"
)

// Result is what a run counted. Points are the receiver's data points; samples are what they become in Prometheus:
// a classic histogram is one point and as many samples as it has buckets, plus two.
type Result struct {
	// Scraped are the points that came in: Kept and everything in Dropped. What is out of scope by its name is dropped in the scrape
	// already, and not among them.
	Scraped int64 `json:"scraped"`
	// Kept are the points that may leave the cluster.
	Kept int64 `json:"kept"`
	// Dropped are the points that may not, by reason.
	Dropped map[string]int64 `json:"dropped"`
	// KeptSamples are the samples that the kept points become. Of a collector that was killed it is what its log had accepted: a
	// scrape that was in flight then was not kept.
	KeptSamples int64 `json:"kept_samples"`
	// Delivered are the samples that the backend acknowledged.
	Delivered int64 `json:"delivered"`
	// Queryable are the samples in the backend's store, stale markers included.
	Queryable int64 `json:"queryable"`
	// Lost is KeptSamples - Queryable. Until the final check it also counts what is still on its way.
	Lost int64 `json:"lost"`
	// Kills is how often the collector was killed with SIGKILL, and started again.
	Kills int64 `json:"kills"`
	// Log is what has become of the samples that went through the exporter's log.
	Log Log `json:"log"`
	// Rejected are the samples that the backend refused.
	Rejected int64 `json:"rejected"`
	// Series are the stored series.
	Series int64 `json:"series"`
	// ForeignSeries are the stored series that are not this runner's.
	ForeignSeries int64 `json:"foreign_series"`
	// SpoofedSeries are the stored series that show another runner's identity as exported_* labels.
	SpoofedSeries int64 `json:"spoofed_series"`
	// SpoofedIdentities are the stored series that show it in any other label.
	SpoofedIdentities int64 `json:"spoofed_identities"`
	// SecretSeries are the stored series with the leaked token in a label.
	SecretSeries int64 `json:"secret_series"`
	// NativeHistogramSamples are the stored samples that are native histograms.
	NativeHistogramSamples int64 `json:"native_histogram_samples"`
	// SecondsToFirstSample is the time from the collector's start to the first stored sample; 0 when there is none.
	SecondsToFirstSample float64 `json:"seconds_to_first_sample"`
	// BytesSent are the remote-write body bytes, compressed as on the wire, and Requests their requests.
	BytesSent int64 `json:"bytes_sent"`
	Requests  int64 `json:"requests"`
	// CPUSeconds and RSSMiB are the collector's, 0 where the system does not tell.
	CPUSeconds float64 `json:"cpu_seconds"`
	RSSMiB     float64 `json:"rss_mib"`
	// Seconds is how long the collector ran.
	Seconds float64 `json:"seconds"`
	// Verified says that the final check took place: scraping had stopped and the counts had settled.
	Verified bool `json:"verified"`
	// Broken names the promises that were not kept.
	Broken []string `json:"broken"`
}

// judge fills Broken. interrupted excuses a run that was ended before it delivered anything.
func (r *Result) judge(a audit, interrupted bool) {
	r.Broken = []string{}
	broken := func(format string, args ...any) { r.Broken = append(r.Broken, fmt.Sprintf(format, args...)) }
	if r.Verified && r.Lost != 0 {
		broken("lost: the collector kept %d samples and the store has %d", r.KeptSamples, r.Queryable)
	}
	if n := r.Log.Quarantined + r.Log.Dropped + r.Log.Expired; n != 0 {
		broken("delivery: %d samples were set aside or dropped instead of delivered", n)
	}
	if r.Verified && r.Log.Accepted != r.Log.Acknowledged+r.Log.Quarantined+r.Log.Dropped+r.Log.Expired+r.Log.Backlog {
		broken("delivery: the log accepted %d samples, and of them acknowledged %d, has %d, set aside or dropped %d",
			r.Log.Accepted, r.Log.Acknowledged, r.Log.Backlog, r.Log.Quarantined+r.Log.Dropped+r.Log.Expired)
	}
	if r.ForeignSeries != 0 {
		broken("scope: %d stored series are not this runner's, among them %s", r.ForeignSeries, strings.Join(a.ForeignExamples, " "))
	}
	if r.SpoofedIdentities != 0 {
		broken("identity: %d stored series show another runner's identity outside exported_*", r.SpoofedIdentities)
	}
	if r.SecretSeries != 0 {
		broken("secrets: %d stored series have the leaked token in a label", r.SecretSeries)
	}
	if r.Rejected != 0 {
		broken("delivery: the backend refused %d samples", r.Rejected)
	}
	if r.Delivered == 0 && !interrupted {
		broken("delivery: no sample arrived")
	}
}

// Phase is how far a run is.
type Phase string

// The phases of a run, in their order.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Checking Phase = "checking"
	Done     Phase = "done"
)

// State is a run at one moment, for the terminal and for the page.
type State struct {
	Phase   Phase     `json:"phase"`
	Started time.Time `json:"started"`
	// Planned is the wanted duration in seconds, 0 when there is none.
	Planned float64 `json:"planned"`
	Page    string  `json:"page"`
	// Identity is the runner's own, Claimed the one that a target claims, Spoofed the labels of a series of that target.
	Identity map[string]string `json:"identity"`
	Claimed  map[string]string `json:"claimed"`
	Spoofed  map[string]string `json:"spoofed"`
	// Components are the runner processor's numbers by component; ComponentLimit is the most series one may have.
	Components     map[string]Component `json:"components"`
	ComponentLimit int                  `json:"component_limit"`
	Result         Result               `json:"result"`
	History        []Moment             `json:"history"`
}

// Moment is one point of the charts: totals at a time.
type Moment struct {
	// Time is in seconds since the Unix epoch.
	Time      float64 `json:"t"`
	Scraped   int64   `json:"scraped"`
	Kept      int64   `json:"kept"`
	Dropped   int64   `json:"dropped"`
	Delivered int64   `json:"delivered"`
	Queryable int64   `json:"queryable"`
	Bytes     int64   `json:"bytes"`
	CPU       float64 `json:"cpu"`
	// Backlog, LogBytes and Age are of the log at that time, Kills the kills until then.
	Backlog  int64   `json:"backlog"`
	LogBytes int64   `json:"log_bytes"`
	Age      float64 `json:"age"`
	Kills    int64   `json:"kills"`
}
