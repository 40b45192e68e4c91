#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes the schemas of Flux's kinds with controller-gen, from the Go types: the repositories that hold the generated files are no
# Go modules that a proxy serves. The types ask for a newer Go than the schemas need, hence the edited copies.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

copy() { # module version folder
  local zip
  zip=$(go mod download -json "$1@$2" | sed -n 's/^\t"Zip": "\(.*\)",$/\1/p') || true
  [[ -n $zip ]] || { echo "$1@$2 was not downloaded" >&2; exit 1; }
  unzip -q "$zip" && mv "$1@$2" "$3" && rm -rf "$3"/v*beta* github.com
  awk '/^require \($/ {n++} !(n > 1 && /\/\/ indirect/)' "$3/go.mod" |
    sed -E 's/^go 1\.2[7-9].*/go 1.26.0/; s/(k8s.io\/[a-z-]+) v0\.37\.[0-9]+/\1 v0.34.2/' > go.mod && mv go.mod "$3/go.mod"
  cat >> "$3/go.mod" <<REPLACE
replace github.com/fluxcd/pkg/apis/kustomize => ../kustomize
replace github.com/fluxcd/pkg/apis/meta => ../meta
replace github.com/fluxcd/pkg/apis/acl => github.com/fluxcd/pkg/apis/acl v0.9.0
replace github.com/fluxcd/source-controller/api => ../source
REPLACE
}
{
  copy github.com/fluxcd/pkg/apis/kustomize v1.23.0 kustomize
  copy github.com/fluxcd/pkg/apis/meta v1.38.0 meta
  copy github.com/fluxcd/source-controller/api v1.10.0 source
  copy github.com/fluxcd/helm-controller/api v1.7.1 helm
}
mkdir tool && (cd tool && go mod init tool >/dev/null 2>&1 && go get -tool sigs.k8s.io/controller-tools/cmd/controller-gen@v0.19.0 && go build -o controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen)
generate() { (cd "$1" && GOFLAGS=-mod=mod ../tool/controller-gen crd:maxDescLen=0 "paths=./$2" "output:crd:dir=$work/out"); }
generate helm v2
generate source v1
write() { { echo "# Made from the Go types of $2 by flux.sh."; sed '/^---$/d' "out/$1"; } > "$here/$3"; }
write helm.toolkit.fluxcd.io_helmreleases.yaml github.com/fluxcd/helm-controller/api@v1.7.1 helmrelease.yaml
write source.toolkit.fluxcd.io_ocirepositories.yaml github.com/fluxcd/source-controller/api@v1.10.0 ocirepository.yaml
write source.toolkit.fluxcd.io_helmrepositories.yaml github.com/fluxcd/source-controller/api@v1.10.0 helmrepository.yaml
