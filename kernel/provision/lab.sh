# SPDX-License-Identifier: MIT
# Read by the scripts beside it: whose lab it is and where it is.
. "$(dirname "$0")/lib.sh"

user=${UMCG_LAB_USER:-${SUDO_USER:-}}
[ -n "$user" ] && [ "$user" != root ] || die "JupyterLab runs under an ordinary user: set UMCG_LAB_USER"
home=$(getent passwd "$user" | cut -d: -f6)
[ -n "$home" ] || die "no user $user on this machine: set UMCG_LAB_USER"

# Where the lab is worked in. Usually the project itself; the Vagrantfile gives a folder in the guest's
# home, as its copy of the project is overwritten by every `vagrant up`.
lab=${UMCG_LAB_FOLDER:-$project}
venv=$lab/.venv
# The copy of the notebooks that JupyterLab opens: for students, and theirs.
course=$lab/course

# What the service needs: JupyterLab's port, the address it listens on, and the file that holds its token.
# Who is let in can run anything here, and what is said goes through the network as it is: nobody else's
# machine reaches the address unless UMCG_LAB_BIND says so.
port=${UMCG_LAB_GUEST_PORT:-8888}
bind=${UMCG_LAB_BIND:-127.0.0.1}
token=/etc/umcg-lab/token
service=umcg-lab
tracing=umcg-lab-tracing

as_user() { setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups env HOME="$home" USER="$user" "$@"; }
