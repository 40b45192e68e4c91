// SPDX-License-Identifier: Apache-2.0

package azureadauthextension

import (
	"context"

	"github.com/prometheus/prometheus/storage/remote/azuread"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/kubiyabot/otelcol-runner/components/azureadauthextension/internal/metadata"
)

// defaultCloud is Prometheus's default, too.
const defaultCloud = azuread.AzurePublic

// NewFactory creates the factory of the azuread_auth extension.
func NewFactory() extension.Factory {
	return extension.NewFactory(
		metadata.Type,
		createDefaultConfig,
		createExtension,
		metadata.ExtensionStability,
	)
}

func createDefaultConfig() component.Config {
	return &Config{Cloud: defaultCloud}
}

func createExtension(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
	return newAuthenticator(cfg.(*Config), set.Logger), nil
}
