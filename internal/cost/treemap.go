// SPDX-License-Identifier: Apache-2.0

package cost

import "math"

// rect is a rectangle in the units of the drawing.
type rect struct{ X, Y, W, H float64 }

func (r rect) inset(top, sides float64) rect {
	return rect{r.X + sides, r.Y + top, max(0, r.W-2*sides), max(0, r.H-top-sides)}
}

// squarify divides an area among weights, the largest first, each in proportion, into rectangles that are as close to squares as
// they come (Bruls, Huizing and van Wijk, Squarified Treemaps, 2000). A weight of 0 has an empty rectangle.
func squarify(area rect, weights []float64) []rect {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	rects := make([]rect, len(weights))
	if total <= 0 || area.W <= 0 || area.H <= 0 {
		return rects
	}
	scale := area.W * area.H / total
	for begin := 0; begin < len(weights) && weights[begin] > 0; {
		side := min(area.W, area.H)
		end, row := begin+1, weights[begin]*scale
		for end < len(weights) && weights[end] > 0 {
			longer := row + weights[end]*scale
			if worst(weights[begin:end+1], scale, longer, side) > worst(weights[begin:end], scale, row, side) {
				break
			}
			row = longer
			end++
		}
		area = layRow(rects[begin:end], weights[begin:end], scale, row, area)
		begin = end
	}
	return rects
}

// worst is the largest ratio of sides in a row.
func worst(weights []float64, scale, row, side float64) float64 {
	ratio := 0.0
	for _, w := range weights {
		thick := row / side
		long := w * scale / thick
		ratio = max(ratio, thick/long, long/thick)
	}
	return ratio
}

// layRow puts a row along the shorter side, and returns what is left of the area.
func layRow(rects []rect, weights []float64, scale, row float64, area rect) rect {
	along := 0.0
	if area.W >= area.H {
		thick := math.Min(row/area.H, area.W)
		for i, w := range weights {
			long := w * scale / row * area.H
			rects[i] = rect{area.X, area.Y + along, thick, long}
			along += long
		}
		return rect{area.X + thick, area.Y, area.W - thick, area.H}
	}
	thick := math.Min(row/area.W, area.H)
	for i, w := range weights {
		long := w * scale / row * area.W
		rects[i] = rect{area.X + along, area.Y, long, thick}
		along += long
	}
	return rect{area.X, area.Y + thick, area.W, area.H - thick}
}
