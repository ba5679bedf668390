#!/bin/sh
# Build the image as an OCI archive, and try it: image.sh ARCHIVE, by root. Its base is made of Debian's
# packages, so no registry is asked. SUITE is Debian's.
set -eu
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=SUITE "$0" "$@"
archive=$1 suite=${SUITE:-trixie}
# a whole name: node tools take others for docker.io's
name=localhost/sriovbond:$(sed -n 's/^__version__ = "\(.*\)"/\1/p' sriovbond/__init__.py)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "image: $*" >&2; }
# vfs asks nothing of the kernel; all of it vanishes with the folder
build() { buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }

say "making a base of Debian $suite"
mmdebstrap --quiet --variant=minbase --include=python3,ca-certificates "$suite" "$work/base.tar"
printf 'FROM scratch\nADD base.tar /\n' >"$work/Containerfile"
build bud --quiet --tag localhost/base "$work" >&2
rm "$work/base.tar"

say "building $name"
# a proxy's certificate, where this machine has one, is not of the image
build bud --quiet --isolation chroot --network host --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --build-arg BASE=localhost/base --file manifests/Containerfile --tag "$name" . >&2

say "trying it: the agent installs the shim, the shim asks the agent"
container=$(build from "$name")
# the watch listens to all namespaces, as it may in the DaemonSet
build run --isolation chroot --network host \
    --cap-add CAP_NET_ADMIN --cap-add CAP_NET_BROADCAST "$container" sh -euc '
    sriovbond agent --install /mnt 2>/run/log &
    until sriovbond agent --alive >/dev/null 2>&1; do
        kill -0 $! || { cat /run/log; exit 1; }
        sleep 0.1
    done
    # a fault that does not depend on the machine, and that only the agent knows
    echo "{\"cniVersion\": \"1.1.0\", \"name\": \"try\", \"type\": \"sriovbond\", \"mtu\": \"x\"}" |
        CNI_COMMAND=STATUS /mnt/sriovbond |
        grep -q "mtu" || { cat /run/log; exit 1; }
    kill $! && wait $!
' >&2

mkdir -p "$(dirname "$archive")"
sbom=${archive%.tar}.cdx.json
build run --isolation chroot "$container" python - "${name%:*}" "${name##*:}" <manifests/sbom.py >"$sbom"
rm -f "$archive"
build push --quiet "$name" "oci-archive:$archive:$name"
say "$archive ($(du -h "$archive" | cut -f1)), what is in it: $sbom"
