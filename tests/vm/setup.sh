#!/bin/sh
# Install what the rig needs on Debian 12, Debian 13 and Ubuntu 24.04. Says first what it installs;
# silent and quick when all is there. Usage: setup.sh CACHE
set -eu
cache=$1
say() { printf 'rig: %s\n' "$*" >&2; }
die() { say "cannot $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
debian_12() { . /etc/os-release && [ "$ID-${VERSION_ID-}" = debian-12 ]; }
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
        die "become root to run '$*': there is no sudo; run make as root"
    fi
}

# The host's own package sources, and Debian 12's backports: those for this one installation only.
install_packages() {
    have apt-get || die "install $*: this is not Debian or Ubuntu; install these packages yourself"
    say "installing from this system's package sources: $*"
    apt=$cache/apt
    mkdir -p "$apt/lists/partial" "$apt/sources"
    rm -f "$apt/sources/"*
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if [ -e "$file" ]; then cp "$file" "$apt/sources/"; fi
    done
    if debian_12; then
        say "with bookworm-backports for QEMU (Debian 12's own has no igb), by a private source"
        echo "deb [signed-by=$keyring] http://deb.debian.org/debian bookworm-backports main" \
            >"$apt/sources/backports.list"
    fi
    options="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$apt/sources -o Dir::State::Lists=$apt/lists"
    # shellcheck disable=SC2086 # the options are several words
    {
        as_root apt-get $options -q update >&2 || die "read the package lists: see above"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get $options -q install -y \
            --no-install-recommends "$@" >&2 || die "install $*: see above; install them yourself"
    }
    rm -rf "$apt"
}

# One row a need: a program or file, and the package that has it.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
missing_packages() {
    while read -r need package; do
        if ! have "$need" && ! [ -e "$need" ]; then echo "$package"; fi
    done <<-END
	/usr/bin/python3 python3
	busybox busybox-static
	ip iproute2
	modprobe kmod
	ping iputils-ping
	ethtool ethtool
	tcpdump tcpdump
	xz xz-utils
	/etc/ssl/certs/ca-certificates.crt ca-certificates
	$keyring debian-archive-keyring
	END
    python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
    if ! has_igb; then echo "qemu-system-x86$(debian_12 && echo /bookworm-backports)"; fi
    if ! has_virtiofsd && ! debian_12; then echo virtiofsd; fi
    have go || if debian_12; then echo golang-go/bookworm-backports; else echo golang-go; fi
}
has_igb() { qemu-system-x86_64 -device help 2>/dev/null | grep -q '"igb"'; }
has_virtiofsd() {
    have virtiofsd || [ -x /usr/libexec/virtiofsd ] || [ -x "$cache/virtiofsd/bin/virtiofsd" ]
}

# Debian 12 has no package of virtiofsd, but a Rust that builds it (kept new for browsers).
build_virtiofsd() {
    have cargo || rust="rustc-web cargo-web"
    install_packages ${rust-} gcc pkg-config libseccomp-dev libcap-ng-dev
    say "building virtiofsd from crates.io (2 minutes)"
    unfinished=$(mktemp -d "$cache/virtiofsd-unfinished.XXXXXX")
    cargo install --quiet --locked --root "$unfinished" --version 1.14.0 virtiofsd >&2 ||
        die "build virtiofsd: see above; put a virtiofsd into PATH"
    mv "$unfinished" "$cache/virtiofsd"
}

mkdir -p "$cache"
missing=$(missing_packages | xargs)
# shellcheck disable=SC2086 # a list of packages
if [ -n "$missing" ]; then install_packages $missing; fi
has_igb || die "use this QEMU, $(qemu-system-x86_64 --version | head -n1): it has no igb; install 8.2 or newer"
has_virtiofsd || build_virtiofsd
# virtme-ng mounts the VM's modules there.
if ! [ -d /lib/modules ]; then say "making the empty folder /lib/modules"; as_root mkdir /lib/modules; fi
