"""The emulated machine: its NICs, its wires, and the sockets by which it is talked to."""

import os
import subprocess
from pathlib import Path

PFS = 3
MOST_VFS = 7
MOST_CPUS = 8
WIRINGS = ("hub", "p2p")
# From 2.75 GiB on q35 puts RAM above 4 GiB, and emulated VFs lose their mailbox: no carrier.
MEMORY = "2600M"
# What the guest looks for: a PF is known by its permanent MAC, a port by its name.
TALK_PORT = "sriovbond.talk"
QMP_PORT = "sriovbond.qmp"
KERNEL_OPTIONS = (
    "intel_iommu=on",  # so that a VF can be bound to vfio-pci
    "iommu=pt",
    "net.ifnames=0",
    "mitigations=off",
    "no_timer_check",  # it panics when the host is too busy to emulate the timer in time
    "fb_tunnels=none",  # else a module that was loaded once gives each namespace devices
    "nokaslr",  # choosing a place was seen to hang under emulation
    "cryptomgr.notests=1",
    "sysctl.kernel.panic_on_rcu_stall=1",  # QEMU may lose a CPU's timer: else all waits for ever
    "rcupdate.rcu_expedited=1",  # a namespace's end waits for RCU many times over
)


def find_accel(image: Path) -> str:
    """Return "kvm" if the kernel really starts with it, not only /dev/kvm is there; or "tcg"."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    probe = ["qemu-system-x86_64", "-machine", "q35,accel=kvm", "-cpu", "host", "-m", "512"]
    probe += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
    probe += ["-kernel", str(image), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "tcg"
    return "kvm" if b"Unable to mount root fs" in done.stdout else "tcg"


def pf_mac(number: int) -> str:
    """Return the permanent MAC of PF `number`."""
    return f"52:54:00:b0:00:{number:02x}"


def remote_mac(number: int) -> str:
    """Return the permanent MAC of the far side's NIC `number`."""
    return f"52:54:00:fa:00:{number:02x}"


def remote_nics(wiring: str) -> tuple[str, ...]:
    """Return the names of the far side's NICs: one, or one for each PF."""
    return tuple(f"remote{number}" for number in range(PFS if wiring == "p2p" else 1))


def qemu_options(wiring: str, accel: str, sockets: Path) -> list[str]:
    """Return QEMU's options: 3 PFs, their far side, and the two ports."""
    if accel == "kvm":
        options = ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on"]
    else:
        options = ["-accel", "tcg,thread=multi,tb-size=512", "-device", "intel-iommu"]
    for number in range(PFS):
        options += _pf(number, hub=number if wiring == "p2p" else 0)
    for number, name in enumerate(remote_nics(wiring)):
        options += _nic("e1000e", name, remote_mac(number), hub=number)
    return options + _ports(sockets)


def _pf(number: int, hub: int) -> list[str]:
    port = f"pcie-root-port,id=port{number},chassis={number + 1},slot={number + 1}"
    nic = _nic("igb", f"pf{number}", pf_mac(number), hub, f",bus=port{number}")
    return ["-device", port, *nic]


def _nic(model: str, name: str, mac: str, hub: int, place: str = "") -> list[str]:
    return [
        *("-netdev", f"hubport,id={name}-cable,hubid={hub}"),
        *("-device", f"{model},id={name},netdev={name}-cable,mac={mac}{place}"),
    ]


def _ports(sockets: Path) -> list[str]:
    talk, qmp = sockets / "talk", sockets / "qmp"
    return [
        *("-device", "virtio-serial-pci,id=rig"),
        *("-chardev", f"socket,id=talk,path={talk}"),
        *("-device", f"virtserialport,bus=rig.0,nr=1,chardev=talk,name={TALK_PORT}"),
        # QEMU's control socket, and QEMU as its own client: so it ends up inside the VM.
        *("-chardev", f"socket,id=control,path={qmp},server=on,wait=off"),
        *("-mon", "chardev=control,mode=control"),
        *("-chardev", f"socket,id=qmp,path={qmp}"),
        *("-device", f"virtserialport,bus=rig.0,nr=2,chardev=qmp,name={QMP_PORT}"),
    ]
