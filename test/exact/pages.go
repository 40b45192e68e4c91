// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"
	"time"
)

//go:embed pages
var pageFiles embed.FS

const (
	textFormat        = "text/plain; version=0.0.4; charset=utf-8"
	openMetricsFormat = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// fault says how a page is served when it is not served well.
type fault string

const (
	noFault        fault = ""
	serverError    fault = "500"
	neverAnswers   fault = "slow"
	cutsConnection fault = "truncated"
)

// page is what one scrape gets.
type page struct {
	contentType string
	body        []byte
	fault       fault
}

// target is one scraped endpoint and the pages that it serves, one per scrape; the last one is repeated.
type target struct {
	job   string
	name  string
	pages []page
}

func (t target) path() string { return "/" + t.job + "/" + t.name }

// loadTargets returns every target of the pages folder and of protobuf.go. base is the time that explicit timestamps
// are relative to.
func loadTargets(base time.Time) ([]target, error) {
	targets, err := protobufTargets(base)
	if err != nil {
		return nil, err
	}
	targets = append(targets, target{job: "default", name: "large", pages: []page{largePage(1), largePage(2)}})
	funcs := template.FuncMap{
		"ms": func(offset int64) string { return fmt.Sprint(base.UnixMilli() + offset) },
		"s":  func(offset int64) string { return fmt.Sprintf("%.3f", float64(base.UnixMilli()+offset)/1000) },
	}
	err = fs.WalkDir(pageFiles, "pages", func(file string, entry fs.DirEntry, err error) error {
		contentType, served := map[string]string{".txt": textFormat, ".om": openMetricsFormat}[path.Ext(file)]
		if err != nil || entry.IsDir() || !served {
			return err
		}
		source, err := pageFiles.ReadFile(file)
		if err != nil {
			return err
		}
		tmpl, err := template.New(file).Funcs(funcs).Parse(string(source))
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := tmpl.Execute(&text, nil); err != nil {
			return err
		}
		pages, err := splitPages(text.String(), contentType)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		targets = append(targets, target{
			job:   path.Base(path.Dir(file)),
			name:  strings.TrimSuffix(path.Base(file), path.Ext(file)),
			pages: pages,
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	return targets, nil
}

// largePage is a page that an exporter has to send as several requests: about 4 MB of remote write.
func largePage(scrape int) page {
	const series = 10_000
	var b bytes.Buffer
	b.WriteString("# TYPE large_total counter\n")
	for i := range series {
		fmt.Fprintf(&b, "large_total{number=\"%d\"} %d\n", i, scrape*series+i)
	}
	return page{contentType: textFormat, body: b.Bytes()}
}

// splitPages cuts the text of a file at its "#! next" lines.
func splitPages(text, contentType string) ([]page, error) {
	pages := []page{{contentType: contentType}}
	for line := range strings.Lines(text) {
		directive, found := strings.CutPrefix(line, "#! ")
		if !found {
			last := &pages[len(pages)-1]
			last.body = append(last.body, line...)
			continue
		}
		verb, how, _ := strings.Cut(strings.TrimSpace(directive), " ")
		if verb == "next" {
			pages = append(pages, page{contentType: contentType})
		} else if verb != "first" || len(pages[0].body) > 0 {
			return nil, fmt.Errorf("line %q: want `#! next [500|slow|truncated]`, or `#! first ...` as the first line", strings.TrimSpace(line))
		}
		switch f := fault(how); f {
		case noFault, serverError, neverAnswers, cutsConnection:
			pages[len(pages)-1].fault = f
		default:
			return nil, fmt.Errorf("line %q: %q is none of 500, slow, truncated", strings.TrimSpace(line), how)
		}
	}
	return pages, nil
}
