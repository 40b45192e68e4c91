// SPDX-License-Identifier: Apache-2.0

package explain

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page needs nothing from outside, and runs no script. What comes from outside is escaped by html/template.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"stages": stages, "number": func(i int) int { return i + 1 },
}).Parse(pageText))

// WriteHTML writes an explanation as one page that stands alone.
func WriteHTML(w io.Writer, e *Explanation) error {
	return page.Execute(w, struct {
		*Explanation
		Style template.CSS
	}{e, template.CSS(pageStyle)}) //nolint:gosec // our own file
}

// stage is what the steps of one stage come to.
type stage struct {
	Name  string
	Items []item
	Ended bool
}

// item is a step, or several rules without effect.
type item struct {
	Step
	Idle []Step
}

// stages groups the steps of a way.
func stages(steps []Step) []stage {
	var all []stage
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		if len(all) == 0 || all[len(all)-1].Name != s.Stage {
			all = append(all, stage{Name: s.Stage})
		}
		last := &all[len(all)-1]
		last.Ended = last.Ended || s.Ended
		if n := idleRun(steps[i:]); n > 0 {
			last.Items = append(last.Items, item{Step: s, Idle: steps[i : i+n]})
			i += n - 1
			continue
		}
		last.Items = append(last.Items, item{Step: s})
	}
	return all
}

// Title says what a station counts.
func (s Station) Title() string {
	switch s.Stage {
	case StageDiscovery:
		return "targets discovered"
	case StageRelabel:
		return "targets kept"
	case StageScrape:
		return "targets answer"
	case StageMetric:
		return "samples after rules"
	case StageProcessor:
		return "points dropped by scope and limits"
	}
	return "series delivered, the scraper's own included"
}

// Gone is how much is lost at a station.
func (s Station) Gone() int {
	n := 0
	for _, l := range s.Lost {
		n += l.Count
	}
	return n
}

// Share is how much of a station goes on, in percent.
func (s Station) Share() int {
	switch {
	case s.In > 0:
		return 100 * s.Out / s.In
	case s.Gone() > 0:
		return 0
	}
	return 100
}
