# SPDX-License-Identifier: MIT
# Read by every script beside it: where things are and what they are keyed by.
set -eu
LC_ALL=C
export LC_ALL

kernel=$(cd "$(dirname "$0")/.." && pwd)
cache=${UMCG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/umcg-lab}
config=${CONFIG:-lab}
debian_source=/usr/src/linux-source-6.1.tar.xz
tag=umcg-base

say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }

# need COMMAND PACKAGE ...: stop with the names of what is missing.
need() {
	missing=
	while [ $# -gt 0 ]; do
		command -v "$1" >/dev/null 2>&1 || missing="$missing
  $1: Debian package $2"
		shift 2
	done
	[ -z "$missing" ] || die "missing tools:$missing
(make deps in the project's folder installs them)"
}

# lock NAME: one build of its kind at a time in one cache; the lock goes with the process.
lock() {
	[ "${UMCG_LOCKED:-}" != "$1" ] || return 0
	need flock util-linux
	mkdir -p "$cache"
	exec 9>>"$cache/lock-$1"
	flock -n 9 || { say "waiting for another build in $cache"; flock 9; }
	export UMCG_LOCKED="$1"
}

digest() { sha256sum | cut -c1-12; }

# The first tarball of source.sha256 is the one to download when nothing else is said.
default_tarball() { sed -n 's/^[0-9a-f]\{64\}  *//p' "$kernel/source.sha256" | head -n 1; }

digest_of() { sed -n "s/^\([0-9a-f]\{64\}\)  *$1\$/\1/p" "$kernel/source.sha256" | head -n 1; }

# Where the source is to come from: "debian" or the path of a tarball.
source_file() {
	if [ -n "${SOURCE:-}" ]; then
		[ -f "$SOURCE" ] || die "SOURCE=$SOURCE: no such file"
		[ "$SOURCE" = "$debian_source" ] && echo debian || echo "$SOURCE"
	elif [ -f "$debian_source" ]; then
		echo debian
	else
		echo "$cache/download/$(default_tarball)"
	fi
}

# A name for the source that changes with its content.
source_id() {
	file=$(source_file)
	if [ "$file" = debian ]; then
		version=$(dpkg-query -W -f '${Version}' linux-source-6.1 2>/dev/null) ||
			die "$debian_source is not from the package linux-source-6.1; give SOURCE=FILE"
		echo "debian-$version"
	else
		name=$(basename "$file")
		sum=$(digest_of "$name")
		[ -n "$sum" ] || die "$name: no digest in kernel/source.sha256.
Look it up in https://cdn.kernel.org/pub/linux/kernel/v6.x/sha256sums.asc, compare it with
  sha256sum $file
and add the line \"DIGEST  $name\" to kernel/source.sha256."
		echo "${name%.tar.*}-$(echo "$sum" | cut -c1-12)"
	fi
}

patches_id() { cat "$kernel"/patches/*.patch 2>/dev/null | digest; }

# The text of a configuration: its fragments, in the order in which they override each other.
fragments() {
	case $config in
	lab | series) set -- "$config" ;;
	debug | kasan | kcsan) set -- lab "$config" ;;
	*) die "CONFIG=$config: choose lab, debug, kasan or kcsan" ;;
	esac
	for name; do cat "$kernel/config/$name.config" || die "CONFIG=$config cannot be read"; done
}
# Here, as a failing command inside the arguments of another would go unnoticed.
fragments >/dev/null

# The version of the packages: two kernels of different patches or configuration never share one. What
# follows the last hyphen becomes KBUILD_BUILD_VERSION, which is 1 in the image.
package_version() { echo "1~$( (patches_id; fragments) | digest)-1"; }

compiler_id() { ${CC:-gcc} --version 2>/dev/null | head -n 1; }

tree_dir() {
	id=$(source_id) || exit
	echo "$cache/tree-$id"
}

# The output folder of a build; everything that goes into the kernel is in its name.
image_dir() {
	if [ -n "${TREE_BUILD:-}" ]; then
		echo "$cache/image-$config-tree"
		return
	fi
	id=$(source_id) || exit
	if [ -n "${BASE:-}" ]; then
		echo "$cache/image-$config-base-$( (echo "$id"; fragments; compiler_id) | digest)"
	else
		echo "$cache/image-$config-$( (echo "$id"; patches_id; fragments; compiler_id) | digest)"
	fi
}

headers_dir() {
	if [ -n "${TREE_BUILD:-}" ]; then
		echo "$cache/headers-tree"
	else
		echo "$cache/headers-$(patches_id)"
	fi
}

# Both libraries: they depend on their own files and on the header.
libumcg_dir() {
	echo "$cache/libumcg-$( (headers_dir; cd "$kernel" && find libumcg sched \( -name tests -o -name examples \) -prune \
		-o -type f -exec sha256sum {} + | sort) | digest)"
}

# Same kernel from same input, whoever builds it and when.
export KBUILD_BUILD_TIMESTAMP='2024-01-01 00:00:00 UTC' KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_USER=umcg KBUILD_BUILD_HOST=lab SOURCE_DATE_EPOCH=1704067200
export LOCALVERSION=

# kbuild TREE OBJ ARG...: the kernel's make, without what our own make put in the environment. It ends
# with this shell, however that ends.
run=
kbuild() {
	case $1$2 in
	*[[:space:]:]*) die "The kernel's own make cannot work in a folder with a blank or colon in its name: $2
Give UMCG_CACHE=FOLDER without one." ;;
	esac
	tree=$1 obj=$2
	shift 2
	$run setpriv --pdeathsig TERM env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CONFIG -u BASE -u SOURCE -u T -u ARGS \
		make -C "$tree" O="$obj" ARCH=x86_64 "$@" </dev/null
}

duration() {
	if [ "$1" -lt 100 ]; then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi
}

# far DONE SECONDS: in the words of labkit/progress.py; of how many, if $steps says so.
far() {
	if [ -z "${steps:-}" ] || [ "$1" -ge "$steps" ]; then
		echo "$1 steps, $(duration "$2")"
	elif [ "$1" = 0 ]; then
		echo "0 of $steps, $(duration "$2")"
	else
		echo "$1 of $steps, $(duration "$2"), about $(duration $(($2 * (steps - $1) / $1 + 1))) left"
	fi
}

# build_log LOG WHAT COMMAND...: run it quietly, show that it moves, on failure show how it ended.
build_log() {
	log=$1 what=$2
	shift 2
	# exec, so that $pid is the command and not a shell around it
	(run=exec; "$@") >"$log" 2>&1 9>&- &
	pid=$!
	trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null || true; die "$what: interrupted"' INT TERM HUP
	seconds=0
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		seconds=$((seconds + 1))
		if [ -t 2 ]; then
			printf '\r\033[K%s: %s ' "$what" "$(far "$(wc -l <"$log")" $seconds)" >&2
		elif [ $((seconds % 60)) = 0 ]; then
			say "$what: $(far "$(wc -l <"$log")" $seconds)"
		fi
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
	trap - INT TERM HUP
	wait $pid || {
		grep -nE '(error|Error|undefined reference|No rule)' "$log" | head -n 20 >&2
		tail -n 15 "$log" >&2
		die "$what: failed after $seconds s; the whole log: $log"
	}
	say "$what: $seconds s"
}
