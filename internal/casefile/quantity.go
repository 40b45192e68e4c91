// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// quantity is a number, or a comparison with one.
type quantity struct {
	op    string // "" for a number as such
	value float64
}

// operators, with those first that begin like another.
var operators = []string{">=", "<=", "==", "!=", ">", "<"}

// parseQuantity reads 42, NaN, +Inf, or '>= 3'.
func parseQuantity(text string) (quantity, error) {
	q := quantity{}
	number := text
	for _, op := range operators {
		if rest, found := strings.CutPrefix(text, op); found {
			q.op, number = op, strings.TrimSpace(rest)
			break
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return quantity{}, fmt.Errorf("%q is neither a number nor a comparison such as '>= 3'", text)
	}
	q.value = value
	return q, nil
}

// holds says whether a value is the number, or compares as it should. NaN is equal to NaN here.
func (q quantity) holds(v float64) bool {
	equal := v == q.value || math.IsNaN(v) && math.IsNaN(q.value)
	switch q.op {
	case "", "==":
		return equal
	case "!=":
		return !equal
	case ">":
		return v > q.value
	case ">=":
		return v >= q.value
	case "<":
		return v < q.value
	default:
		return v <= q.value
	}
}

func (q quantity) String() string {
	if q.op == "" {
		return number(q.value)
	}
	return q.op + " " + number(q.value)
}

// maxWhole is the largest number up to which all whole ones are exact.
const maxWhole = 1 << 53

// number writes a value as a person would, such that it reads as the same.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < maxWhole {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
