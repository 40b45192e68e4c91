// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Request is one request to the API server.
type Request struct {
	// Began is when it was received.
	Began time.Time
	// User is who asked, for example system:serviceaccount:runner:otel.
	User string
	// Agent is the User-Agent of who asked.
	Agent string
	// Verb is Kubernetes's, for example watch, or the lower-case HTTP method where no object is meant.
	Verb string
	// URI is the path and the query.
	URI string
	// Group, Resource, Subresource, Namespace and Name say which object is meant. All are empty for paths like /version.
	// Namespace is empty for requests across namespaces as well.
	Group, Resource, Subresource, Namespace, Name string
	// Code is the HTTP status of the answer.
	Code int
	// Running says that the answer goes on, as a watch's does.
	Running bool
}

// ServiceAccount returns the namespace and the name of the service account that asked; ok is false for other users.
func (r *Request) ServiceAccount() (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(r.User, "system:serviceaccount:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// Requests are all that the API server was asked and has begun to answer, in the order of the answers.
func (n *Node) Requests() ([]Request, error) {
	log, err := n.auditLog()
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // it was only read
	requests, err := readAudit(log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", log.Name(), err)
	}
	return requests, nil
}

// event is what we read of an audit.k8s.io/v1 Event.
type event struct {
	AuditID        string    `json:"auditID"`
	Stage          string    `json:"stage"`
	RequestURI     string    `json:"requestURI"`
	Verb           string    `json:"verb"`
	UserAgent      string    `json:"userAgent"`
	ReceivedAt     time.Time `json:"requestReceivedTimestamp"`
	User           struct{ Username string }
	ResponseStatus struct{ Code int }
	ObjectRef      struct{ APIGroup, Resource, Subresource, Namespace, Name string }
}

// readAudit reads a log to which the API server may be writing: a last line that is not complete is left for later.
func readAudit(log io.Reader) ([]Request, error) {
	var requests []Request
	began := map[string]int{} // a long request has two events, with one auditID
	lines := bufio.NewReader(log)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return requests, nil
		}
		if err != nil {
			return nil, err
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		request := e.request()
		if at, ok := began[e.AuditID]; ok {
			requests[at] = request
			continue
		}
		began[e.AuditID] = len(requests)
		requests = append(requests, request)
	}
}

func (e *event) request() Request {
	return Request{
		Began: e.ReceivedAt, User: e.User.Username, Agent: e.UserAgent, Verb: e.Verb, URI: e.RequestURI,
		Group: e.ObjectRef.APIGroup, Resource: e.ObjectRef.Resource, Subresource: e.ObjectRef.Subresource,
		Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
		Code: e.ResponseStatus.Code, Running: e.Stage == "ResponseStarted",
	}
}
