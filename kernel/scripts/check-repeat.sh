#!/bin/sh
# SPDX-License-Identifier: MIT
# libumcg's tests REPEAT times (200) each, on 1, 2 and 4 CPUs; on several also with all threads on one of
# them. Tests that repeat things themselves do so less often here than in `make check`, unless SIZES says
# otherwise (full: all as there). MACHINES: some of the five machines, CPUS:PIN each.
. "$(dirname "$0")/lib.sh"

SIZES=${SIZES:-short}
[ "$SIZES" != full ] || SIZES=
export SIZES
failed=
for machine in ${MACHINES:-1: 2: 2:1 4: 4:1}; do
	CPUS=${machine%:*} PIN=${machine#*:}
	export CPUS PIN
	echo "== CPUS=$CPUS${PIN:+ PIN=$PIN}"
	sh "$kernel/scripts/check.sh" || failed="$failed
  CPUS=$CPUS${PIN:+ PIN=$PIN}"
done
[ -z "$failed" ] || die "failed:$failed"
