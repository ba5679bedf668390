#!/bin/sh
# Make the files of a release for this machine's architecture: release.sh IMAGE TAG FOLDER, in the checkout. TAG is v
# and the version; IMAGE is the image's name in its registry, without a tag. `make release` calls it.
set -eu
image=$1 tag=$2 folder=$3
die() { echo "release: cannot make $tag: $*" >&2; exit 1; }
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' sriovbond/__init__.py)
[ "$tag" = "v$version" ] || die "the version in sriovbond/__init__.py is $version; tag it v$version"
grep -q "^## \[$version\] - [0-9]" CHANGELOG.md ||
    die "CHANGELOG.md has no line '## [$version] - DATE'; write its date there"

machine=$(dpkg --print-architecture)
mkdir -p "$folder"
# the packages that build it are those of .venv
.venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$folder" .
manifests/image.sh build/image/sriovbond.tar
for kind in tar cdx.json; do
    cp "build/image/sriovbond.$kind" "$folder/sriovbond-$version-$machine.$kind"
done
manifests/render.sh "$image" "$version" "$folder"
sed -n "/^## \[$version\]/,/^## \[/p" CHANGELOG.md | sed '/^## \[/d' >"$folder/notes.md"
