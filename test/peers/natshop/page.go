// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// components are the values of the label app. Targets take them in turn, so that a component has several pods.
var components = []string{"agent-manager", "tool-manager", "workflow-engine"}

var bounds = []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "2.5", "7.5", "+Inf"}

const (
	// routeSeries is what a route adds to a page: three counters, a histogram, a gauge.
	routeSeries = 3 + 10 + 2 + 1
	// reportSeries is what a scrape adds to a page: up and four scrape_* series.
	reportSeries = 5
)

// routesPage is what a component exposes about its API: for each route a counter by status, a histogram and a gauge.
func routesPage(routes, scrape int) string {
	var requests, durations, inFlight strings.Builder
	requests.WriteString("# HELP http_requests_total Requests by route and status.\n# TYPE http_requests_total counter\n")
	durations.WriteString("# HELP http_request_duration_seconds How long requests took.\n# TYPE http_request_duration_seconds histogram\n")
	inFlight.WriteString("# HELP http_requests_in_flight Requests that are going on.\n# TYPE http_requests_in_flight gauge\n")
	for route := range routes {
		labels := fmt.Sprintf(`handler="/api/v1/resources/r%03d",method="%s"`, route, []string{"GET", "POST", "PUT"}[route%3])
		n := (route + 1) * scrape
		for i, status := range []string{"2xx", "4xx", "5xx"} {
			fmt.Fprintf(&requests, "http_requests_total{%s,status=%q} %d\n", labels, status, n*(3-i))
		}
		for i, bound := range bounds {
			fmt.Fprintf(&durations, "http_request_duration_seconds_bucket{%s,le=%q} %d\n", labels, bound, n*6*(i+1)/len(bounds))
		}
		fmt.Fprintf(&durations, "http_request_duration_seconds_sum{%s} %s\n", labels, strconv.FormatFloat(float64(n)*0.0731946, 'g', -1, 64))
		fmt.Fprintf(&durations, "http_request_duration_seconds_count{%s} %d\n", labels, n*6)
		fmt.Fprintf(&inFlight, "http_requests_in_flight{%s} %d\n", labels, (route*7+scrape)%11)
	}
	return requests.String() + durations.String() + inFlight.String()
}
