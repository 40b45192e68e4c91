package azureadauthextension

import "go.opentelemetry.io/collector/extension"

func NewFactory() extension.Factory { return nil }
