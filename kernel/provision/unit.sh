# SPDX-License-Identifier: MIT
# Read by jupyter.sh: the service's unit.

# What systemd.unit(5) wants of a value: % begins a specifier; quotes keep blanks together. The name of a
# program may hold no quotes at all, so `env` looks it up.
plain() { printf '%s' "$1" | sed 's/%/%%/g'; }
quoted() { printf '"%s"' "$(plain "$1" | sed 's/[\\"]/\\&/g')"; }

unit() {
	cat <<UNIT
# Written by kernel/provision/jupyter.sh of UMCG Lab.
[Unit]
Description=UMCG Lab: JupyterLab on port $port
After=network.target

[Service]
User=$user
WorkingDirectory=$(plain "$course")
Environment=$(quoted "JUPYTER_TOKEN_FILE=$token") $(quoted "PATH=$venv/bin:/usr/local/bin:/usr/bin:/bin")
ExecStart=/usr/bin/env jupyter lab --no-browser --ip=$bind --port=$port --ServerApp.port_retries=0
Restart=on-failure

[Install]
WantedBy=multi-user.target
UNIT
}
