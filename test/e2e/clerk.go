// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/account"
)

// clerk goes round the pods all the time and writes down what the stand-ins answered, and when a collector ended.
type clerk struct {
	cluster  *cluster
	standIns *standIns
	book     account.Book

	walking sync.Mutex // held for a round; before mu

	mu         sync.Mutex // guards what follows
	namespaces []string
	pods       map[string]map[string]bool     // every pod ever seen, by namespace
	live       map[string][]account.Target    // the stand-ins with metrics that answered in the last round, by namespace
	collectors map[types.UID]collectorLife    // the collectors' pods that are there
	requests   map[string]map[string]int      // by pod, what it was asked for
	container  map[types.UID]map[string]int32 // restarts that are known
}

type collectorLife struct {
	namespace, address string
}

// rounds is how often the clerk goes round.
const rounds = time.Second

// farewell is how long a process may go on whose pod is not there any more: one that was deleted by force is killed a little
// later. Its address is given to nobody else so soon.
const farewell = 10 * time.Second

func newClerk(c *cluster, s *standIns) *clerk {
	return &clerk{
		cluster: c, standIns: s, pods: map[string]map[string]bool{}, live: map[string][]account.Target{}, collectors: map[types.UID]collectorLife{},
		requests: map[string]map[string]int{}, container: map[types.UID]map[string]int32{},
	}
}

// visit adds a namespace to the rounds.
func (c *clerk) visit(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespaces = append(c.namespaces, namespace)
	c.pods[namespace] = map[string]bool{}
}

// work goes round until rest is called, which waits for the end of a round.
func (c *clerk) work(ctx context.Context) (rest func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			c.round(ctx)
			_ = sleep(ctx, rounds) // the loop ends with it
		}
	}()
	return func() { cancel(); <-done }
}

// round goes round once. Rounds do not overlap: what one of them saw must not be older than what the other knows.
func (c *clerk) round(ctx context.Context) {
	c.walking.Lock()
	defer c.walking.Unlock()
	c.mu.Lock()
	namespaces := slices.Clone(c.namespaces)
	c.mu.Unlock()
	present := map[types.UID]bool{}
	for _, namespace := range namespaces {
		pods, err := c.cluster.pods(ctx, namespace, "")
		if err != nil {
			return // nobody is taken for gone because nobody could be asked
		}
		var live []account.Target
		for _, pod := range pods {
			present[pod.UID] = true
			if target, found := c.meet(ctx, pod); found {
				live = append(live, target)
			}
		}
		c.mu.Lock()
		c.live[namespace] = live
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, life := range c.collectors {
		if !present[uid] {
			c.book.End(life.address, time.Now().Add(farewell))
			delete(c.collectors, uid)
		}
	}
}

// meet writes down what is to be known of one pod.
func (c *clerk) meet(ctx context.Context, pod corev1.Pod) (target account.Target, found bool) {
	c.mu.Lock()
	c.pods[pod.Namespace][pod.Name] = true
	c.mu.Unlock()
	if pod.Status.PodIP == "" || pod.Status.Phase != corev1.PodRunning {
		return target, false
	}
	if pod.Labels[componentLabel] == collectorComponent {
		c.meetCollector(pod)
		return target, false
	}
	if pod.Annotations["prometheus.io/scrape"] != "true" {
		return target, false
	}
	answer, err := c.standIns.ask(ctx, pod)
	if err != nil {
		return target, false // it begins or ends; it is missed where it is expected
	}
	target = account.Target{Namespace: pod.Namespace, Pod: pod.Name, Life: answer.Life}
	scrapes := make([]account.Scrape, len(answer.Scrapes))
	for i, s := range answer.Scrapes {
		scrapes[i] = account.Scrape{Number: s.Number, At: time.UnixMilli(s.At), From: s.From, Complete: s.Complete}
	}
	c.book.Add(target, scrapes...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[pod.Namespace+"/"+pod.Name] = answer.Requests
	return target, pod.DeletionTimestamp == nil
}

// meetCollector notes the end of a collector whose container was started again, and that the pod is there.
func (c *clerk) meetCollector(pod corev1.Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.collectors[pod.UID] = collectorLife{pod.Namespace, pod.Status.PodIP}
	if c.container[pod.UID] == nil {
		c.container[pod.UID] = map[string]int32{}
	}
	for _, status := range pod.Status.ContainerStatuses {
		end := status.LastTerminationState.Terminated
		if status.Name != collectorContainer || end == nil || status.RestartCount == c.container[pod.UID][status.Name] {
			continue
		}
		c.container[pod.UID][status.Name] = status.RestartCount
		// The time is cut to a second, and a collector takes longer than that to come back to its first scrape.
		c.book.End(pod.Status.PodIP, end.FinishedAt.Add(time.Second))
	}
}

// met says whether there has ever been a stand-in of the namespace.
func (c *clerk) met(namespace string) bool {
	return slices.ContainsFunc(c.book.Targets(), func(t account.Target) bool { return t.Namespace == namespace })
}

// known says whether a pod of that name has ever been in the namespace.
func (c *clerk) known(namespace, pod string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pods[namespace][pod]
}

// targets are the stand-ins of a namespace with metrics that are there.
func (c *clerk) targets(namespace string) []account.Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.live[namespace])
}

// askers are the addresses that scraped the stand-ins of a namespace since a time, the stand-ins that were not scraped, and
// those that were scraped by two.
func (c *clerk) askers(namespace string, since time.Time) (askers, missed, twice []string) {
	all := map[string]bool{}
	for _, target := range c.targets(namespace) {
		from := map[string]bool{}
		for _, s := range c.book.Scrapes(target, since) {
			from[s.From], all[s.From] = true, true
		}
		if len(from) == 0 {
			missed = append(missed, target.Pod)
		}
		if len(from) > 1 {
			twice = append(twice, fmt.Sprintf("%s by %v", target.Pod, slices.Sorted(maps.Keys(from))))
		}
	}
	return slices.Sorted(maps.Keys(all)), missed, twice
}

// addresses are those of pods.
func addresses(pods []corev1.Pod) []string {
	all := make([]string, len(pods))
	for i, pod := range pods {
		all[i] = pod.Status.PodIP
	}
	return all
}

// standInAnswer is what a stand-in says about itself.
type standInAnswer struct {
	Life    string `json:"life"`
	Scrapes []struct {
		Number   int    `json:"number"`
		At       int64  `json:"at"`
		From     string `json:"from"`
		Complete bool   `json:"complete"`
	} `json:"scrapes"`
	Requests map[string]int `json:"requests"`
}

// controlPath is where a stand-in is asked about itself and told what to do. The collector never asks for it.
const controlPath = "/control"

// standIns is the client for them, who are asked from the node: the runner's NetworkPolicies let nobody else in. Pods come and go
// under the same addresses: no connection is kept.
type standIns struct{ http.Client }

func newStandIns(dial func(ctx context.Context, network, address string) (net.Conn, error)) *standIns {
	return &standIns{http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}}
}

func controlURL(pod corev1.Pod) string {
	port := pod.Annotations["prometheus.io/port"]
	return "http://" + net.JoinHostPort(pod.Status.PodIP, port) + controlPath
}

func (c *standIns) ask(ctx context.Context, pod corev1.Pod) (answer standInAnswer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, controlURL(pod), nil)
	if err != nil {
		return answer, err
	}
	body, err := c.do(request)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(body, &answer)
}

// explode gives a stand-in that many more series; 0 takes them away.
func (c *standIns) explode(ctx context.Context, pod corev1.Pod, series int) error {
	command := []byte(`{"series":` + strconv.Itoa(series) + `}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, controlURL(pod), bytes.NewReader(command))
	if err != nil {
		return err
	}
	_, err = c.do(request)
	return err
}

func (c *standIns) do(request *http.Request) ([]byte, error) {
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", request.Method, request.URL, response.Status, tail(string(body), 200))
	}
	return body, nil
}
