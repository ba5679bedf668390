"""Ports of a NIC unlike the rig's: PF and VFs with devlink instances of their own."""

from dataclasses import replace

from deviceinfo import Bus, Device, DeviceId
from sriovbond.nic import functions
from sriovbond.nic.facts import Devlink, Ethtool, Port, Reporter
from sriovbond.nic.functions import Known

PF_ID, VF_ID = DeviceId(Bus.PCI, "0000:08:00.0"), DeviceId(Bus.PCI, "0000:08:00.3")
PF = Known(PF_ID.address, Device(id=PF_ID, driver="mlx5_core"), "p0")
VF = Known(VF_ID.address, Device(id=VF_ID, driver="mlx5_core", pf=PF_ID, vf_number=1), "net1")
UPLINK = Port(65535, "physical", "p0")
PORTS = (
    UPLINK,
    Port(1, "pcivf", "p0_0", 0, 0),
    Port(2, "pcivf", "p0_1", 0, 1),
    Port(32768, "pcisf", "p0_sf", 0),
)
TX = Reporter("tx", "error", 3, 2)
DEVLINKS = {
    "pci/0000:08:00.0": Devlink(
        "pci/0000:08:00.0", "switchdev", PORTS, (Reporter("fw", "healthy"),), ("health: failed",)
    ),
    "pci/0000:08:00.3": Devlink("pci/0000:08:00.3", "", (Port(0, "virtual"),), (TX,)),
}


def test_a_vf_has_its_own_port_and_health_and_its_pfs_representor() -> None:
    vf = functions.to_function(VF, DEVLINKS, Ethtool(25000))

    assert vf.port == Port(0, "virtual")
    assert vf.representors == ("p0_1",)
    assert (vf.reporters, vf.eswitch, vf.problems) == ((TX,), "", ())
    assert (vf.device, vf.interface, vf.driver) == ("0000:08:00.3", "net1", "mlx5_core")
    assert vf.ethtool == Ethtool(25000)


def test_a_pf_has_its_uplink_and_its_eswitch() -> None:
    pf = functions.to_function(PF, DEVLINKS)

    assert (pf.port, pf.representors, pf.eswitch) == (UPLINK, (), "switchdev")
    assert pf.problems == ("health: failed",)


def test_a_pfs_netdev_is_the_uplinks_whatever_representors_sysfs_lists_beside_it() -> None:
    unnamed = replace(PF, interface="")

    assert functions.find_netdev(unnamed, DEVLINKS, ("p0", "p0_0", "p0_1")) == "p0"
    assert functions.find_netdev(unnamed, {}, ("p0", "p0_0", "p0_1")) == ""
    assert functions.find_netdev(unnamed, {}, ("p0",)) == "p0"


def test_of_two_uplinks_of_one_function_that_of_the_interface_is_meant() -> None:
    second = Port(2, "physical", "p1")
    devlinks = {PF.handle: Devlink(ports=(UPLINK, second))}

    assert functions.find_port(replace(PF, interface="p1"), devlinks) == second


def test_a_simulated_vf_is_a_port_of_its_pfs_instance() -> None:
    parent = DeviceId(Bus.NETDEVSIM, "netdevsim10/p1")
    of_vf = DeviceId(Bus.NETDEVSIM, "netdevsim10/pf0vf1")
    vf = Known(of_vf.address, Device(id=of_vf, pf=parent, vf_number=1), "net1")
    devlinks = {"netdevsim/netdevsim10": Devlink("", "switchdev", PORTS, (TX,), ("health: none",))}

    function = functions.to_function(vf, devlinks)

    assert function.port == PORTS[2]
    assert (function.representors, function.eswitch, function.reporters) == ((), "", ())
    assert function.problems == ()


def test_an_instance_without_an_answer_is_a_problem_of_each_function_on_it() -> None:
    parent = DeviceId(Bus.NETDEVSIM, "netdevsim10/p1")
    of_vf = DeviceId(Bus.NETDEVSIM, "netdevsim10/pf0vf1")
    vf = Known(of_vf.address, Device(id=of_vf, pf=parent, vf_number=1))

    function = functions.to_function(vf, {vf.handle: Devlink(problems=("no answer within 5 s",))})

    assert function.problems == ("no answer within 5 s",)


def test_a_sub_function_has_an_instance_of_its_bus_and_no_representor_is_guessed() -> None:
    of_sf = DeviceId(Bus.AUXILIARY, "mlx5_core.sf.4")
    sf = Known(of_sf.address, Device(id=of_sf, pf=PF_ID), "net1")

    assert sf.handle == "auxiliary/mlx5_core.sf.4"
    assert functions.to_function(sf, DEVLINKS).representors == ()


def test_an_interface_without_a_device_has_neither_port_nor_problem() -> None:
    function = functions.to_function(Known("", interface="net1"), DEVLINKS, Ethtool(10000))

    assert (function.port, function.representors, function.problems) == (None, (), ())
