# SPDX-License-Identifier: MIT
# Read by the provisioning scripts: who runs them, and what is said when a step fails.
set -eu
LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
export LC_ALL DEBIAN_FRONTEND
umask 022 # what is installed is for every user of the machine

project=$(cd "$(dirname "$0")/../.." && pwd)
export APT_CONFIG="$project/kernel/provision/apt.conf"

# What these scripts build, and the packages that came from elsewhere (debs/).
export UMCG_CACHE="${UMCG_CACHE:-/var/cache/umcg-lab}"
UMCG_DEBS=${UMCG_DEBS:-$UMCG_CACHE/debs}

# step TEXT: what is being done from here on; `changed` says, once a step, that this run changes something.
step() { current=$* said=; }
changed() {
	[ -n "$said" ] || echo "UMCG Lab: $current"
	said=yes
}
# A script's temporary folder, if it makes one as $scratch, goes with the script.
leave() { [ -z "${scratch:-}" ] || rm -rf "$scratch"; }
die() { trap leave EXIT; fail "$*"; exit 1; }
fail() { echo "UMCG Lab, $(basename "$0"): could not $current: $*" >&2; }

step "begin"
trap 'code=$?; leave; [ $code = 0 ] || fail "the command before this line failed (code $code)"' EXIT

[ "$(id -u)" = 0 ] || die "this needs root: sudo $0"
command -v apt-get >/dev/null || die "this script is for Debian and its children (no apt-get here)"

# Debian packages by the names of the project's Makefile; asks the network only for those that are missing, and
# what there is to be had not again within the hour.
packages() {
	asked=/run/umcg-lab-apt-lists
	if ! command -v make >/dev/null; then
		changed
		apt-get update
		touch $asked
		# Names that are variables of the Makefile have to wait for make.
		apt-get install -y make $(printf '%s\n' "$@" | grep -v '[$]')
	fi
	APT_LISTS_ARE_NEW=$(find $asked -mmin -60 2>/dev/null) make -s -C "$project" packages PACKAGES="$*"
}
