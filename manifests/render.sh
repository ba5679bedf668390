#!/bin/sh
# Write the manifests of a release, which name its image: render.sh IMAGE VERSION FOLDER, in the checkout, with
# kustomize in PATH. sriovbond.yaml is manifests/, sriovbond-NAME.yaml is overlays/NAME.
set -eu
# a registry takes small letters only, the owner of a repository may have others
image=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') version=$2 folder=$3
mkdir -p build "$folder"
work=$(mktemp -d build/render.XXXXXX) # kustomize reads nothing by an absolute path
trap 'rm -rf "$work"' EXIT
for source in manifests overlays/*/; do
    source=${source%/}
    name=sriovbond
    if [ "$source" != manifests ]; then name=$name-${source##*/}; fi
    cat >"$work/kustomization.yaml" <<-END
	apiVersion: kustomize.config.k8s.io/v1beta1
	kind: Kustomization
	resources:
	  - ../../$source
	images:
	  - name: registry.example.com/sriovbond
	    newName: $image
	    newTag: "$version"
	END
    kustomize build "$work" >"$folder/$name.yaml"
done
