// SPDX-License-Identifier: Apache-2.0

package cost

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// The month that all figures are for: a twelfth of a year of 365.25 days.
const (
	monthDays    = 30.4375
	monthSeconds = monthDays * 24 * 60 * 60
)

// Plan is a price list. All prices are in US dollars.
type Plan struct {
	// ID is what --service calls it; own for a price of one's own.
	ID string `json:"id"`
	// Name is the service.
	Name string `json:"name"`
	// Region says where the prices are valid.
	Region string `json:"region,omitempty"`
	// Tiers are the prices of samples, from the first sample of a month on. Empty where samples are not what is billed.
	Tiers []Tier `json:"tiers,omitempty"`
	// Buckets says that a histogram is billed by its buckets that are not empty, and two.
	Buckets bool `json:"histograms_by_bucket,omitempty"`
	// PerThousandSeries is the price of 1,000 active series a month; 0 where series are not what is billed.
	PerThousandSeries float64 `json:"usd_per_thousand_series,omitempty"`
	// PerMinute is how many samples a minute of each series are included. More of them are billed as more series; 0: any number is.
	PerMinute float64 `json:"samples_per_minute_included,omitempty"`
	// Storage is the price of what is kept; nil where ingestion includes it.
	Storage *Storage `json:"storage,omitempty"`
	// Assumptions are what the figures leave out, and how histograms are counted.
	Assumptions []string `json:"assumptions,omitempty"`
	// Figures say where each number is from.
	Figures []Figure `json:"figures,omitempty"`
}

// Tier is a price up to a number of samples a month.
type Tier struct {
	// UpTo is the number of samples at which the tier ends; 0: it does not end.
	UpTo float64 `json:"up_to_samples,omitempty"`
	// PerMillion is the price of a million samples.
	PerMillion float64 `json:"usd_per_million_samples"`
}

// Storage is the price of samples that are kept.
type Storage struct {
	PerGiBMonth    float64 `json:"usd_per_gib_month"`
	BytesPerSample float64 `json:"bytes_per_sample"`
	Days           float64 `json:"retention_days"`
}

// Figure is a published number, and how it is known.
type Figure struct {
	What string `json:"what"`
	// URL is where the service publishes it.
	URL string `json:"url"`
	// AtSource says that it was read on a copy of that page. Otherwise others have quoted the page.
	AtSource bool `json:"read_at_the_source"`
	// Basis says which copy, or who quotes it.
	Basis string `json:"basis"`
}

// weight is how many samples of the bill a sample of the series is.
func (p *Plan) weight(s *Series) float64 {
	switch {
	case !p.Buckets:
		return 1
	case s.Native:
		return float64(2 + s.Buckets)
	case s.EmptyBucket:
		return 0
	}
	return 1
}

// use is what a plan bills.
type use struct {
	series  float64
	samples float64 // a month, as the plan counts them
}

func (p *Plan) use(series []Series, runners int) use {
	var u use
	for i := range series {
		u.series += float64(series[i].Count)
		u.samples += series[i].PerSecond * monthSeconds * p.weight(&series[i])
	}
	u.series *= float64(runners)
	u.samples *= float64(runners)
	return u
}

// billedSeries is the number of series on the bill. 1/PerMinute of the samples a minute are series as well, if that is more.
func (p *Plan) billedSeries(u use) float64 {
	if p.PerMinute == 0 {
		return u.series
	}
	return max(u.series, u.samples/(monthSeconds/60)/p.PerMinute)
}

// USD is what a use costs a month.
func (p *Plan) usd(u use) float64 {
	usd, begin := p.billedSeries(u)/1000*p.PerThousandSeries, 0.0
	for _, tier := range p.Tiers {
		end := tier.UpTo
		if end == 0 {
			end = math.Inf(1)
		}
		usd += max(0, min(u.samples, end)-begin) / 1e6 * tier.PerMillion
		begin = end
	}
	if p.Storage != nil {
		const gib = 1 << 30
		usd += u.samples / monthDays * p.Storage.Days * p.Storage.BytesPerSample / gib * p.Storage.PerGiBMonth
	}
	return usd
}

// share is how much of the bill for all a part is: its share of what is billed.
func (p *Plan) share(part, all use) float64 {
	bySeries := p.PerThousandSeries > 0 && p.billedSeries(all) == all.series
	switch {
	case bySeries && all.series > 0:
		return part.series / all.series
	case !bySeries && all.samples > 0:
		return part.samples / all.samples
	}
	return 0
}

var pricePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)/([0-9]+(?:\.[0-9]+)?)?([kMGB])?-?(samples|series)$`)

// ParsePrice reads a price of one's own: 0.16/10M-samples, 6.50/1k-series. The price is in US dollars a month.
func ParsePrice(text string) (*Plan, error) {
	m := pricePattern.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is no price: write dollars per samples or series, such as 0.16/10M-samples or 6.50/1k-series", text)
	}
	usd, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	number := 1.0
	if m[2] != "" {
		if number, err = strconv.ParseFloat(m[2], 64); err != nil || number == 0 {
			return nil, fmt.Errorf("%q is a price for nothing: write dollars per samples or series, such as 0.16/10M-samples", text)
		}
	}
	number *= multiple(m[3])
	p := &Plan{ID: Own, Name: "own price, " + text}
	if m[4] == "series" {
		p.PerThousandSeries = usd / number * 1000
	} else {
		p.Tiers = []Tier{{PerMillion: usd / number * 1e6}}
	}
	return p, nil
}

// multiple is what a letter behind a number stands for.
func multiple(letter string) float64 {
	switch letter {
	case "k":
		return 1e3
	case "M":
		return 1e6
	case "G", "B":
		return 1e9
	}
	return 1
}
