#!/bin/sh
# SPDX-License-Identifier: MIT
# Wait until JupyterLab answers, then print the link that opens it on port $UMCG_LAB_PORT of the host.
. "$(dirname "$0")/lab.sh"

step "open JupyterLab"
[ -s $token ] && [ -x "$venv/bin/python" ] ||
	die "it is not installed completely; \`vagrant provision\` does what is missing"
"$venv/bin/python" "$project/kernel/provision/wait.py" $service "$port" $token ||
	die "the service $service does not answer; it said:
$(journalctl --no-pager --unit $service --lines 20 --output cat)"
cat <<LINK

UMCG Lab is ready:

    http://localhost:${UMCG_LAB_PORT:-$port}/lab?token=$(cat $token)

LINK
