# SPDX-License-Identifier: MIT
# UMCG Lab: `make demo` to see it, `make test` to check it; `make help` for the rest.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
EXTRAS ?= dev,lab
PIP := $(BIN)/pip

# JupyterLab wants to be told that root is meant.
AS_ROOT := $(shell [ "$$(id -u)" != 0 ] || echo --allow-root)

# Debian packages and what they are for; `deps` installs those that are missing.
KERNEL_PACKAGES := build-essential bc bison flex libelf-dev libssl-dev perl xz-utils linux-source-6.1
GUEST_PACKAGES := qemu-system-x86 qemu-system-common busybox-static cpio
DEB_PACKAGES := dpkg-dev rsync kmod
PYTHON_PACKAGES := python3-venv python3-dev pkg-config
MAN_PACKAGES := man-db
BROWSER_PACKAGES := chromium
BENCH_PACKAGES := linux-perf rt-tests
VAGRANT_PACKAGES := vagrant vagrant-libvirt libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-utils openssh-client \
	mmdebstrap fakeroot fdisk e2fsprogs
PACKAGES := $(KERNEL_PACKAGES) $(GUEST_PACKAGES) $(DEB_PACKAGES) $(PYTHON_PACKAGES) $(MAN_PACKAGES)

# The packages of Python arrive while the kernel is compiled.
demo: packages	## four experiments on the patched kernel against pthreads: a table and out/demo.html
	@$(MAKE) -j2 $(VENV)/installed image
	@$(BIN)/labkit demo

image:
	@$(MAKE) -C kernel image

lab: deps	## JupyterLab with the course, its Python on the patched kernel
	@$(MAKE) -C kernel image || echo "Without the patched kernel the notebooks show recorded runs."
	@$(BIN)/labkit jupyter install || true
	@$(BIN)/jupyter lab $(AS_ROOT) --LabApp.default_url=/lab/tree/00-quickstart.ipynb notebooks

bench: deps	## the benchmark suite: one results file, one report
	@$(MAKE) packages PACKAGES='$(BENCH_PACKAGES)'
	@$(MAKE) -C kernel image
	@$(MAKE) -C kernel image BASE=1
	@$(BIN)/labkit bench

test: deps lint	## kernel image, conformance programs, libumcg, instruction counts, Python unit, guest and bench tests, notebooks with recorded runs, Vagrant
	@$(BIN)/pytest -q tests/unit
	@$(BIN)/pytest -q -m 'not vm' tests/jupyter
	@$(EXECUTE) --nbmake-kernel=python3 notebooks
	@$(MAKE) -C kernel check-host
	@$(MAKE) -C kernel check CPUS=2
	@$(BIN)/labkit bench --icount
	@$(BIN)/labkit vm exec -- $(BIN)/pytest -q tests/guest tests/bench
	@$(BIN)/pytest -q -m quick tests/vm
	@$(MAKE) test-vagrant

test-vm: deps	## all tests of the microVM: Ctrl-C, panic, hang, out of memory; each boots a guest of its own
	@$(MAKE) -C kernel image
	@$(BIN)/pytest -q tests/vm

test-bench: deps	## every suite of the benchmark once, at its smallest, on the patched kernel
	@$(MAKE) -C kernel image
	@$(BIN)/labkit vm exec -- $(BIN)/pytest -q tests/bench

test-jupyter: deps	## the Jupyter kernel: start, interrupt, restart, panic, two at once, shutdown
	@$(MAKE) -C kernel image
	@$(BIN)/pytest -q tests/jupyter

# NOTEBOOK=notebooks/02-swap.ipynb chooses one.
NOTEBOOK ?= notebooks
EXECUTE = $(BIN)/pytest -q -p no:cacheprovider --timeout=3600 --nbmake --nbmake-timeout=900

test-notebooks: deps	## every notebook, on plain Python with recorded runs and on the patched kernel
	@$(MAKE) -C kernel image
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
	[ -z "$$failed" ] || { printf "failed:$$failed\n"; exit 1; }

lint: deps	## ruff, mypy, shell syntax
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=kernel/boot $(BIN)/mypy --strict kernel/boot kernel/cost
	@$(BIN)/mypy --strict bench
	@for f in $$(git ls-files -co --exclude-standard '*.sh' kernel/boot/init kernel/cost/init .ci/run); do sh -n $$f || exit 1; done

format: deps	## let ruff lay out the Python files
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

deps: packages $(VENV)/installed	## what is missing of Debian packages (sudo only then), and .venv

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

$(VENV)/installed: pyproject.toml setup.py $(wildcard labkit/native/*.[ch] labkit/native/build.py kernel/libumcg/src/* kernel/libumcg/include/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is older than 3.11: give PYTHON=")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing labkit and what it needs into $(VENV)"
	@$(PIP) install -q --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

clean:		## outputs of this folder (make -C kernel clean: the kernel's)
	rm -rf out build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info labkit/native/*.so labkit/native/_engine.c

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' Makefile | expand -t 14
	@echo '  make -C kernel help: patch, build, boot, check the kernel alone'

.PHONY: demo image lab bench test test-bench test-jupyter test-notebooks test-browser test-vm test-vagrant test-provision test-debug lint format deps packages clean help
