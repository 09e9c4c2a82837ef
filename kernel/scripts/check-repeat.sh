#!/bin/sh
# SPDX-License-Identifier: MIT
# libumcg's tests REPEAT times (200) each, on 1, 2 and 4 CPUs; on several also with all threads on one of
# them. Tests that repeat things themselves do so less often here than in `make check`, unless SIZES says
# otherwise (full: all as there). MACHINES: some of the five machines, CPUS:PIN each.
. "$(dirname "$0")/lib.sh"

short="lib_random_SECONDS=1 lib_many_WORKERS=300 lib_beside_MEETINGS=20 lib_blocking_ROUNDS=3
lib_swap_chain_ROUNDS=50 lib_swap_chain_WORKERS=100 lib_pingpong_ROUNDS=200 lib_idle_ROUNDS=30
lib_signals_ROUNDS=300 lib_timeout_ROUNDS=30 lib_groups_ROUNDS=5 lib_preempt_ROUNDS=5 lib_churn_ROUNDS=50
lib_cancel_TIMES=10 lib_handler_ROUNDS=20 lib_wake_ROUNDS=10 lib_yield_ROUNDS=50 lib_ends_ROUNDS=2000 lib_published_ROUNDS=5"
SIZES=${SIZES:-$(echo $short)}
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
