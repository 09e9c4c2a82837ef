# SPDX-License-Identifier: MIT
# UMCG Lab: `make demo` to see it, `make test` to check it; `make help` for the rest.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PIP := $(BIN)/pip
# The steps of the tests; each says what it does, of how many, and how long it may take.
STEPS := $(BIN)/python tests/steps.py

# JupyterLab wants to be told that root is meant.
AS_ROOT := $(shell [ "$$(id -u)" != 0 ] || echo --allow-root)

# Debian packages and what they are for; `deps` installs those that are missing.
KERNEL_PACKAGES := build-essential bc bison flex libelf-dev libssl-dev perl xz-utils linux-source-6.1
GUEST_PACKAGES := qemu-system-x86 qemu-system-common busybox-static cpio
DEB_PACKAGES := dpkg-dev rsync kmod
PYTHON_PACKAGES := python3-venv python3-dev pkg-config
# For the tests alone.
TEST_PACKAGES := man-db trace-cmd libgc-dev
BROWSER_PACKAGES := chromium
BENCH_PACKAGES := linux-perf rt-tests
VAGRANT_PACKAGES := vagrant vagrant-libvirt libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-utils openssh-client \
	mmdebstrap fakeroot fdisk e2fsprogs
PACKAGES := $(KERNEL_PACKAGES) $(GUEST_PACKAGES) $(DEB_PACKAGES) $(PYTHON_PACKAGES)

# The packages of Python arrive while the kernel is compiled.
demo: packages	## five experiments on the patched kernel against pthreads: a table and out/demo.html
	@$(MAKE) -j2 $(VENV)/installed image
	@$(BIN)/labkit demo

image:
	@$(MAKE) -C kernel image

# Where you work on the notebooks: yours, and never written over.
COURSE := course

lab: packages $(VENV)/installed	## JupyterLab with the course (your copy: COURSE=course), its Python on the patched kernel
	@$(MAKE) -C kernel image libumcg || echo "Without the patched kernel the notebooks show recorded runs."
	@$(BIN)/labkit jupyter install || true
	@$(BIN)/labkit release $(COURSE)
	@$(BIN)/jupyter lab $(AS_ROOT) --LabApp.default_url=/lab/tree/00-quickstart.ipynb $(COURSE)

bench: packages $(VENV)/installed	## the benchmark suite: one results file, one report
	@$(MAKE) packages PACKAGES='$(BENCH_PACKAGES)'
	@$(MAKE) -C kernel image
	@$(MAKE) -C kernel image BASE=1
	@$(BIN)/labkit bench

# The steps of these four, and what each may take, stand in tests/steps.py.
test: deps	## for everybody, 8 minutes (15 with the kernel's build): kernel, libumcg, instruction counts, labkit, guest
	@$(STEPS) test

test-fast: deps	## for the inner loop, 3 minutes: lint, unit tests but for those that take seconds
	@$(STEPS) fast

test-all: deps test-packages	## what `make test` leaves out: Vagrant, browser, notebooks, Jupyter, all of the microVM, long tests
	@$(STEPS) all

test-matrix: deps test-packages	## the conformance programs and libumcg's tests as long as they are, the whole life of Vagrant's machine, Python's programs under umcg-run, labkit in every combination
	@$(STEPS) matrix

test-packages:
	@$(MAKE) packages PACKAGES='$(BROWSER_PACKAGES) $(VAGRANT_PACKAGES)'

test-vm: deps	## all tests of the microVM: Ctrl-C, panic, hang, out of memory; each boots a guest of its own
	@$(MAKE) -C kernel image
	@$(BIN)/pytest -q tests/vm

test-bench: deps	## every suite of the benchmark once, at its smallest, on the patched kernel
	@$(MAKE) -C kernel image
	@$(BIN)/labkit vm exec -- $(BIN)/pytest -q tests/bench

programs: $(VENV)/installed	## MariaDB, memcached, redis, nginx, sysbench and their clients from Debian's packages, unpacked in the cache: nothing is installed or started
	@$(BIN)/python -m labkit.programs.install

test-programs: deps	## Python, Java, Node, MariaDB, memcached, redis, nginx, sysbench under umcg-run, compared with plain (QUICK=1: Python alone); C and C++ are in `make -C kernel check`
	@$(MAKE) programs || echo 'What is missing of them is not tested.'
	@$(MAKE) -C kernel image libumcg
	@$(BIN)/labkit vm exec -- $(CURDIR)/$(BIN)/python -m pytest -q -rs -p no:cacheprovider $(if $(QUICK),-m 'not long') tests/programs

test-jupyter: deps	## the Jupyter kernel: start, interrupt, restart, panic, two at once, shutdown
	@$(MAKE) -C kernel image
	@$(BIN)/pytest -q tests/jupyter

# NOTEBOOK=notebooks/02-swap.ipynb chooses one.
NOTEBOOK ?= notebooks
EXECUTE = $(BIN)/pytest -q -p no:cacheprovider -p nbmake.pytest_plugin --timeout=3600 --nbmake --nbmake-timeout=900

test-notebooks: deps	## every notebook, on plain Python with recorded runs and on the patched kernel
	@$(MAKE) -C kernel image libumcg
	@$(BIN)/labkit jupyter install
	@$(EXECUTE) --nbmake-kernel=python3 $(NOTEBOOK)
	@$(EXECUTE) --nbmake-kernel=python-umcg $(NOTEBOOK)

test-browser: deps	## JupyterLab in Chromium: notebook 02 on the patched kernel; pictures in out/browser
	@$(MAKE) packages PACKAGES='$(BROWSER_PACKAGES)'
	@$(MAKE) -C kernel image
	@$(BIN)/pytest -q tests/browser

test-vagrant: deps	## a real `vagrant up` from the Vagrantfile, and the whole life of that machine
	@$(MAKE) packages PACKAGES='$(VAGRANT_PACKAGES)'
	@$(BIN)/python tests/vagrant/run.py

test-provision:	## as root: a Debian 12 in a folder builds, installs and chooses its kernel, as the VM does without packages
	@$(MAKE) packages PACKAGES='mmdebstrap rsync'
	@tests/vagrant/build.sh

# Every run is made even if one before it has failed.
test-debug: deps	## conformance programs and libumcg on 1, 2, 4 CPUs, all preemption models, debug kernels, sanitizers; hours
	@failed=; \
	run() { echo "== check $$*"; $(MAKE) -C kernel check "$$@" || failed="$$failed\n  check $$*"; }; \
	for cpus in 1 2 4; do \
		for model in none voluntary full; do run CPUS=$$cpus PREEMPT=$$model; done; \
	done; \
	for config in debug kasan kcsan; do \
		for cpus in 1 2 4; do run CONFIG=$$config CPUS=$$cpus; done; \
	done; \
	for sanitizer in address thread; do run SANITIZE=$$sanitizer; done; \
	run T=umcg_stress ARGS=10000000 TIMEOUT=7200; \
	run T=umcg_fuzz ARGS=600 TIMEOUT=1200; \
	run T=lib_random ARGS=300 TIMEOUT=900; \
	[ -z "$$failed" ] || { printf "failed:$$failed\n"; exit 1; }

lint: deps	## ruff, mypy, shell syntax
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=kernel/boot $(BIN)/mypy --strict kernel/boot kernel/cost
	@$(BIN)/mypy --strict bench tests/steps.py kernel/provision
	@for f in $$(git ls-files -co --exclude-standard '*.sh' kernel/boot/init kernel/cost/init .ci/run); do sh -n $$f || exit 1; done

format: deps	## let ruff lay out the Python files
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

deps: PACKAGES += $(TEST_PACKAGES)
deps: packages $(VENV)/installed-dev	## what is missing of Debian packages (sudo only then), and .venv with the developers' tools

packages:
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "Not a Debian system; needed here are the equivalents of:$$missing"; exit 0; \
	fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "Installing Debian packages (to build the kernel, boot it in QEMU, set up Python):$$missing"; \
	{ [ -n "$$APT_LISTS_ARE_NEW" ] || $$sudo apt-get -q update; } && \
	found=; for p in $$missing; do \
		if apt-cache show $$p >/dev/null 2>&1; then found="$$found $$p"; \
		else echo "$$p: this release does not have it; going on without"; fi; \
	done; \
	$$sudo apt-get -q install -y --no-install-recommends $$found

# Who only uses the lab does not get the developers' tools; who has them has all of it. A machine that runs the
# patched kernel itself needs no microVM: EXTRAS=lab.
EXTRAS := lab,vm
$(VENV)/installed-dev: EXTRAS := dask,dev,hub,lab,nbgrader,trace-test,vm
$(VENV)/installed $(VENV)/installed-dev: pyproject.toml constraints.txt setup.py \
		$(wildcard labkit/native/*.[ch] labkit/native/build.py kernel/libumcg/src/* kernel/libumcg/include/*) \
		$(wildcard labkit/sim/*.[ch] labkit/sim/*.cdef labkit/sim/build.py kernel/sched/src/* kernel/sched/policies/*.c kernel/sched/include/*) $(wildcard kernel/sched/runtime/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is older than 3.11: give PYTHON=")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing labkit and what it needs into $(VENV)"
	@$(PIP) install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(VENV)/installed $@

# For every Python from 3.11 on, whatever this machine's is: one version of each for all of them, as pip judges the
# markers of a constraint by its own Python, also when it fetches for another (the Vagrant machine's).
constraints: deps	## constraints.txt anew: the newest of everything that pyproject.toml allows
	@$(PIP) install -q --disable-pip-version-check uv
	@sed -n '/^#/p' constraints.txt >$(VENV)/constraints.txt
	@$(BIN)/uv pip compile -q --universal --fork-strategy fewest --all-extras --python-version 3.11 --no-annotate --no-header pyproject.toml >>$(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt

clean:		## outputs of this folder (make -C kernel clean: the kernel's)
	rm -rf out build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info labkit/native/*.so labkit/native/_engine.c labkit/sim/*.so labkit/sim/_simulator.c

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' Makefile | expand -t 17
	@echo '  make -C kernel help: patch, build, boot, check the kernel alone'

.PHONY: demo image lab bench test test-fast test-all test-matrix test-packages test-bench test-programs test-jupyter test-notebooks test-browser test-vm test-vagrant test-provision test-debug lint format deps packages constraints clean help
