#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Copies the images of images.txt to a mirror, with all architectures and unchanged digests.
#
#   ./mirror.sh registry.example.com/mirror          with crane
#   TOOL=skopeo ./mirror.sh registry.example.com/mirror
set -euo pipefail
mirror=${1:?usage: $0 registry.example.com/mirror}
mirror=${mirror%/}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

while IFS= read -r image; do
  [[ $image == '#'* ]] && continue
  target=$mirror/${image#*/} # without its registry
  echo "$image -> $target"
  case ${TOOL:-crane} in
    crane) crane copy "$image" "$target" ;;
    skopeo) skopeo copy --all "docker://$image" "docker://$target" ;;
    *) echo "TOOL=$TOOL: crane and skopeo are known here" >&2; exit 2 ;;
  esac
done < "$here/images.txt"
