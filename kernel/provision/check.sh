#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails unless the running kernel has UMCG: a program against the installed libumcg asks it.
. "$(dirname "$0")/lib.sh"

# Nothing stays: provisioning once more changes no file.
scratch=$(mktemp -d)

step "compile and link a program against libumcg in /usr/local"
program=$scratch/enabled
printf '#include <libumcg.h>\nint main(void) { return umcg_enabled() ? 0 : 1; }\n' |
	gcc -x c - -o "$program" $(pkg-config --cflags --libs libumcg)

step "use UMCG"
"$program" || die "umcg_enabled() is false on $(uname -r). If kernel.sh has run, restart the machine;
if it has been restarted, look at the boot loader's choice (/etc/default/grub.d/umcg-lab.cfg)."
step "run a program's threads under umcg-run"
threads=$scratch/threads
printf '#include <pthread.h>\nstatic void *run(void *a) { return a; }\nint main(void) { pthread_t t; return pthread_create(&t, 0, run, 0) || pthread_join(t, 0); }\n' |
	gcc -x c - -pthread -o "$threads"
/usr/local/bin/umcg-run --stats "$threads" 2>&1 | grep -q '1 threads' || die "umcg-run has not scheduled the thread of $threads"
echo "This machine runs $(uname -r), which has UMCG."
