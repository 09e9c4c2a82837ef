# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# umcg-run and the library that it puts into programs; read by ../Makefile.
RUN := $(SRC)run/
RUN_HEADERS := $(wildcard $(RUN)*.h $(RUN)preload/*.h) $(HEADERS_HERE)

# Everything in it is its own: no call of a scheduler's thread may end in the loader, nor in the program's allocator.
PRELOAD_SOURCES := $(RUN)rules.c $(sort $(wildcard $(RUN)preload/*.c))
PRELOAD_OBJECTS := $(patsubst $(SRC)%.c,$(O)/run/%.o,$(PRELOAD_SOURCES)) $(OBJECTS)
RUN_OBJECTS := $(patsubst $(RUN)%.c,$(O)/run/run/%.o,$(sort $(wildcard $(RUN)*.c)))

$(O)/run/%.o: $(SRC)%.c $(RUN_HEADERS) $(FLAGS_FROM)
	@mkdir -p $(@D)
	$(CC) $(LIB_CFLAGS) -c -o $@ $<

$(O)/libumcg-run.so: $(PRELOAD_OBJECTS) $(LIBUMCG)/libumcg.a $(RUN)libumcg-run.map
	$(CC) $(LIB_CFLAGS) -shared -Wl,-soname,libumcg-run.so -Wl,--version-script,$(RUN)libumcg-run.map \
		-Wl,-z,now,-z,nodelete -Wl,--wrap=calloc,--wrap=free $(if $(SAN),,-Wl,-z,defs) -o $@ $(PRELOAD_OBJECTS) \
		$(LIBUMCG)/libumcg.a -ldl

$(O)/umcg-run: $(RUN_OBJECTS) $(O)/libumcg-sched.a $(LIBUMCG)/libumcg.a
	$(CC) $(ALL_CFLAGS) -o $@ $^ -ldl

# Their programs are dynamic, as those that users have. libgcc_s is what ends of threads are unwound with.
RUN_TESTS := $(addprefix $(O)/tests/run_,threads processes beside command cxx requests places)
RUN_CFLAGS := -Wall -Wextra -Werror -pthread -D_GNU_SOURCE -O2 -g

$(O)/tests/same.o: $(RUN)tests/same.c $(RUN)tests/same.h | $(O)/tests
	$(CC) -std=c11 $(RUN_CFLAGS) -c -o $@ $<

$(O)/tests/run_%: $(RUN)tests/run_%.c $(O)/tests/same.o
	$(CC) -std=c11 $(RUN_CFLAGS) -o $@ $^ -Wl,--no-as-needed -lgcc_s

$(O)/tests/run_cxx: $(RUN)tests/run_cxx.cc $(O)/tests/same.o
	$(CXX) -std=c++20 $(RUN_CFLAGS) -o $@ $^

$(O)/tests/umcg-run $(O)/tests/libumcg-run.so: $(O)/tests/%: $(O)/% | $(O)/tests
	cp $< $@

run-tests: $(RUN_TESTS) $(O)/tests/umcg-run $(O)/tests/libumcg-run.so
