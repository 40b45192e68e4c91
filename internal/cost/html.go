// SPDX-License-Identifier: Apache-2.0

package cost

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"unicode/utf8"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": Count, "size": Size, "usd": USD, "percent": percent, "shown": shown,
	"float": func(n int) float64 { return float64(n) },
	"ratio": ratio,
	"px":    func(n float64) string { return fmt.Sprintf("%.1f", n) },
}).Parse(pageText))

// The size of the treemap, in the units of its drawing, and of what is in it.
const (
	mapWidth, mapHeight = 1120, 520
	mapHeader           = 20  // of a component
	mapGap              = 2   // between tiles
	charWidth           = 6.4 // about, of the tiles' font
	textHeight          = 15
	colors              = 8 // of the style, --s1 to --s8
	maxTiles            = 2000
)

// WriteHTML writes a report as a page that needs nothing from outside.
func WriteHTML(to io.Writer, r *Report) error {
	page := struct {
		*Report
		Map           []mapBranch
		Width, Height int
		Sections      []section
	}{Report: r, Map: treemap(r), Width: mapWidth, Height: mapHeight}
	for _, s := range []section{{"component", r.Components}, {"job", r.Jobs}, {"metric", r.Metrics}} {
		if len(s.Parts) > 0 {
			page.Sections = append(page.Sections, s)
		}
	}
	return pageTemplate.Execute(to, page)
}

type section struct {
	Kind  string
	Parts []Part
}

type mapBranch struct {
	rect
	Part
	Color int // 1 to colors
	Title string
	Tiles []tile
}

type tile struct {
	rect
	Part
	Title string
}

// treemap lays out the samples of components, and of the metrics in them.
func treemap(r *Report) []mapBranch {
	weights := make([]float64, len(r.Tree))
	for i := range r.Tree {
		weights[i] = r.Tree[i].Samples
	}
	var branches []mapBranch
	tiles := 0
	for i, area := range squarify(rect{0, 0, mapWidth, mapHeight}, weights) {
		if area.W <= 0 || area.H <= 0 {
			continue
		}
		b := mapBranch{rect: area, Part: r.Tree[i].Part, Color: 1 + (i+1)%colors}
		b.Title = fit(b.Name, area.W-12, area.H)
		metrics := r.Tree[i].Metrics
		inner := make([]float64, len(metrics))
		for k := range metrics {
			inner[k] = metrics[k].Samples
		}
		for k, a := range squarify(area.inset(mapHeader, mapGap), inner) {
			if a.W <= mapGap || a.H <= mapGap || tiles == maxTiles {
				continue // too small to be seen
			}
			tiles++
			a.W, a.H = a.W-mapGap, a.H-mapGap
			b.Tiles = append(b.Tiles, tile{a, metrics[k], fit(metrics[k].Name, a.W-10, a.H)})
		}
		branches = append(branches, b)
	}
	return branches
}

// fit is as much of a name as there is room for; empty where that is next to nothing.
func fit(name string, width, height float64) string {
	name = shown(name)
	room := int(width / charWidth)
	switch {
	case height < textHeight || room < 4:
		return ""
	case utf8.RuneCountInString(name) <= room:
		return name
	}
	return string([]rune(name)[:room-1]) + "…"
}
