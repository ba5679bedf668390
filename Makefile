# Every target does its own set-up. Settings: make TARGET NAME=VALUE, or the environment.
SHELL := /bin/sh
export SRIOVBOND_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sriovbond
export KERNEL VFS CPUS WIRING NETDEVSIM TESTS INPUTS SECONDS SEED
# As it was given: its $ are the command's, not make's.
override RUN := $(value RUN)
override IMAGE := $(value IMAGE)
override TAG := $(value TAG)
export RUN IMAGE TAG
# Each test process would compile anew what an environment forbids to keep.
unexport PYTHONDONTWRITEBYTECODE

# Debian's, as in the image: it is built with profiles, and a version manager's takes a third longer.
PYTHON  ?= $(or $(wildcard /usr/bin/python3),python3)
CACHE   := $(SRIOVBOND_CACHE)
VIRTME  := $(CACHE)/virtme-ng-1.42
TOOLS   := $(CACHE)/bin-$(shell cat tests/tools/* | sha256sum | cut -c1-12)
export SRIOVBOND_PLUGINS ?= $(TOOLS)
# It fetches the Go that a module asks for: some distributions' have that switched off.
GO      := GOTOOLCHAIN=auto CGO_ENABLED=0 go
ATHERIS := 3.0.0
PROGRAMS := $(CACHE)/node-$(shell find tests/node/tools -type f | sort | xargs cat | sha256sum | cut -c1-12)
KIND    := $(CACHE)/kind-0.33.0
MULTUS_MODULE := gopkg.in/k8snetworkplumbingwg/multus-cni.v4@v4.3.0
ACTIONLINT := $(CACHE)/actionlint-1.7.12
AUDIT   := $(CACHE)/pip-audit-2.10.1
export SRIOVBOND_ACTIONLINT := $(ACTIONLINT)/actionlint
STUBS   := deviceinfo/podresources_pb2.py
BOOT    = env PYTHONPATH=. SRIOVBOND_CACHE=$(CACHE) SRIOVBOND_PLUGINS=$(SRIOVBOND_PLUGINS) \
	$(VIRTME)/bin/python -m tests.vm.boot

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo; sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: Settings of the VM:
#:   RUN='COMMAND'    what to run in it, on the sources as they are then: the VM does not see what is edited
#:                    meanwhile; without it, a shell, which does. make knows only success and 2:
#:                    tests/vm/run 'COMMAND' ends with the command's own status
#:   KERNEL=6.12      Debian's kernel: 5.10, 6.1, 6.12, 6.16 ... 7.2 or whatever Debian serves
#:   KERNELS="6.1 newest"  those of `make test-kernels` (default 5.10 6.1 6.12 newest); TESTS=tests/kernel
#:                    runs there all kernel tests, or those that it names
#:   VFS=4            VFs on each of the 3 PFs, 1 to 7
#:   CPUS=2           CPUs of it, 1 to 8; `make test` has 1 in each of two VMs
#:   WIRING=hub       all NICs on one wire; p2p: each PF has its own far side, remote0 ... remote2
#:   NETDEVSIM=1      load netdevsim, the kernel's simulated SR-IOV NIC; `make test` does, NETDEVSIM=0
#:                    leaves it and its tests out. Not to be had for each KERNEL
#:   NODE=vm          of `make test-node`: also a node in the VM, which needs `make image` before; TESTS=
#:                    names its tests ("A // B": A, power loss, B), MULTUS=thick or thin is Multus there,
#:                    MODE=thin has our plugin without an agent, called by thin Multus; with NETDEVSIM=1
#:                    also the steps of `make test-kind`
#:   NMSTATE=DIR      folder with nmstate's cases: policy, diff, revert, examples, nncp
#:   INPUTS=1000000   of `make fuzz`, in at most SECONDS=3600; SEED=1 chooses others
#:   CYCLES=1000      ADDs and DELs in `make soak`
#:   SRIOVBOND_CACHE  what was downloaded and built (default ~/.cache/sriovbond)
#:   PYTHON=python3   Python of .venv and of the rig (default /usr/bin/python3, Debian's)

.PHONY: demo
demo: rig .venv/done  ## two VFs of a pod bonded, failing over and put back, told step by step
	@$(MAKE) --no-print-directory vm RUN='python -m tests.demo'

.PHONY: test
test: rig $(ACTIONLINT)/done .venv/done  ## lint, types, contracts, unit tests, kernel tests in the VM; one summary
	@.venv/bin/python -m tests.everything

.PHONY: lint
lint: $(ACTIONLINT)/done .venv/done  ## formatting, lint, types, import contracts, workflows, scripts
	@.venv/bin/python -m tests.everything format lint types "import contracts" workflows scripts

# pip-audit --strict takes a package that it skips, as an editable one, for one that it cannot judge.
.PHONY: audit
audit: $(AUDIT)/done .venv/done  ## known vulnerabilities of the Python packages in .venv; one that cannot be judged is a failure
	@mkdir -p build
	@.venv/bin/pip --disable-pip-version-check freeze --all --exclude-editable >build/audit.txt
	@$(AUDIT)/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps --requirement build/audit.txt

.PHONY: release
release: packages $(TOOLS)/done .venv/done  ## the files of release TAG=v0.1.0 with the image's name IMAGE=: wheel, image, manifests, in build/release
	@tests/vm/setup.sh $(CACHE) image
	@PATH="$(TOOLS):$$PATH" manifests/release.sh "$$IMAGE" "$$TAG" build/release

.PHONY: unit
unit: $(TOOLS)/done .venv/done  ## the tests that need neither root nor a VM, but for the slow ones
	@.venv/bin/python -m tests.everything "quick unit tests"

# The compiler for another machine than this one; for this one the build has its own choice.
cross = $(filter-out $(shell uname -m)-linux-gnu-gcc,$1-linux-gnu-gcc)

.PHONY: shim
shim: packages  ## the program of thick mode, build/shim/ARCHITECTURE/sriovbond, for amd64 and arm64
	@$(PYTHON) -m sriovbond.shim.build build/shim/amd64/sriovbond $(call cross,x86_64)
	@$(PYTHON) -m sriovbond.shim.build build/shim/arm64/sriovbond $(call cross,aarch64)

.PHONY: image
image: packages  ## the container image of manifests/daemonset.yaml, build/image/sriovbond.tar, and a try of it
	@tests/vm/setup.sh $(CACHE) image
	@manifests/image.sh build/image/sriovbond.tar

.PHONY: docs
docs: .venv/done  ## rewrite what the docs have from the tables: reference, schema
	@.venv/bin/python -m tests.docs_tables

.PHONY: test-here
test-here: $(TOOLS)/done .venv/done  ## kernel tests that need no PF, on this host: root, and a kernel with bonding
	@tests/kernel/here.sh .venv/bin/python -m pytest -q -m 'not vf and not netdevsim' tests/kernel

.PHONY: test-kernels
test-kernels: rig .venv/done  ## the tests of bonding's options on each of KERNELS, and what each kernel takes of them
	@.venv/bin/python -m tests.kernels $(KERNELS)

.PHONY: test-kind
test-kind: image $(TOOLS)/done $(KIND)/done .venv/done  ## a pod with a bond in a kind cluster: root, docker, the modules bonding and netdevsim
	@tests/vm/setup.sh $(CACHE) kind
	@.venv/bin/python -m tests.kind $(KIND) $(TOOLS)

.PHONY: test-node
test-node: rig $(PROGRAMS)/done .venv/done  ## a Kubernetes control plane and a node of it on this machine: our manifests, account, devices of pods
	@tests/vm/setup.sh $(CACHE) node
	@.venv/bin/python -m tests.node $(PROGRAMS)

.PHONY: fuzz
fuzz: .venv/atheris-$(ATHERIS)  ## hostile input of each kind, INPUTS of it within SECONDS: no crash, no way out, no secret told
	@.venv/bin/python -m tests.fuzz

.PHONY: soak
soak: rig .venv/done  ## what takes long, in the VM: no leak in 1,000 cycles, 250 bonds, kills at every step
	@$(MAKE) --no-print-directory vm RUN='CYCLES=$(CYCLES) python -m tests.soak'

.PHONY: faults
faults: rig .venv/done  ## each fault of docs/faults.md in each phase, thin and thick, in the VM
	@tests/vm/setup.sh $(CACHE) faults
	@$(MAKE) --no-print-directory vm RUN='python -m tests.faults'
	@.venv/bin/python -m tests.faults.power

.PHONY: test-host
test-host: rig .venv/done  ## the node's own network in the VM: its tests, SIGKILL at each request, a switch's LACP, power loss
	@failed=0; \
	$(MAKE) --no-print-directory vm RUN='python -m pytest -q tests/kernel/test_host_[abs]*.py tests/host' || failed=1; \
	$(MAKE) --no-print-directory vm WIRING=p2p RUN='python -m pytest -q tests/wired' || failed=1; \
	.venv/bin/python -m tests.host.power || failed=1; \
	exit $$failed

.PHONY: bench
bench: rig .venv/done  ## how long ADD and DEL take, in the VM, beside the kernel's own part and bond-cni; fails where too long
	@.venv/bin/python -m tests.bench

.PHONY: bench-lookup
bench-lookup: .venv/done  ## how long a look-up of a pod's devices takes, on this machine
	@.venv/bin/python -m tests.bench.lookup

.PHONY: conformance
conformance: .venv/done  ## nmstate's own cases and documents, in NMSTATE=DIR: equal, or why not
	@.venv/bin/python -m tests.conformance $(NMSTATE)

.PHONY: test-programs
test-programs: rig .venv/done  ## Debian's own libvirt and NetworkManager, unpacked, take what is written for them, in the VM
	@tests/vm/setup.sh $(CACHE) image
	@.venv/bin/python -m tests.support.programs
	@$(MAKE) --no-print-directory vm RUN='python -m pytest -q tests/programs'

.PHONY: vm
vm: rig .venv/done  ## run a command in a VM with SR-IOV NICs, or a shell
	@exec $(BOOT)

.PHONY: print-boot
print-boot:
	@echo 'exec $(BOOT)'

.PHONY: rig
rig: packages $(VIRTME)/done $(TOOLS)/done  ## install what the VM needs

.PHONY: packages
packages:
	@tests/vm/setup.sh $(CACHE)

# A folder with the file "done" is whole; what was interrupted is made anew.
$(VIRTME)/done: | packages
	@echo "rig: installing virtme-ng 1.42 from PyPI into $(@D)" >&2
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip --quiet install virtme-ng==1.42 && touch $@

# One program each, by its name and version.
$(ACTIONLINT)/done: | packages
	@echo "lint: building actionlint (1 minute) into $(@D)" >&2
	@GOBIN=$(@D) $(GO) install -ldflags=-s \
		github.com/rhysd/actionlint/cmd/actionlint@v$(lastword $(subst -, ,$(@D)))
	@touch $@

$(KIND)/done: | packages
	@echo "kind: building it (2 minutes) into $(@D)" >&2
	@GOBIN=$(@D) $(GO) install -ldflags=-s sigs.k8s.io/kind@v$(lastword $(subst -, ,$(@D)))
	@multus=$$($(GO) mod download -json $(MULTUS_MODULE)) || { echo "$$multus" >&2; exit 1; }; \
		folder=$$(echo "$$multus" | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p'); \
		install -m 644 "$$folder/deployments/multus-daemonset-thick.yml" $(@D)
	@touch $@

# One at a time, so that each is said when it is there. Without their own flags they are of no version.
KUBERNETES = $(shell sed -n 's,^\tk8s.io/kubernetes ,,p' tests/node/tools/go.mod)
$(PROGRAMS)/done: | packages
	@echo "node: building Kubernetes, containerd, etcd and Multus (20 minutes) into $(@D)" >&2
	@mkdir -p $(@D)
	@for module in tests/node/tools tests/node/tools/containerd; do \
		for package in $$(sed -n 's/^\t_ "\(.*\)"/\1/p' $$module/tools.go); do \
		GOBIN=$(@D) $(GO) install -C $$module -trimpath \
			-ldflags="-s -X k8s.io/component-base/version.gitVersion=$(KUBERNETES)" $$package || exit; \
		echo "node: $$package" >&2; done; done
	@mv $(@D)/server $(@D)/etcd && mv $(@D)/passthru-cni $(@D)/passthru
	@multus=$$(cd tests/node/tools && $(GO) list -m -f '{{.Dir}}' gopkg.in/k8snetworkplumbingwg/multus-cni.v4) && \
		cp "$$multus"/deployments/*.yml $(@D)
	@touch $@

$(AUDIT)/done: | packages
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip --quiet install pip-audit==$(lastword $(subst -, ,$(@D))) && touch $@

$(TOOLS)/done: | packages
	@echo "rig: building CNI plugins, cnitool, ocicnitool and kustomize (4 minutes) into $(@D)" >&2
	@rm -rf $(@D) && mkdir -p $(@D)
	@cd tests/tools && GOBIN=$(@D) \
		$(GO) install -trimpath -ldflags=-s $$(sed -n 's/^\t_ "\(.*\)"/\1/p' tools.go)
	@touch $@

.venv/done: pyproject.toml hatch_build.py deviceinfo/podresources.proto $(STUBS) | packages
	@echo "installing this project and its tools from PyPI into .venv" >&2
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@.venv/bin/pip --quiet install --no-compile -e '.[dev]'
	@.venv/bin/python -m compileall -q -j 0 .venv/lib && touch $@

.venv/atheris-$(ATHERIS): .venv/done
	@.venv/bin/pip --quiet install atheris==$(ATHERIS) && touch $@

# The installation makes them: where git clean took them away, it runs again.
$(STUBS): ;
