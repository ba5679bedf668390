#!/bin/sh
# Run a command in network and mount namespaces of its own, so that a host keeps nothing of it.
set -eu
if [ "$(id -u)" -ne 0 ]; then
    echo "test-here: cannot make namespaces as user $(id -u): run it as root, or use make test" >&2
    exit 1
fi
if [ ! -d /sys/module/bonding ] && ! modprobe bonding max_bonds=0; then
    echo "test-here: this kernel ($(uname -r)) has no bonding driver: use make test" >&2
    exit 1
fi
mkdir -p /run/netns
exec unshare --net --mount --propagation private sh -c '
    mount -t tmpfs none /run/netns && mount -t sysfs none /sys && ip link set lo up && exec "$@"' - "$@"
