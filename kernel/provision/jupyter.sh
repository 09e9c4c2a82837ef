#!/bin/sh
# SPDX-License-Identifier: MIT
# JupyterLab with the course as a systemd service of the user, from the next boot on and now.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/unit.sh"

step "install the Jupyter kernel Python (UMCG)"
[ -x "$venv/bin/jupyter" ] || die "$venv has no JupyterLab: run labkit.sh first"
installed=$venv/share/jupyter/umcg-lab-installed
source=$(cd "$lab/labkit/jupyter" && cat ./*.* | sha256sum)
if [ "$(cat "$installed" 2>/dev/null)" != "$source" ]; then
	changed
	as_user "$venv/bin/labkit" jupyter install >/dev/null
	echo "$source" | as_user tee "$installed" >/dev/null
fi

# As `make lab` does; what somebody has edited or run there stays.
step "bring the notebooks to $course"
released=$venv/share/jupyter/umcg-lab-released
source=$(cat "$lab"/notebooks/*.ipynb "$lab"/labkit/grading/*.py | sha256sum)
if [ ! -d "$course" ] || [ "$(cat "$released" 2>/dev/null)" != "$source" ]; then
	changed
	told=$(as_user "$venv/bin/labkit" release "$course" 2>&1) || die "\`labkit release $course\` says:
$told"
	printf '%s\n' "$told" | grep ': kept' || true
	echo "$source" | as_user tee "$released" >/dev/null
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
if ! systemctl is-active --quiet $service || [ -n "$(find "$installed" $token $file -newermt "$since")" ]; then
	changed
	systemctl restart $service
fi
