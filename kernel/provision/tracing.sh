#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernel's tracepoints for the user who runs JupyterLab, now and after every boot: notebooks 05 and 12 record them.
. "$(dirname "$0")/lab.sh"

step "set up the service $tracing"
program=/usr/local/libexec/umcg-lab-open-tracing
unit=/etc/systemd/system/$tracing.service
new=$(mktemp)
cat >"$new" <<UNIT
# Written by kernel/provision/tracing.sh of UMCG Lab.
[Unit]
Description=UMCG Lab: the kernel's tracepoints for $user
After=sys-kernel-tracing.mount

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$program $user

[Install]
WantedBy=multi-user.target
UNIT
if ! cmp -s "$new" $unit || ! cmp -s "$(dirname "$0")/open-tracing" $program; then
	changed
	install -D -m 755 "$(dirname "$0")/open-tracing" $program
	install -m 644 "$new" $unit
	systemctl daemon-reload
	systemctl enable --quiet $tracing
	systemctl restart $tracing
fi
rm -f "$new"

step "trace as $user"
systemctl is-active --quiet $tracing || systemctl start $tracing
as_user "$venv/bin/python" -c 'from labkit.trace.kernel import KernelTracer
with KernelTracer(): pass' || die "$user may not trace the kernel: see \`systemctl status $tracing\`"
