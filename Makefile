# The one door. Everything that a target needs is installed by it, and found installed the next time.
#   make lab      three worlds: a PC, a Malta and a Macintosh of our own reach one another by ping and HTTP, and it is checked
#   make lab-maltas  two Maltas: nothing is compiled but the project   make lab-qemu  QEMU's machines, of two architectures
#   make test     all tests, real peers included          make check   format, lint, types, import contracts, clippy
#   make bench    measurements against the originals      make fuzz    every parser, ten minutes each
#   make test-oracles  floating point beside the host's own and mpmath's, millions of cases; the i386 beside host and Unicorn
#   make test-programs  other projects' test programs on our engines
#   make test-pc, test-malta, test-mac  what takes minutes on each board: installers, discs, firmware, every card both ways
#   make soak-pc  a PC with Debian on its disk works for an hour (MINUTES=60), and its file system is clean
#   make soak-malta  two Maltas load their network for an hour (MINUTES=60): nothing is lost, and nothing grows
#   make interop  only the tests with real peers          make clean   remove what was built

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := Cargo.toml Cargo.lock $(shell find switch/native vde/native vde/wire/native plugs/native emulators -name '*.rs' -o -name Cargo.toml 2>/dev/null)
PYTEST := $(BIN)/pytest
# Tests beside each other; what takes long in them are guests that boot, and waiting.
JOBS ?= 2

.PHONY: lab lab-qemu lab-maltas ready test check bench bench-switch bench-plugs bench-cpu bench-wires bench-guests fuzz test-oracles test-programs interop test-pc soak-pc soak-malta test-malta test-mac unit constraints clean
.DELETE_ON_ERROR:

lab: $(VENV)/.built
	@$(BIN)/vde image path linux-ppc >/dev/null 2>&1 || echo 'setup: the first time: a cross compiler (60 MB) and'\
		'kernels (150 MB, one of them in source, which takes some five minutes to compile); then never again'
	@setup/install-packages mac
	@$(BIN)/vde image build linux-ppc
	@$(BIN)/vde up topologies/three-worlds.yaml --until-checked

lab-maltas: $(VENV)/.built
	@$(BIN)/vde up topologies/two-maltas.yaml --until-checked

lab-qemu: $(VENV)/.built
	@setup/install-packages qemu
	@$(BIN)/vde up topologies/first.yaml --until-checked

ready: $(VENV)/.built
	@setup/install-packages qemu test bench

test: ready
	cargo test --release --quiet --workspace
	$(PYTEST) --numprocesses $(JOBS) --dist worksteal

test-oracles: $(VENV)/.built
	@setup/install-packages test
	$(BIN)/python -m tests.emulators.cpus.transcendental_vectors 10000 > target/true_values.txt
	SOFT_FLOAT_ROUNDS=100 SOFT_FLOAT_VALUES=$(CURDIR)/target/true_values.txt cargo test --release --quiet --package soft-float
	SOFT_FLOAT_ROUNDS=100 cargo test --release --quiet --package i386-engine x87
	I386_HOST_CASES=200 I386_UNICORN_CASES=200 $(PYTEST) --numprocesses $(JOBS) tests/emulators/cpus/test_i386_host.py \
		tests/emulators/cpus/test_i386_unicorn.py

# Other projects' test programs; those that no package has are named by KVM_UNIT_TESTS and V86_TESTS (docs/engine.md).
test-programs: $(VENV)/.built
	@setup/install-packages test programs
	$(PYTEST) -rs tests/interop/long_kvm_unit_tests.py tests/interop/long_v86_tests.py \
		tests/interop/long_i386_programs.py tests/interop/long_valgrind_programs.py tests/interop/long_i386_testfloat.py \
		tests/interop/long_mips_ppc_testfloat.py
	FLOAT_CASES=2000 $(PYTEST) tests/interop/test_i386_float.py

test-pc: $(VENV)/.built
	@setup/install-packages test soak
	$(PYTEST) tests/interop/long_pc.py tests/interop/long_cards.py tests/interop/long_firmware.py \
		tests/interop/long_rest.py tests/interop/long_bochsrc.py tests/interop/long_network_boot.py \
		tests/interop/long_disk.py

# Rounds of packages, compilers and checksums on a disk that boots over GRUB; then e2fsck.
MINUTES ?= 60
soak-pc: $(VENV)/.built
	@setup/install-packages test soak
	$(BIN)/python -m tests.interop.soak_pc $(MINUTES)

# Two Maltas download from each other without pause: checksums, consoles, and the memory of the host's processes.
soak-malta: $(VENV)/.built
	$(BIN)/python -m tests.interop.soak_malta $(MINUTES)

test-malta: $(VENV)/.built
	@setup/install-packages test
	$(PYTEST) tests/interop/long_malta.py

test-mac: $(VENV)/.built
	@setup/install-packages test
	@$(BIN)/vde image build linux-ppc
	$(PYTEST) --numprocesses $(JOBS) --dist worksteal tests/interop/long_mac.py tests/interop/long_mac_discs.py

unit: $(VENV)/.built
	$(PYTEST) -m 'not interop and not slow'

interop: $(VENV)/.built
	@setup/install-packages qemu test bench
	$(PYTEST) -m interop

fuzz: $(VENV)/.built
	$(BIN)/python -m tests.fuzz

check: $(VENV)/.tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

bench: bench-switch bench-plugs bench-wires bench-guests bench-cpu

bench-switch: $(VENV)/.built
	@setup/install-packages test bench
	$(BIN)/python -m tests.bench.switch

bench-plugs: $(VENV)/.built
	@setup/install-packages test bench
	cargo build --release --quiet --package vdeplug_vdeshm
	$(BIN)/python -m tests.bench.plugs

bench-cpu: $(VENV)/.built
	@setup/install-packages qemu test bench
	$(BIN)/python -m tests.bench.cpu

bench-wires: $(VENV)/.built
	@setup/install-packages test bench
	$(BIN)/python -m tests.bench.netem
	$(BIN)/python -m tests.bench.wires --scenario throughput

bench-guests: $(VENV)/.built
	@setup/install-packages qemu test bench
	$(BIN)/python -m tests.bench.guests

$(VENV)/.tools: pyproject.toml setup/constraints setup/packages
	@setup/install-packages build
	@setup/need $(PYTHON) 'Install Python 3.11 or later: apt-get install python3 python3-venv'
	@setup/need cargo 'Install a Rust toolchain: https://rustup.rs'
	@echo 'setup: virtual environment'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade --constraint setup/constraints pip
	@$(BIN)/python setup/requirements.py > $(VENV)/requirements
	@$(BIN)/python -m pip install --quiet --constraint setup/constraints --requirement $(VENV)/requirements
	@touch $@

$(VENV)/.built: $(VENV)/.tools $(RUST)
	@echo 'setup: building the native module (a minute the first time)'
	@PIP_QUIET=1 $(BIN)/maturin develop --release --quiet
	@cargo build --release --quiet --package vdeplug_vdeshm
	@install -m 644 target/release/libvdeplug_vdeshm.so plugs/
	@touch $@

constraints: $(VENV)/.tools
	$(BIN)/python -m pip freeze --all --exclude vde-fabric --exclude setuptools > setup/constraints

clean:
	rm -rf $(VENV) target vde/*.so plugs/*.so
