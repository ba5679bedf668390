"""SR-IOV failover CNI plugin: finds a pod's virtual functions and bonds them."""

__version__ = "0.1.0"
