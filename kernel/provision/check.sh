#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails unless the running kernel has UMCG: a program against the installed libumcg asks it.
. "$(dirname "$0")/lib.sh"

step "compile and link a program against libumcg in /usr/local"
program=$UMCG_CACHE/enabled
printf '#include <libumcg.h>\nint main(void) { return umcg_enabled() ? 0 : 1; }\n' |
	gcc -x c - -o "$program" $(pkg-config --cflags --libs libumcg)

step "use UMCG"
"$program" || die "umcg_enabled() is false on $(uname -r). If kernel.sh has run, restart the machine;
if it has been restarted, look at the boot loader's choice (/etc/default/grub.d/umcg-lab.cfg)."
echo "This machine runs $(uname -r), which has UMCG."
