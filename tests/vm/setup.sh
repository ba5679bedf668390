#!/bin/sh
# Install what the rig needs on Debian 12, Debian 13 and Ubuntu 24.04. Says first what it installs;
# silent and quick when all is there. Usage: setup.sh CACHE [image|node|faults|kind]; also what an image needs,
# a node of Kubernetes, for which our image is made, faults of disks, or netdevsim on this machine.
set -eu
cache=$1 purpose=${2-}
PATH=$PATH:/usr/sbin:/sbin
say() { printf 'rig: %s\n' "$*" >&2; }
die() { say "cannot $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
# shellcheck source=/dev/null
debian_12() { . /etc/os-release && [ "$ID-${VERSION_ID-}" = debian-12 ]; }
# shellcheck source=/dev/null
ubuntu() { . /etc/os-release && [ "$ID" = ubuntu ]; }
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
        die "become root to run '$*': there is no sudo; run make as root"
    fi
}

# Reads the host's own package sources and, on Debian 12, its backports, which the host itself
# need not know: sources and lists are private ones. Packages named PACKAGE/backports are from there.
install_packages() {
    have apt-get || die "install $*: this is not Debian or Ubuntu; install these packages yourself"
    say "installing from this system's package sources: $*"
    apt=$cache/apt
    mkdir -p "$apt/lists/partial" "$apt/sources"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        case $file in *.list | *.sources) if [ -e "$file" ]; then cp "$file" "$apt/sources/"; fi ;; esac
    done
    if debian_12; then
        echo "deb [signed-by=$keyring] http://deb.debian.org/debian bookworm-backports main" \
            >"$apt/sources/backports.list"
    fi
    apt_get update || die "read the package lists: see above"
    own='' newer=''
    for package; do
        case $package in
        */backports) newer="$newer ${package%/backports}" ;;
        *) own="$own $package" ;;
        esac
    done
    # shellcheck disable=SC2086 # lists of packages
    {
        [ -z "$own" ] || apt_get install $own || die "install$own: see above; do it yourself"
        [ -z "$newer" ] || apt_get install -t bookworm-backports $newer ||
            die "install$newer from bookworm-backports: see above; do it yourself"
    }
    # of what apt has made there, a user may not remove all
    as_root rm -rf "$apt"
}
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-install-recommends \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources" \
        -o Dir::State::Lists="$apt/lists" -o APT::Sandbox::User=root "$@" >&2
}

# One row a need: a program or file, and the package that has it.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
missing_packages() {
    while read -r need package; do
        if ! have "$need" && ! [ -e "$need" ]; then echo "$package"; fi
    done <<-END
	/usr/bin/python3 python3
	ip iproute2
	modprobe kmod
	ping iputils-ping
	ethtool ethtool
	file file
	tcpdump tcpdump
	/lib/systemd/systemd systemd
	xz xz-utils
	shellcheck shellcheck
	gcc gcc
	/usr/include/stdio.h libc6-dev
	musl-gcc musl-tools
	aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
	/usr/aarch64-linux-gnu/lib/libc.a libc6-dev-arm64-cross
	/etc/ssl/certs/ca-certificates.crt ca-certificates
	$keyring debian-archive-keyring
	END
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
    if debian_12; then suite=/backports; else suite=; fi
    has_static_busybox || echo busybox-static
    has_igb || echo qemu-system-x86$suite
    has_go || echo golang-go$suite
    # Debian 13 has the static ones in qemu-user, and this name for both
    have qemu-aarch64-static || have qemu-aarch64 || echo qemu-user-static
    has_virtiofsd || debian_12 || echo virtiofsd
    if [ "$purpose" = node ]; then
        have runc || echo runc
        have mke2fs || echo e2fsprogs
        have openssl || echo openssl
    fi
    if [ "$purpose" ]; then
        have buildah || echo buildah
        have mmdebstrap || echo mmdebstrap
    fi
    # Ubuntu has netdevsim in a package beside the kernel, Debian in none.
    if [ "$purpose" = kind ] && ubuntu && ! modinfo netdevsim >/dev/null 2>&1; then
        echo "linux-modules-extra-$(uname -r)"
    fi
    if [ "$purpose" = faults ]; then
        have dmsetup || echo dmsetup
        have mke2fs || echo e2fsprogs
    fi
}
has_static_busybox() { have busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1; }
# From 1.21 on, Go fetches by itself the newer Go that go.mod asks for.
has_go() { have go && case $(go env GOVERSION) in go1.? | go1.?.* | go1.1* | go1.20*) false ;; esac; }
has_cargo() { have cargo && case $(cargo --version) in "cargo 1."[0-7]* | "cargo 1.8"[0-4]*) false ;; esac; }
has_igb() { qemu-system-x86_64 -device help 2>/dev/null | grep -q '"igb"'; }
has_virtiofsd() {
    have virtiofsd || [ -x /usr/libexec/virtiofsd ] || [ -x "$cache/virtiofsd/bin/virtiofsd" ]
}

# Debian 12 has no package of virtiofsd, but a Rust that builds it (kept new for browsers).
build_virtiofsd() {
    has_cargo || install_packages rustc-web cargo-web
    install_packages gcc pkg-config libseccomp-dev libcap-ng-dev
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
has_go || die "use this Go, $(go env GOVERSION): install 1.21 or newer, or take it out of PATH"
has_virtiofsd || build_virtiofsd
# virtme-ng mounts the VM's modules there.
if ! [ -d /lib/modules ]; then say "making the empty folder /lib/modules"; as_root mkdir /lib/modules; fi
