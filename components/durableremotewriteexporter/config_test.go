// SPDX-License-Identifier: Apache-2.0

package durableremotewriteexporter

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

// Every error says which key, what was found, and what to do.
func TestConfigErrors(t *testing.T) {
	f := func(change map[string]any, want string) {
		t.Helper()
		cfg := createDefaultConfig().(*Config)
		base := map[string]any{"endpoint": "https://prometheus.example/api/v1/write", "log": map[string]any{"directory": "/tmp/log"}}
		conf := confmap.NewFromStringMap(base)
		require.NoError(t, conf.Merge(confmap.NewFromStringMap(change)))
		require.NoError(t, conf.Unmarshal(cfg))
		err := confmap.Validate(cfg)
		if want == "" {
			require.NoError(t, err)
			return
		}
		require.ErrorContains(t, err, want)
	}
	f(nil, "")
	f(map[string]any{"receiver": "azure", "protocol": "1.0", "shards": 4}, "")
	f(map[string]any{"endpoint": ""}, "endpoint: empty: set the receiver's full URL")
	f(map[string]any{"endpoint": "prometheus:9090"}, `endpoint: scheme "prometheus": use a URL that begins with https:// or http://`)
	f(map[string]any{"endpoint": "http://%zz"}, "endpoint: not a URL")
	f(map[string]any{"endpoint": "https://" + "u:p@prometheus.example/"}, "endpoint: a user or password in the URL would get into logs: use an auth extension")
	f(map[string]any{"receiver": "influx"}, `receiver: "influx" is not known, use one of auto, azure, aws`)
	f(map[string]any{"protocol": "3.0"}, `protocol: unknown value "3.0": use auto, "1.0" or "2.0" (in quotes)`)
	f(map[string]any{"names": "ascii"}, `names: unknown value "ascii": use utf8 or escaped`)
	f(map[string]any{"compression": "gzip"}, `compression: "gzip": remote write is always snappy: remove the key`)
	f(map[string]any{"headers": map[string]any{"user-agent": "x"}}, "headers::user-agent: the specification of remote write sets this header: remove it")
	f(map[string]any{"resource_labels": []any{"a", ""}}, "resource_labels[1]: empty")
	f(map[string]any{"shards": 33}, "shards: 33: use 1 to 32")
	f(map[string]any{"timeout": "0s"}, "timeout: 0s would let an attempt hang for ever")
	f(map[string]any{"log": map[string]any{"directory": ""}}, "log: directory: empty: set a folder on a disk that outlives the process")
	f(map[string]any{"log": map[string]any{"segment_bytes": 10}}, "log: segment_bytes: 10: use at least 65536")
	f(map[string]any{"log": map[string]any{"max_bytes": 1 << 20}}, "log: max_bytes: 1048576: use at least four segments")
	f(map[string]any{"log": map[string]any{"max_age": "-1s"}}, "log: max_age: -1s is negative")
	f(map[string]any{"log": map[string]any{"sync_interval": "1m"}}, "log: sync_interval: 1m0s: use 0s to 10s")
	f(map[string]any{"log": map[string]any{"on_full": "panic"}}, `log: on_full: unknown value "panic": use block, drop_oldest, refuse`)
	f(map[string]any{"batch": map[string]any{"max_samples": 0}}, "batch: max_samples: 0: use 1 to 1000000")
	f(map[string]any{"batch": map[string]any{"max_bytes": -1}}, "batch: max_bytes: -1 is negative")
	f(map[string]any{"batch": map[string]any{"max_wait": "1h"}}, "batch: max_wait: 1h0m0s: use 0s to 5m")
	f(map[string]any{"drain": map[string]any{"samples_per_second": -1}}, "drain: samples_per_second: -1 is negative")
	f(map[string]any{"drain": map[string]any{"requests_per_second": -1}}, "drain: requests_per_second: -1 is negative")
	f(map[string]any{"retry": map[string]any{"initial_interval": "0s"}}, "retry: initial_interval: 0s: use a positive time")
	f(map[string]any{"retry": map[string]any{"max_interval": "10ms"}}, "retry: max_interval: 10ms is less than initial_interval, 1s")
	f(map[string]any{"set_aside": map[string]any{"max_bytes": 1}}, "set_aside: max_bytes: 1: use at least 1048576")
	f(map[string]any{"max_sample_age": "-1s"}, "max_sample_age: -1s is negative")
}
