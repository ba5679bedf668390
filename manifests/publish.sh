#!/bin/sh
# Push the images of a release under one name, which each node resolves to its architecture:
# publish.sh IMAGE TAG FOLDER, with buildah. REGISTRY_USER and REGISTRY_TOKEN log in, where they are set.
# Nothing was ever pushed from the machines that this was written on: they have no registry.
set -eu
# as in the manifests: see render.sh
image=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') tag=$2 folder=$3
version=${tag#v}
if [ -n "${REGISTRY_TOKEN-}" ]; then
    printf '%s' "$REGISTRY_TOKEN" |
        buildah login --username "$REGISTRY_USER" --password-stdin "${image%%/*}"
fi
list=$image:$version
buildah manifest create "$list"
for archive in "$folder/sriovbond-$version"-*.tar; do
    buildah manifest add "$list" "oci-archive:$archive"
done
buildah manifest push --all "$list" "docker://$list"
