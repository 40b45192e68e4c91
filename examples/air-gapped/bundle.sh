#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# On a machine with access to the internet: puts the chart, the images and their digests into one folder, which is then carried over.
#
#   ./bundle.sh 0.1.0 bundle
set -euo pipefail
version=${1:?usage: $0 VERSION FOLDER} folder=${2:?usage: $0 VERSION FOLDER}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$folder"

# The signature is checked here, where the log of signatures can be reached. From the archive on, digests carry it.
cosign verify "ghcr.io/kubiyabot/charts/runner:$version" \
  --certificate-oidc-issuer https://token.actions.githubusercontent.com \
  --certificate-identity-regexp '^https://github\.com/kubiyabot/otelcol-runner/\.github/workflows/release\.ya?ml@refs/tags/v' > /dev/null
helm pull oci://ghcr.io/kubiyabot/charts/runner --version "$version" --destination "$folder"

: > "$folder/digests.txt"
grep -v '^#' "$here/../private-registry/images.txt" > "$folder/images.txt"
while IFS= read -r image; do
  echo "$image"
  name=$(tr '/:' '__' <<< "$image")
  crane pull --format=oci "$image" "$folder/$name"
  echo "$image $(crane digest "$image")" >> "$folder/digests.txt"
done < "$folder/images.txt"
(cd "$folder" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS)
