#!/bin/sh
# Push the images of a release under one name, which each node resolves to its architecture:
# publish.sh IMAGE TAG FOLDER, with buildah. REGISTRY_USER and REGISTRY_TOKEN log in, where they are set.
# It was tried with a registry on the loopback.
set -eu
# as in the manifests: see render.sh
image=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') tag=$2 folder=$3
version=${tag#v}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# As in image.sh: vfs asks nothing of the kernel, and no list is left that a second try would find. So is no login.
build() { buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }
if [ -n "${REGISTRY_TOKEN-}" ]; then
    export REGISTRY_AUTH_FILE="$work/auth.json"
    printf '%s' "$REGISTRY_TOKEN" |
        build login --username "$REGISTRY_USER" --password-stdin "${image%%/*}"
fi
list=$image:$version
build manifest create "$list"
for archive in "$folder/sriovbond-$version"-*.tar; do
    build manifest add "$list" "oci-archive:$archive"
done
build manifest push --all "$list" "docker://$list"
