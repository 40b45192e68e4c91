// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// resourceVersion is that of every list: nothing changes.
const resourceVersion = "1"

// maxRequests is how many requests are written down: a client that is refused asks again and again.
const maxRequests = 10_000

// Request is one request and what came of it.
type Request struct {
	Method, Path string
	// Verb is what a Role calls it: get, list, watch, create ...
	Verb string
	// Group and Resource are what was asked for: discovery.k8s.io, endpointslices. Resource is "" for a path that is none.
	Group, Resource, Subresource string
	// Namespace is "" for all namespaces, and for what is in none.
	Namespace, Name string
	// Allowed is false when the answer was 403.
	Allowed bool
}

func (r *Request) resource() string {
	if r.Subresource != "" {
		return r.Resource + "/" + r.Subresource
	}
	return r.Resource
}

// Denial is what was refused for one resource in one namespace.
type Denial struct {
	// Request is the first one.
	Request Request
	// Message is kube-apiserver's: pods is forbidden: User "…" cannot list resource "pods" in API group "" at the cluster scope.
	Message string
	// Rule is what is missing, as YAML for the rules of a Role; "" when no Role can allow the request.
	Rule string
	// Remedy says in a sentence what to do.
	Remedy string
}

// Server answers for a Cluster as kube-apiserver does, to one service account. It is safe for concurrent use.
type Server struct {
	cluster *Cluster
	grants  []grant

	mu       sync.Mutex // guards requests
	requests []Request
}

// NewServer returns the API server of a cluster. A watch lasts until its request is cancelled, or its timeoutSeconds are over.
func NewServer(c *Cluster) *Server {
	return &Server{cluster: c, grants: c.grants()}
}

// Requests returns what was asked, in order; after 10,000 requests none is added.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Forbidden returns what was refused, once for each resource and namespace, in the order in which it was asked for.
func (s *Server) Forbidden() []Denial {
	var denials []Denial
	seen := map[Request]bool{}
	for _, r := range s.Requests() {
		what := Request{Group: r.Group, Resource: r.Resource, Subresource: r.Subresource, Namespace: r.Namespace}
		if r.Resource == "" {
			what.Path = r.Path
		}
		if r.Allowed || seen[what] {
			continue
		}
		seen[what] = true
		d := Denial{Request: r, Message: s.forbidden(&r).ErrStatus.Message}
		d.Rule, d.Remedy = s.cluster.missing(&r)
		denials = append(denials, d)
	}
	return denials
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := parseRequest(r)
	request.Allowed = request.Resource != "" && allows(s.grants, &request)
	s.mu.Lock()
	if len(s.requests) < maxRequests {
		s.requests = append(s.requests, request)
	}
	s.mu.Unlock()

	kind := served(request.Group, request.Resource, r.URL.Path)
	notFound := schema.GroupResource{Group: request.Group, Resource: request.Resource}
	switch {
	case !request.Allowed:
		refuse(w, r, s.forbidden(&request))
	case kind == nil || request.Subresource != "":
		refuse(w, r, apierrors.NewGenericServerResponse(http.StatusNotFound, request.Verb, notFound, "", "", 0, true))
	case request.Verb == "get":
		object, exists := s.cluster.entries[key{kind, namespaceOf(kind, request.Namespace), request.Name}]
		if !exists {
			refuse(w, r, apierrors.NewNotFound(notFound, request.Name))
			return
		}
		answer(w, r, http.StatusOK, kind.GroupVersion, object.object)
	case request.Verb == "list", request.Verb == "watch":
		s.list(w, r, kind, &request)
	default:
		refuse(w, r, apierrors.NewMethodNotSupported(notFound, request.Verb))
	}
}

func (s *Server) forbidden(r *Request) *apierrors.StatusError {
	user := s.cluster.user()
	if r.Resource == "" {
		return apierrors.NewForbidden(schema.GroupResource{}, "", fmt.Errorf("User %q cannot %s path %q", user, r.Verb, r.Path)) //nolint:staticcheck // kube-apiserver's words
	}
	where := "at the cluster scope"
	if r.Namespace != "" {
		where = fmt.Sprintf("in the namespace %q", r.Namespace)
	}
	err := fmt.Errorf("User %q cannot %s resource %q in API group %q %s", user, r.Verb, r.resource(), r.Group, where) //nolint:staticcheck // kube-apiserver's words
	return apierrors.NewForbidden(schema.GroupResource{Group: r.Group, Resource: r.Resource}, r.Name, err)
}

// list answers list and watch.
func (s *Server) list(w http.ResponseWriter, r *http.Request, kind *kind, request *Request) {
	query := r.URL.Query()
	objects, err := s.cluster.list(kind, namespaceOf(kind, request.Namespace), query.Get("labelSelector"), query.Get("fieldSelector"))
	if err != nil {
		refuse(w, r, apierrors.NewBadRequest(err.Error()))
		return
	}
	if request.Verb == "watch" {
		s.watch(w, r, kind, objects)
		return
	}
	list := kind.makeList()
	items := make([]runtime.Object, len(objects))
	for i, o := range objects {
		items[i] = o
	}
	if err := meta.SetList(list, items); err != nil {
		panic(err) // the kind's own list takes the kind's objects
	}
	if accessor, err := meta.ListAccessor(list); err == nil {
		accessor.SetResourceVersion(resourceVersion)
	}
	answer(w, r, http.StatusOK, kind.GroupVersion, list)
}

// watch reports what there is, if that is asked for, and then waits for nothing.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, kind *kind, objects []object) {
	query := r.URL.Query()
	info := serializer(r, true)
	w.Header().Set("Content-Type", info.MediaType+";stream=watch")
	w.WriteHeader(http.StatusOK)
	stream := watchStream{
		objects: scheme.Codecs.EncoderForVersion(info.Serializer, kind.GroupVersion),
		events:  info.StreamSerializer.Serializer,
		media:   info.MediaType,
	}
	frames := info.StreamSerializer.NewFrameWriter(w)
	send := func(kindOfEvent watch.EventType, o runtime.Object) bool {
		stream.buffer.Reset()
		if err := stream.encode(kindOfEvent, o); err != nil {
			return false
		}
		_, err := frames.Write(stream.buffer.Bytes())
		return err == nil // else the client is gone
	}
	initial := query.Get("sendInitialEvents") == "true"
	if version := query.Get("resourceVersion"); initial || query.Get("sendInitialEvents") == "" && (version == "" || version == "0") {
		for _, o := range objects {
			if !send(watch.Added, o) {
				return
			}
		}
	}
	if initial {
		bookmark := kind.make()
		bookmark.SetResourceVersion(resourceVersion)
		bookmark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		if !send(watch.Bookmark, bookmark) {
			return
		}
	}
	if flusher, can := w.(http.Flusher); can {
		flusher.Flush()
	}
	// Without timeoutSeconds a watch of kube-apiserver lasts 30 minutes or more; here it lasts as long as its client.
	var over <-chan time.Time
	if seconds, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.Context().Done():
	case <-over:
	}
}

// watchStream encodes events: the object in the media type of the answer, within an event in the same.
type watchStream struct {
	objects, events runtime.Encoder
	media           string
	buffer          bytes.Buffer
}

func (s *watchStream) encode(kindOfEvent watch.EventType, o runtime.Object) error {
	var raw bytes.Buffer
	if err := s.objects.Encode(o, &raw); err != nil {
		return err
	}
	event := &metav1.WatchEvent{Type: string(kindOfEvent), Object: runtime.RawExtension{Raw: raw.Bytes()}}
	return s.events.Encode(event, &s.buffer)
}

// list returns the objects of a kind that selectors select, in order; namespace "" stands for all.
func (c *Cluster) list(kind *kind, namespace, labelSelector, fieldSelector string) ([]object, error) {
	labelsWanted, err := parseLabels(labelSelector)
	if err != nil {
		return nil, err
	}
	fieldsWanted, err := fields.ParseSelector(fieldSelector)
	if err != nil {
		return nil, err
	}
	for _, requirement := range fieldsWanted.Requirements() {
		if _, known := fieldsOf(kind.make())[requirement.Field]; !known {
			return nil, fmt.Errorf("field label not supported: %s", requirement.Field)
		}
	}
	var objects []object
	for _, k := range c.keys(kind.name) {
		o := c.entries[k].object
		if (namespace == "" || k.namespace == namespace) && labelsWanted(o) && (fieldsWanted.Empty() || fieldsWanted.Matches(fieldsOf(o))) {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// serializer chooses between JSON and protobuf by the Accept header, as far as clients of Kubernetes write it.
func serializer(r *http.Request, stream bool) runtime.SerializerInfo {
	types := scheme.Codecs.SupportedMediaTypes()
	for _, accepted := range strings.Split(r.Header.Get("Accept"), ",") {
		mediaType, parameters, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		if strings.Contains(parameters, "as=") {
			continue // tables and partial objects are not made here
		}
		for _, info := range types {
			if info.MediaType == mediaType && (mediaType == runtime.ContentTypeJSON || mediaType == runtime.ContentTypeProtobuf) && (!stream || info.StreamSerializer != nil) {
				return info
			}
		}
	}
	info, _ := runtime.SerializerInfoForMediaType(types, runtime.ContentTypeJSON) // the scheme has it
	return info
}

func answer(w http.ResponseWriter, r *http.Request, code int, version schema.GroupVersion, o runtime.Object) {
	info := serializer(r, false)
	var body bytes.Buffer
	if err := scheme.Codecs.EncoderForVersion(info.Serializer, version).Encode(o, &body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", info.MediaType)
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes()) // the client may be gone
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		panic(err) // every refusal has a status
	}
	s := status.Status()
	answer(w, r, int(s.Code), schema.GroupVersion{Version: "v1"}, &s)
}

// served returns the kind of a resource that is at its place in the paths, nil for any other.
func served(group, resource, path string) *kind {
	i := slices.IndexFunc(kinds, func(k kind) bool {
		prefix := "/apis/" + k.Group + "/" + k.Version + "/"
		if k.Group == "" {
			prefix = "/api/" + k.Version + "/"
		}
		return k.served && k.Group == group && k.resource == resource && strings.HasPrefix(path, prefix)
	})
	if i < 0 {
		return nil
	}
	return &kinds[i]
}

// namespaceOf is the namespace of a key: a path below /namespaces/NAME asks for what is in it, but also for the namespace itself.
func namespaceOf(kind *kind, namespace string) string {
	if kind.cluster {
		return ""
	}
	return namespace
}

// parseRequest takes a request apart as k8s.io/apiserver/pkg/endpoints/request does.
func parseRequest(r *http.Request) Request {
	request := Request{Method: r.Method, Path: r.URL.Path, Verb: strings.ToLower(r.Method)}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		request.Group, parts = parts[1], parts[3:]
	default:
		return request
	}
	if parts[0] == "namespaces" && len(parts) > 1 {
		request.Namespace = parts[1]
		if len(parts) > 2 {
			parts = parts[2:]
		}
	}
	request.Resource = parts[0]
	if len(parts) > 1 {
		request.Name = parts[1]
	}
	if len(parts) > 2 {
		request.Subresource = parts[2]
	}
	verbs := map[string]string{http.MethodHead: "get", http.MethodPost: "create", http.MethodPut: "update"}
	request.Verb = cmp.Or(verbs[r.Method], request.Verb)
	if request.Verb == "get" && request.Name == "" {
		request.Verb = "list"
		if watches, err := strconv.ParseBool(r.URL.Query().Get("watch")); err == nil && watches {
			request.Verb = "watch"
		}
		// A list of the one object of a name is a request for that name.
		if selector, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector")); err == nil {
			request.Name, _ = selector.RequiresExactMatch("metadata.name")
		}
	}
	return request
}
