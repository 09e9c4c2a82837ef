#!/bin/sh
# SPDX-License-Identifier: MIT
# JupyterLab with the course as a systemd service of the user, from the next boot on and now.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/unit.sh"

step "install the Jupyter kernel Python (UMCG)"
[ -x "$venv/bin/jupyter" ] || die "$venv has no JupyterLab: run labkit.sh first"
mark=$venv/share/jupyter/umcg-lab-installed
source=$(cd "$lab/labkit/jupyter" && cat ./*.* | sha256sum)
if [ "$(cat "$mark" 2>/dev/null)" != "$source" ]; then
	changed
	as_user "$venv/bin/labkit" jupyter install >/dev/null
	echo "$source" | as_user tee "$mark" >/dev/null
fi

step "make JupyterLab's token"
if [ ! -s $token ]; then
	changed
	mkdir -p "${token%/*}"
	(umask 077 && python3 -c 'import secrets; print(secrets.token_hex(24), end="")' >$token)
fi
chown "$user:" $token

step "set up the service $service"
file=/etc/systemd/system/$service.service
new=$(mktemp)
unit >"$new"
if ! cmp -s "$new" $file; then
	changed
	install -m 644 "$new" $file
	systemctl daemon-reload
	systemctl enable --quiet $service
fi
rm -f "$new"

# A running server has read settings and token as they were when it started.
step "start the service $service"
since=$(systemctl show --property ActiveEnterTimestamp --value --timestamp us+utc $service)
if ! systemctl is-active --quiet $service || [ -n "$(find "$mark" $token $file -newermt "$since")" ]; then
	changed
	systemctl restart $service
fi
