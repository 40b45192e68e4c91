// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Count writes a number for people: 5,213, 369.1 M.
func Count(n float64) string {
	switch {
	case n >= 1e12:
		return fmt.Sprintf("%.1f T", n/1e12)
	case n >= 1e9:
		return fmt.Sprintf("%.1f G", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", n/1e6)
	}
	digits := strconv.FormatInt(int64(math.Round(n)), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Size writes bytes for people; a dash where they are not known.
func Size(n float64) string {
	switch {
	case n <= 0:
		return "-"
	case n >= 1e12:
		return fmt.Sprintf("%.1f TB", n/1e12)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", n/1e3)
	}
	return fmt.Sprintf("%.0f B", n)
}

// USD writes money for people.
func USD(n float64) string {
	switch {
	case n == 0:
		return "0.00"
	case n > 0 && n < 0.005:
		return "<0.01"
	case n >= 10_000:
		return Count(n)
	}
	return fmt.Sprintf("%.2f", n)
}

// percent writes a part of 1.
func percent(part float64) string {
	switch {
	case part <= 0:
		return "0 %"
	case part < 0.005:
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*part)
}

// shown is a name from outside as it can be written to a terminal.
func shown(name string) string {
	if name == "" {
		return "(none)"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, name)
}
