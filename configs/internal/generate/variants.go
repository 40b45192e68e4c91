// SPDX-License-Identifier: Apache-2.0

package main

const azureAbout = `Azure Monitor managed Prometheus. REMOTE_WRITE_URL is the metrics ingestion endpoint of the data collection rule:
https://DCE.REGION.metrics.ingest.monitor.azure.com/dataCollectionRules/DCR/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24
The identity needs the role Monitoring Metrics Publisher on the data collection rule; after the assignment Azure
answers 403 for up to 30 minutes. What is scraped meanwhile waits in the log.
Azure takes only samples whose time is within 20 minutes of its own, and answers 2xx to others, which it drops. Samples
that have waited for longer are therefore not sent but set aside in LOG_DIRECTORY/expired, and counted, and runnerctl
log export --expired makes TSDB blocks of them. What Azure drops after accepting it shows in the workspace's metrics
"Events Dropped" and "Time Series Samples Dropped": watch those.
`

// classicNames is for receivers of which it is not known, or not by default so, that they take UTF-8 names.
const classicNames = `# UTF-8 names, should a component have one, get underscores: this receiver is not known to take them.
names: escaped
`

const azureCloudEnv = "  AZURE_CLOUD          AzurePublic or AzureChina, AzureGovernment\n"

const prometheusRefuses = `Prometheus answers 400 to a sample that is out of order, too old or a duplicate with another value: it is found and set aside, the
rest is stored. A sample is too old when the server has others that are more than an hour newer, or more than its
out_of_order_time_window: an outage of the collector's network alone ends well, whatever its length.
`

// gatewayEnv and gatewayExtension are for a token that something in front of the receiver asks for.
const gatewayEnv = "  BEARER_TOKEN_FILE    required  path of the file with the token, a mounted Secret\n"

const gatewayExtension = `# The file is watched: a new token needs no restart.
bearertokenauth:
  filename: ${env:BEARER_TOKEN_FILE}
`

// variants are the files beside collector.yaml.
var variants = []variant{
	{
		file:     "azure-managed-identity.yaml",
		receiver: "azure",
		exporter: classicNames,
		about: azureAbout + `
Authentication: a managed identity of the machine (virtual machine, scale set, AKS node pool).
`,
		env: "  AZURE_CLIENT_ID      (none)    client ID of a user-assigned identity; none is the system-assigned one\n" +
			azureCloudEnv,
		extension: "azuread_auth",
		extensionConfig: `# Tokens of the identity that Azure attached to the machine. No secret to keep.
azuread_auth:
  cloud: ${env:AZURE_CLOUD:-AzurePublic}
  managed_identity:
    client_id: ${env:AZURE_CLIENT_ID:-}
`,
	},
	{
		file:     "azure-workload-identity.yaml",
		receiver: "azure",
		exporter: classicNames,
		about: azureAbout + `
Authentication: AKS workload identity. The pod needs the label azure.workload.identity/use: "true" and a
ServiceAccount with the annotation azure.workload.identity/client-id; the webhook of AKS then sets the three AZURE_
variables and mounts the token.
`,
		env: `  AZURE_CLIENT_ID      required  set by the webhook
  AZURE_TENANT_ID      required  set by the webhook
  AZURE_FEDERATED_TOKEN_FILE     set by the webhook; the path of the service account's token
` + azureCloudEnv,
		requiredEnv: []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID"},
		extension:   "azuread_auth",
		extensionConfig: `# The pod's service account token against a token of Azure. No secret to keep; the token's file is read for every request.
azuread_auth:
  cloud: ${env:AZURE_CLOUD:-AzurePublic}
  workload_identity:
    client_id: ${env:AZURE_CLIENT_ID}
    tenant_id: ${env:AZURE_TENANT_ID}
`,
	},
	{
		file:     "azure-client-secret.yaml",
		receiver: "azure",
		exporter: classicNames,
		about: azureAbout + `
Authentication: an application (service principal) with a client secret.
`,
		env: `  AZURE_CLIENT_ID      required  the application's ID
  AZURE_TENANT_ID      required  the directory's ID or domain
  AZURE_CLIENT_SECRET_FILE  required  path of the file with the secret, a mounted Secret
` + azureCloudEnv,
		requiredEnv: []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET_FILE"},
		extension:   "azuread_auth",
		extensionConfig: `# The secret is read again when its file changes. From the environment instead: client_secret: ${env:AZURE_CLIENT_SECRET}
azuread_auth:
  cloud: ${env:AZURE_CLOUD:-AzurePublic}
  oauth:
    client_id: ${env:AZURE_CLIENT_ID}
    tenant_id: ${env:AZURE_TENANT_ID}
    client_secret_file: ${env:AZURE_CLIENT_SECRET_FILE}
`,
	},
	{
		file:     "azure-certificate.yaml",
		receiver: "azure",
		exporter: classicNames,
		about: azureAbout + `
Authentication: an application (service principal) with a certificate.
`,
		env: `  AZURE_CLIENT_ID      required  the application's ID
  AZURE_TENANT_ID      required  the directory's ID or domain
  AZURE_CLIENT_CERTIFICATE_PATH  required  path of the certificate, PEM or PKCS #12, a mounted Secret
  AZURE_CLIENT_CERTIFICATE_KEY_PATH        path of the private key, where it is not in the same file
` + azureCloudEnv,
		requiredEnv: []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH"},
		extension:   "azuread_auth",
		extensionConfig: `# Certificate and key are read again when their files change.
azuread_auth:
  cloud: ${env:AZURE_CLOUD:-AzurePublic}
  certificate:
    client_id: ${env:AZURE_CLIENT_ID}
    tenant_id: ${env:AZURE_TENANT_ID}
    certificate_path: ${env:AZURE_CLIENT_CERTIFICATE_PATH}
    certificate_key_path: ${env:AZURE_CLIENT_CERTIFICATE_KEY_PATH:-}
`,
	},
	{
		file:     "azure-sdk.yaml",
		receiver: "azure",
		exporter: classicNames,
		about: azureAbout + `
Authentication: whatever the Azure SDK's default credential chain finds: environment variables, workload identity,
managed identity, then developer tools. Good for trying things out; in production name the method.
`,
		env: "  AZURE_TENANT_ID      (none)    the directory's ID or domain; none leaves it to the SDK\n" +
			azureCloudEnv,
		extension: "azuread_auth",
		extensionConfig: `# The SDK reads its own AZURE_ variables.
azuread_auth:
  cloud: ${env:AZURE_CLOUD:-AzurePublic}
  sdk:
    tenant_id: ${env:AZURE_TENANT_ID:-}
`,
	},
	{
		file:     "aws.yaml",
		receiver: "aws",
		exporter: classicNames,
		about: `Amazon Managed Service for Prometheus. REMOTE_WRITE_URL is the workspace's
https://aps-workspaces.REGION.amazonaws.com/workspaces/WORKSPACE/api/v1/remote_write
Authentication: requests are signed (Signature Version 4) with the credentials that the AWS SDK's default chain finds:
IAM roles for service accounts (AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, set by EKS), EKS Pod Identity, the
instance's role, or keys in the environment. They need aps:RemoteWrite on the workspace, and have to be there at start.
The service answers 429 above its limits for ingestion rate, active series and requests, which is tried again, and 400 to a
sample that is too old or out of order, which is set aside.
`,
		env:         "  AWS_REGION           required  region of the workspace, for example eu-west-1\n",
		requiredEnv: []string{"AWS_REGION"},
		extension:   "sigv4auth",
		extensionConfig: `# A role of another account: add assume_role: {arn: ..., sts_region: ...}.
sigv4auth:
  region: ${env:AWS_REGION}
  service: aps
`,
	},
	{
		file:     "google.yaml",
		receiver: "google",
		exporter: classicNames,
		about: `Google Cloud Managed Service for Prometheus, through a gateway. UNVERIFIED: no remote-write endpoint of the service
itself is documented, so REMOTE_WRITE_URL is that of something of yours that takes remote write and forwards to it (a
collector with the exporter googlemanagedprometheus, for example) and accepts Google's access tokens. What is tested is
that a token is fetched and sent, against a token server of our own.
Authentication: OAuth 2.0 access tokens for a service account, by a JSON web token signed with its key (RFC 7523).
`,
		env: `  GOOGLE_CLIENT_EMAIL      required  client_email of the service account's key
  GOOGLE_PRIVATE_KEY_ID    required  private_key_id of the key
  GOOGLE_PRIVATE_KEY_FILE  required  path of a file with private_key of the key (PEM), a mounted Secret
  GOOGLE_TOKEN_URL         https://oauth2.googleapis.com/token
`,
		requiredEnv: []string{"GOOGLE_CLIENT_EMAIL", "GOOGLE_PRIVATE_KEY_ID", "GOOGLE_PRIVATE_KEY_FILE"},
		extension:   "oauth2client",
		extensionConfig: `# A token is fetched when the first request needs it, and again a minute before it expires.
oauth2client:
  grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer
  client_id: ${env:GOOGLE_CLIENT_EMAIL}
  client_certificate_key_id: ${env:GOOGLE_PRIVATE_KEY_ID}
  client_certificate_key_file: ${env:GOOGLE_PRIVATE_KEY_FILE}
  token_url: ${env:GOOGLE_TOKEN_URL:-https://oauth2.googleapis.com/token}
  scopes: [https://www.googleapis.com/auth/monitoring.write]
  timeout: 10s
  expiry_buffer: 1m
`,
	},
	{
		file:     "grafana-cloud.yaml",
		receiver: "grafana_cloud",
		exporter: classicNames,
		about: `Grafana Cloud. REMOTE_WRITE_URL is shown by the stack's page "Prometheus":
https://prometheus-REGION.grafana.net/api/prom/push
Authentication: the instance ID as user name, an access policy token with the scope metrics:write as password.
Default limits are 10,000 samples/s (bursts of 200,000) and 150,000 series; over-long label values are truncated. Above the
limits it answers 429 or 529, with Retry-After, which the exporter keeps to.
`,
		env: `  GRAFANA_CLOUD_INSTANCE_ID  required  user name, a number
  GRAFANA_CLOUD_TOKEN_FILE   required  path of the file with the token, a mounted Secret
`,
		requiredEnv: []string{"GRAFANA_CLOUD_INSTANCE_ID", "GRAFANA_CLOUD_TOKEN_FILE"},
		extension:   "basicauth",
		extensionConfig: `# The file is watched: a new token needs no restart.
basicauth:
  client_auth:
    username: ${env:GRAFANA_CLOUD_INSTANCE_ID}
    password_file: ${env:GRAFANA_CLOUD_TOKEN_FILE}
`,
	},
	{
		file:     "mimir.yaml",
		receiver: "mimir",
		about: `Grafana Mimir. REMOTE_WRITE_URL ends in /api/v1/push.
Authentication: Mimir has none of its own; the tenant is a header, and whoever can reach it can write. A gateway in front
of it usually asks for more: take grafana-cloud.yaml for a user name and a password, thanos.yaml for a token.
Mimir stores what is good in a request and answers 400 for the rest, which is set aside; rate limits are 429 or 529, with
Retry-After, which the exporter keeps to.
`,
		env:         "  MIMIR_TENANT         required  the tenant's ID\n",
		requiredEnv: []string{"MIMIR_TENANT"},
		exporter: `# Mimir's tenant.
headers:
  X-Scope-OrgID: ${env:MIMIR_TENANT}
` + classicNames,
	},
	{
		file:     "thanos.yaml",
		receiver: "thanos",
		about: `Thanos Receive. REMOTE_WRITE_URL ends in /api/v1/receive (port 19291).
Authentication: Thanos has none of its own but the tenant's header; the token is for the gateway in front of it.
Thanos stores what is good in a request and answers 409 for the rest (out of order, too old, bad labels), which is set aside,
413 to a request that is too large, which is sent in parts, and 429 above the series limit, which is tried again.
`,
		env:         "  THANOS_TENANT        required  the tenant's ID\n" + gatewayEnv,
		requiredEnv: []string{"THANOS_TENANT", "BEARER_TOKEN_FILE"},
		exporter: `# Thanos's tenant (its default header, --receive.tenant-header).
headers:
  THANOS-TENANT: ${env:THANOS_TENANT}
`,
		extension:       "bearertokenauth",
		extensionConfig: gatewayExtension,
	},
	{
		file:     "victoriametrics.yaml",
		receiver: "victoriametrics",
		about: `VictoriaMetrics. REMOTE_WRITE_URL ends in /api/v1/write (single node, port 8428) or
/insert/TENANT/prometheus/api/v1/write (cluster, port 8480).
Authentication: a token for vmauth in front of it.
VictoriaMetrics takes out-of-order and duplicate samples; it drops, with a 2xx, samples outside of the retention and series
above its limits. Rate limits are 503, which is tried again. It does not take remote write 2.0.
`,
		env:             gatewayEnv,
		requiredEnv:     []string{"BEARER_TOKEN_FILE"},
		extension:       "bearertokenauth",
		extensionConfig: gatewayExtension,
	},
	{
		file:     "prometheus.yaml",
		receiver: "prometheus",
		about: `A Prometheus server that runs with --web.enable-remote-write-receiver. REMOTE_WRITE_URL ends in /api/v1/write.
Authentication: none, as Prometheus comes. With web.config.file it asks for a user name and a password: take
grafana-cloud.yaml then; a proxy in front of it may ask for a token: take prometheus-bearer.yaml.
` + prometheusRefuses,
	},
	{
		file:     "prometheus-bearer.yaml",
		receiver: "prometheus",
		about: `A Prometheus server that runs with --web.enable-remote-write-receiver, behind a proxy that asks for a token.
REMOTE_WRITE_URL is the proxy's and ends in /api/v1/write, for what the proxy passes on.
Authentication: a token for the proxy. An answer of 401 or 403 is tried again: what is scraped meanwhile waits in the log.
` + prometheusRefuses,
		env:             gatewayEnv,
		requiredEnv:     []string{"BEARER_TOKEN_FILE"},
		extension:       "bearertokenauth",
		extensionConfig: gatewayExtension,
	},
	stock,
}
