# SPDX-License-Identifier: MIT
# Read by the provisioning scripts: who runs them, and what is said when a step fails.
set -eu
LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
export LC_ALL DEBIAN_FRONTEND

project=$(cd "$(dirname "$0")/../.." && pwd)
export APT_CONFIG="$project/kernel/provision/apt.conf"

# What these scripts build, and the packages that came from elsewhere (debs/).
export UMCG_CACHE="${UMCG_CACHE:-/var/cache/umcg-lab}"
UMCG_DEBS=${UMCG_DEBS:-$UMCG_CACHE/debs}

# step TEXT: what is being done from here on; `changed` says that this run has changed something.
step() { current=$*; }
changed() { echo "UMCG Lab: $current"; }
die() { trap - EXIT; fail "$*"; exit 1; }
fail() { echo "UMCG Lab, $(basename "$0"): could not $current: $*" >&2; }

step "begin"
trap 'code=$?; [ $code = 0 ] || fail "the command before this line failed (code $code)"' EXIT

[ "$(id -u)" = 0 ] || die "this needs root: sudo $0"
command -v apt-get >/dev/null || die "this script is for Debian and its children (no apt-get here)"

# Debian packages by the names of the project's Makefile; asks the network only for those that are missing.
packages() {
	if ! command -v make >/dev/null; then
		apt-get update
		apt-get install -y make
	fi
	make -s -C "$project" packages PACKAGES="$*"
}
