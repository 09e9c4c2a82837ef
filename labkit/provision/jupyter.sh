#!/bin/sh
# SPDX-License-Identifier: MIT
# JupyterLab with the course as a systemd service of the user, from the next boot on and now.
. "$(dirname "$0")/lib.sh"

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
unit=/etc/systemd/system/$service.service
new=$(mktemp)
cat >"$new" <<UNIT
# Written by labkit/provision/jupyter.sh of UMCG Lab.
[Unit]
Description=UMCG Lab: JupyterLab on port $port
After=network.target

[Service]
User=$user
WorkingDirectory=$lab/notebooks
Environment=JUPYTER_TOKEN_FILE=$token PATH=$venv/bin:/usr/local/bin:/usr/bin:/bin
ExecStart=$venv/bin/jupyter lab --no-browser --ip=0.0.0.0 --port=$port --ServerApp.port_retries=0
Restart=on-failure

[Install]
WantedBy=multi-user.target
UNIT
if ! cmp -s "$new" $unit; then
	changed
	install -m 644 "$new" $unit
	systemctl daemon-reload
	systemctl enable --quiet $service
fi
rm -f "$new"

# A running server has read settings and token as they were when it started.
step "start the service $service"
since=$(systemctl show --property ActiveEnterTimestamp --value --timestamp us+utc $service)
if ! systemctl is-active --quiet $service || [ -n "$(find "$mark" $token $unit -newermt "$since")" ]; then
	changed
	systemctl restart $service
fi
