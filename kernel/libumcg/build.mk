# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Read by this folder's Makefile and by ../sched's, after SRC, the folder, and VERSION and SONAME, the library's:
# what make is called with, flags, tests of places that pass on, and how a library is installed.

# Who compiles depends on this file, too: its flags may change.
FLAGS_FROM := $(lastword $(MAKEFILE_LIST))
O ?= build
HEADERS ?=
SAN ?=
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
CFLAGS ?= -O2 -g
INSTALL ?= install

SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=all -static-libasan -static-libubsan
SAN_tsan := -fsanitize=thread -static-libtsan
ifneq ($(SAN),)
ifeq ($(SAN_$(SAN)),)
$(error SAN=$(SAN): it has to be asan or tsan)
endif
endif

# LIB: libumcg's folder, where that is another one.
INCLUDES := -I$(SRC)include $(if $(LIB),-I$(LIB)include) $(if $(HEADERS),-I$(HEADERS)/include)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -pthread $(INCLUDES) $(SAN_$(SAN)) $(CFLAGS)
# Threads that are cancelled are unwound through the libraries (libumcg's src/cancel.c), and no call ends in the loader,
# for a thread's own variables neither: umcg-run puts these objects into programs.
LIB_CFLAGS := $(ALL_CFLAGS) -fPIC -fvisibility=hidden -fno-plt -fexceptions -ftls-model=initial-exec

# Tests that are there once more, where places pass on: see test_passes_on() in libumcg's tests/util.h. Each has
# the limit of the program that it is.
PASSING := $(patsubst %,$(O)/tests/%_pass,$(shell cat $(SRC)tests/passing))
.DEFAULT_GOAL := all

$(PASSING): %_pass: %
	ln -f $< $@

$(O)/tests/limits: $(SRC)tests/limits $(SRC)tests/passing | $(O)/tests
	awk 'NR == FNR { passing[$$1]; next } { print } \
		$$1 in passing { $$1 = $$1 "_pass"; print }' $(SRC)tests/passing $(SRC)tests/limits >$@

# $(call install_library,NAME): static and shared, and its pkg-config file.
define install_library
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 $(O)/$(1).a $(DESTDIR)$(LIBDIR)/
	$(INSTALL) -m 755 $(O)/$(SONAME) $(DESTDIR)$(LIBDIR)/
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/$(1).so
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' -e 's,@VERSION@,$(VERSION),' \
		$(SRC)$(1).pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/$(1).pc
endef
