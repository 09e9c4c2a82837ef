#!/bin/sh
# SPDX-License-Identifier: MIT
# The project in the user's folder, with labkit in a virtual environment there.
. "$(dirname "$0")/lab.sh"

step "install Python"
packages '$(PYTHON_PACKAGES)' gcc libc6-dev git

if [ "$lab" != "$project" ]; then
	step "copy the project to $lab"
	as_user python3 "$project/kernel/provision/copy.py" "$project" "$lab"
fi

# pip alone takes four times as long to put some hundred packages there.
step "make the virtual environment $venv"
if [ ! -x "$venv/bin/uv" ]; then
	changed
	as_user python3 -m venv "$venv"
	as_user "$venv/bin/pip" install -q --disable-pip-version-check uv
fi

step "install labkit into $venv"
as_user env LABKIT_LIBUMCG=/usr/local LABKIT_HEADERS=/usr/local \
	make -s -C "$lab" .venv/installed EXTRAS=lab PIP="$venv/bin/uv pip"

step "run labkit on this kernel"
report=$(as_user "$venv/bin/labkit" doctor 2>&1) || die "\`labkit doctor\` says:
$report"
