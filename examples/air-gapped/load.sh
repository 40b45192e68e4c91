#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# On a machine that reaches the registry of the closed network: checks the folder, pushes its images, and compares each digest.
#
#   ./load.sh bundle registry.example.com/mirror
set -euo pipefail
folder=${1:?usage: $0 FOLDER REGISTRY} mirror=${2:?usage: $0 FOLDER REGISTRY}
cd "$folder"
sha256sum --check --quiet SHA256SUMS

while read -r image digest; do
  name=$(tr '/:' '__' <<< "$image")
  target=${mirror%/}/${image#*/}
  crane push "$name" "$target"
  pushed=$(crane digest "$target")
  [[ $pushed == "$digest" ]] || { echo "$target has the digest $pushed, $image had $digest: do not use it" >&2; exit 1; }
  echo "$target@$digest"
done < digests.txt
