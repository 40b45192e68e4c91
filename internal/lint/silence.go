// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
)

// A silence is a comment of the form
//
//	# runnerctl-lint: disable=rule-a,rule-b the reason
//
// It speaks for its line, or alone on a line for the next one that is no comment, or before the first line of the content
// for the whole file.
type silence struct {
	line, column, end int
	target            int // the line it speaks for; 0 for the whole file
	rules             []string
	reason            string
}

// hush is a rule that is silenced in a line, or in the whole file.
type hush struct {
	line int
	rule string
}

// silences are the comments of a file, and what each finding was silenced by.
type silences struct {
	comments []*silence
	used     map[hush]bool
}

var silenceComment = regexp.MustCompile(`(?:^|\s)(#\s*runnerctl-lint:\s*(?:disable=([A-Za-z0-9,_-]+))?\s*(.*?)\s*)$`)

func readSilences(f *configfile.File) silences {
	out := silences{used: map[hush]bool{}}
	var waiting []*silence
	content := false
	for number := 1; number <= f.Lines(); number++ {
		line := f.Line(number)
		text := strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		alone := strings.HasPrefix(text, "#")
		if !alone && text != "" && text != "---" {
			content = true
			for _, s := range waiting {
				s.target = number
			}
			waiting = nil
		}
		m := silenceComment.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		s := &silence{line: number, column: len([]rune(line[:m[2]])) + 1, reason: line[m[6]:m[7]], target: number}
		s.end = s.column + len([]rune(line[m[2]:m[3]]))
		if m[4] >= 0 {
			s.rules = strings.Split(line[m[4]:m[5]], ",")
		}
		switch {
		case alone && !content:
			s.target = 0
		case alone:
			waiting = append(waiting, s)
		}
		out.comments = append(out.comments, s)
	}
	return out
}

// apply leaves out what is silenced.
func (all silences) apply(findings []Finding) []Finding {
	for _, s := range all.comments {
		for _, rule := range s.rules {
			all.used[hush{s.target, rule}] = false
		}
	}
	return slices.DeleteFunc(findings, func(f Finding) bool {
		hit := false
		for _, h := range []hush{{0, f.Rule}, {f.Line, f.Rule}} {
			if _, silenced := all.used[h]; silenced {
				all.used[h], hit = true, true
			}
		}
		return hit
	})
}

// check finds silences that are of no use.
func (all silences) check(c *checker) {
	known := map[string]bool{}
	for _, r := range Rules() {
		known[r.ID] = true
	}
	for _, s := range all.comments {
		at := func(message string) *Finding {
			return c.addAt(configfile.Position{Line: s.line, Column: s.column}, s.end, message)
		}
		if len(s.rules) == 0 {
			at("comment silences no rule")
			continue
		}
		for _, id := range s.rules {
			switch {
			case !known[id]:
				at("there is no rule " + shown(id))
			case !all.used[hush{s.target, id}]:
				at("rule " + id + " finds nothing here").Fix = "remove the comment, or put it on the line of the finding or right above it"
			case s.reason == "":
				at("rule " + id + " is silenced without a reason").Fix = "write the reason behind the rule's id"
			}
		}
	}
}

func silenceRule() Rule {
	for _, r := range fileRules() {
		if r.ID == "bad-silence" {
			return r
		}
	}
	panic("no rule bad-silence")
}
