// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/util/compression"
)

// answerShown is how much of an answer's body is kept.
const answerShown = 300

// entry is one line of the journal: a request as it arrives, before anything is done with it, or its answer, before
// it is sent. A process that is killed leaves every entry that it wrote, and at most one torn one at the end.
type entry struct {
	Request int // number of the request within this journal
	// Status is zero when the request arrives. Body is the beginning of an answer that is not a success.
	Status int
	Body   string
	// Names are series that the journal had not named before; their numbers follow one another.
	Names []string
	// Series, T (milliseconds) and V are the samples of the request, in its order.
	Series []uint32
	T      []int64
	V      []float64
}

// journal writes down the remote-write requests that pass through it.
type journal struct {
	next http.Handler

	mu       sync.Mutex // guards what follows
	encoder  *gob.Encoder
	requests int
	series   map[string]uint32
}

// newJournal returns a handler that writes every request to next into w, and its answer.
func newJournal(w io.Writer, next http.Handler) *journal {
	return &journal{next: next, encoder: gob.NewEncoder(w), series: map[string]uint32{}}
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone: there is nobody to answer, and next would see half a request
	}
	number, err := j.arrived(r.Header.Get("Content-Type"), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	recorder := &answerRecorder{ResponseWriter: w, status: http.StatusOK}
	j.next.ServeHTTP(recorder, r)
	if err := j.write(entry{Request: number, Status: recorder.status, Body: recorder.body.String()}); err != nil {
		panic(http.ErrAbortHandler) // net/http's way to break the connection: an answer that is not in the journal is none
	}
}

func (j *journal) write(e entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.encoder.Encode(e)
}

// arrived writes down a request and returns its number. One that cannot be decoded has no samples; the receiver will
// refuse it.
func (j *journal) arrived(contentType string, body []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{Request: j.requests}
	j.requests++
	add := func(ls labels.Labels, t int64, v float64) {
		key := ls.String()
		number, known := j.series[key]
		if !known {
			number = uint32(len(j.series)) //nolint:gosec // a test has few series
			j.series[key] = number
			e.Names = append(e.Names, key)
		}
		e.Series, e.T, e.V = append(e.Series, number), append(e.T, t), append(e.V, v)
	}
	if raw, err := compression.Decode(compression.Snappy, body, nil); err == nil {
		decode(strings.Contains(contentType, "io.prometheus.write.v2"), raw, add)
	}
	return e.Request, j.encoder.Encode(e)
}

// decode hands the float samples of a request to add.
func decode(v2 bool, raw []byte, add func(labels.Labels, int64, float64)) {
	builder := labels.NewScratchBuilder(0)
	if !v2 {
		var request prompb.WriteRequest
		if request.Unmarshal(raw) != nil {
			return
		}
		for _, series := range request.Timeseries {
			ls := series.ToLabels(&builder, nil)
			for _, s := range series.Samples {
				add(ls, s.Timestamp, s.Value)
			}
		}
		return
	}
	var request writev2.Request
	if request.Unmarshal(raw) != nil {
		return
	}
	for _, series := range request.Timeseries {
		ls, err := series.ToLabels(&builder, request.Symbols)
		if err != nil {
			return
		}
		for _, s := range series.Samples {
			add(ls, s.Timestamp, s.Value)
		}
	}
}

// answerRecorder keeps the status and the beginning of an error.
type answerRecorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *answerRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *answerRecorder) Write(p []byte) (int, error) {
	if r.status >= http.StatusMultipleChoices {
		r.body.Write(p[:min(len(p), max(0, answerShown-r.body.Len()))])
	}
	return r.ResponseWriter.Write(p)
}

// readJournal hands the entries of a journal to each, up to the one that a kill has torn.
func readJournal(path string, each func(entry)) error {
	file, err := os.Open(path) //nolint:gosec // a file of our own
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	decoder := gob.NewDecoder(file)
	for {
		var e entry
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("journal %s: %w", path, err)
		}
		each(e)
	}
}
