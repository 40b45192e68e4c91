// SPDX-License-Identifier: Apache-2.0

package arrival

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	apiv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// Query is where and how the backend is asked, and whose series have to be there.
type Query struct {
	// URL is what Prometheus's HTTP API has before /api/v1: http://prometheus:9090.
	URL string
	// BearerTokenFile, or Username and PasswordFile, authenticate; the files are read for each request. Empty: neither.
	BearerTokenFile        string
	Username, PasswordFile string
	// Organization and Runner are the labels of the runner. Namespace is one more; empty: any.
	Organization, Runner, Namespace string
	// MaxAge is how old the latest sample may be, by the backend's clock.
	MaxAge time.Duration
}

// Backend is what the backend has of a runner.
type Backend struct {
	URL string `json:"url"`
	// Selector is the series that were asked for.
	Selector  string `json:"selector"`
	Delivered bool   `json:"delivered"`
	// Age is the age in seconds of the latest sample; nil: there is none.
	Age        *float64    `json:"age_seconds"`
	Components []Component `json:"components,omitempty"`
	// Problem says what is missing; empty where nothing is, or where the backend could not be asked.
	Problem string `json:"problem,omitempty"`
	// Warnings are the backend's own.
	Warnings []string `json:"warnings,omitempty"`
}

// Component is a component of the runner of which something has arrived.
type Component struct {
	Name string `json:"name"`
	// Targets is how many there are, Up how many of them answered their last scrape.
	Targets int     `json:"targets"`
	Up      int     `json:"up"`
	Age     float64 `json:"age_seconds"`
}

// selector is the series that says that a target was scraped: every one has it, whatever it exposes.
func (q *Query) selector() string {
	text := "up{organization=" + strconv.Quote(q.Organization) + ", runner=" + strconv.Quote(q.Runner)
	if q.Namespace != "" {
		text += ", namespace=" + strconv.Quote(q.Namespace)
	}
	return text + "}"
}

func (q *Query) run(ctx context.Context, interval time.Duration, b *Backend) error {
	b.URL, b.Selector = redacted(q.URL), q.selector()
	httpConfig := config.DefaultHTTPClientConfig
	switch {
	case q.BearerTokenFile != "":
		httpConfig.Authorization = &config.Authorization{Type: "Bearer", CredentialsFile: q.BearerTokenFile}
	case q.Username != "":
		httpConfig.BasicAuth = &config.BasicAuth{Username: q.Username, PasswordFile: q.PasswordFile}
	}
	httpClient, err := config.NewClientFromConfig(httpConfig, "query")
	if err != nil {
		return fmt.Errorf("the backend cannot be asked: %w", err)
	}
	defer httpClient.CloseIdleConnections()
	client, err := api.NewClient(api.Config{Address: q.URL, Client: httpClient})
	if err != nil {
		return fmt.Errorf("the backend cannot be asked: %w", err)
	}
	prometheus := apiv1.NewAPI(checked{client})
	return repeat(ctx, interval, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		if err := q.ask(ctx, prometheus, b); err != nil {
			return false, fmt.Errorf("the backend cannot be asked: %s: %w", b.URL, explain(withoutURL(err),
				"give the address without /api/v1/query: what Prometheus's HTTP API has before it, such as https://mimir.example.com/prometheus"))
		}
		return b.Delivered, nil
	})
}

// ask reads which targets there are, and of when.
func (q *Query) ask(ctx context.Context, prometheus apiv1.API, b *Backend) error {
	scraped, warnings, err := instant(ctx, prometheus, "timestamp("+b.Selector+")")
	if err != nil {
		return err
	}
	up, _, err := instant(ctx, prometheus, b.Selector)
	if err != nil {
		return err
	}
	b.Warnings, b.Age, b.Delivered = warnings, nil, false
	components := map[string]*Component{}
	for _, sample := range scraped {
		// The backend evaluates at its own time, so that a clock here that is wrong does not matter.
		age := max(0, float64(sample.Timestamp)/1000-float64(sample.Value))
		if b.Age == nil || age < *b.Age {
			b.Age = &age
		}
		name := string(sample.Metric["app"])
		if components[name] == nil {
			components[name] = &Component{Name: name, Age: age}
		}
		components[name].Age = min(components[name].Age, age)
	}
	for _, sample := range up {
		// One that has come between the two questions counts the next time.
		if c := components[string(sample.Metric["app"])]; c != nil {
			c.Targets++
			c.Up += int(sample.Value)
		}
	}
	b.Components = nil
	for _, name := range slices.Sorted(maps.Keys(components)) {
		b.Components = append(b.Components, *components[name])
	}
	switch {
	case b.Age == nil:
		b.Problem = "no series of " + b.Selector + ": do the labels fit what the collector was told, and does it write to this backend?"
	case *b.Age > q.MaxAge.Seconds():
		b.Problem = "nothing younger than " + q.MaxAge.String() + ": ask the collector for its own metrics, which know whether it has a backlog"
	default:
		b.Problem, b.Delivered = "", true
	}
	return nil
}

func instant(ctx context.Context, prometheus apiv1.API, expr string) (model.Vector, apiv1.Warnings, error) {
	answer, warnings, _, err := prometheus.Query(ctx, expr, time.Time{})
	if err != nil {
		return nil, nil, err
	}
	vector, ok := answer.(model.Vector)
	if !ok {
		return nil, nil, fmt.Errorf("it answered %s with a %s instead of a vector: is it Prometheus's HTTP API?", expr, answer.Type())
	}
	return vector, warnings, nil
}

// checked makes errors that can be told apart of answers that are not the API's own.
type checked struct{ api.Client }

// Do implements api.Client.
func (c checked) Do(ctx context.Context, request *http.Request) (*http.Response, []byte, error) {
	response, body, err := c.Client.Do(ctx, request)
	if err != nil {
		return response, body, err
	}
	switch contentType := response.Header.Get("Content-Type"); {
	case response.StatusCode == http.StatusBadRequest, response.StatusCode == http.StatusUnprocessableEntity:
	case response.StatusCode/100 != 2:
		err = &statusError{response.StatusCode}
	case !strings.Contains(contentType, "json"):
		err = errors.New("it answered with a page that is not JSON: is it Prometheus's HTTP API, or is a login in front of it?")
	}
	return response, body, err
}
