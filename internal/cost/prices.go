// SPDX-License-Identifier: Apache-2.0

package cost

// Own is the ID of a plan that ParsePrice made.
const Own = "own"

// PricesRead is the day on which the table of prices was made.
const PricesRead = "2026-11-24"

const (
	azurePage   = "https://azure.microsoft.com/pricing/details/monitor/"
	awsPage     = "https://aws.amazon.com/prometheus/pricing/"
	googlePage  = "https://cloud.google.com/stackdriver/pricing"
	grafanaPage = "https://grafana.com/pricing/"
	grafanaDocs = "https://grafana.com/docs/grafana-cloud/cost-management-and-billing/understand-usage-cost/metrics"
)

// Plans returns the published prices. docs/prices.md is written from them.
func Plans() []Plan {
	return []Plan{
		{
			ID: "azure", Name: "Azure Monitor managed service for Prometheus", Region: "where a region was named, it is germanywestcentral",
			Tiers: []Tier{{PerMillion: 0.016}},
			Assumptions: []string{
				"18 months of storage are included. Queries are billed too (quoted: 0.001 USD per 10 million samples processed) and are not in the figure.",
				"A native histogram counts as one sample: how Azure Monitor bills them was not found.",
			},
			Figures: []Figure{
				{"0.16 USD per 10 million samples ingested", azurePage, false, "quoted alike by several public engineering documents of 2025 and 2026, one of them from the retail prices of germanywestcentral; the page itself could not be read"},
				{"billed by ingestion and query, storage included", "https://learn.microsoft.com/azure/azure-monitor/metrics/prometheus-metrics-overview", true, "a stored copy of the page"},
			},
		},
		{
			ID: "aws", Name: "Amazon Managed Service for Prometheus", Region: "the same in the regions that were quoted, Singapore among them",
			Tiers:   []Tier{{UpTo: 2e9, PerMillion: 0.09}, {UpTo: 252e9, PerMillion: 0.035}, {PerMillion: 0.016}},
			Storage: &Storage{PerGiBMonth: 0.03, BytesPerSample: 2, Days: 150},
			Assumptions: []string{
				"The free tier (40 million samples and 10 GB a month) is the account's and is not taken off. The tiers begin at the first sample: nothing else is ingested in the account and region.",
				"Storage is that of a workspace which has kept 150 days, its default, at 2 bytes a sample (the page says 1 or 2), without names and labels. Queries (0.10 USD per billion samples) and managed collectors are not in the figure.",
				"A native histogram counts as one sample, which is too little: Amazon's announcement says that they cost up to 75 % less than classic ones, not how they are counted.",
			},
			Figures: []Figure{
				{"0.90 USD per 10 million samples up to 2 billion a month", awsPage, false, "quoted alike by public documents from 2022 to October 2026"},
				{"0.35 USD for the next 250 billion, 0.16 USD above", awsPage, false, "quoted by a comparison of 2022-04-04 and later ones; not seen confirmed in 2026"},
				{"0.03 USD per GB and month stored", awsPage, false, "quoted alike by public documents from 2022 to October 2026"},
				{"a GB is 2^30 bytes, a sample typically 1 or 2 bytes; the free tier", awsPage, true, "a stored copy of the page"},
			},
		},
		{
			ID: "google", Name: "Google Cloud Managed Service for Prometheus", Region: "no region was named",
			Tiers:   []Tier{{UpTo: 50e9, PerMillion: 0.06}, {UpTo: 250e9, PerMillion: 0.048}, {UpTo: 500e9, PerMillion: 0.036}, {PerMillion: 0.024}},
			Buckets: true,
			Assumptions: []string{
				"A histogram counts as two samples and one for each bucket that is not empty, a classic one as well as a native one. The tiers begin at the first sample of the billing account.",
				"24 months of storage are included. Reads through the API are billed too and are not in the figure.",
			},
			Figures: []Figure{
				{"0.06, 0.048, 0.036 and 0.024 USD per million samples up to 50, 250 and 500 billion a month and above", googlePage, false, "quoted by a public comparison of 2026, as effective from 2023-08-08; the first tier by others too. The stored copy of the page is older (0.15 USD)"},
				{"a point of a histogram is two samples and one for each bucket that is not empty", googlePage, false, "quoted by the same comparison"},
			},
		},
		{
			ID: "grafana_cloud", Name: "Grafana Cloud Metrics, Pro", Region: "no region was named",
			PerThousandSeries: 6.50, PerMinute: 1,
			Assumptions: []string{
				"Billed is the larger of active series and samples a minute (1 for each series is included): with an interval below 60 s, samples decide. The 95th percentile of the month is taken to be the moment that was measured.",
				"The platform fee (19 USD a month) and the 10,000 series in it are the account's and are neither added nor taken off. Discounts by volume are not published: this is the highest rate.",
				"A native histogram counts as one series, which is too little: Grafana counts its buckets by a rule that could not be read.",
			},
			Figures: []Figure{
				{"from 6.50 USD per 1,000 series; 19 USD a month with 10,000 series in it", grafanaPage, false, "quoted alike by several public documents of August and September 2026"},
				{"max(active series, samples a minute / 1), 95th percentile, active for 20 minutes", grafanaDocs, true, "a stored copy of the page"},
			},
		},
	}
}
