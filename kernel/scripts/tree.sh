#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernel's source with patches/ applied, as a git tree: tag umcg-base, then one commit a patch.
# Never throws away work: a tree with changes that patches/ does not have is left as it is.
. "$(dirname "$0")/lib.sh"
need git git tar tar xz xz-utils patch patch
lock kernel

# git insists on a name for commits; whoever has set one keeps it.
git config user.name >/dev/null 2>&1 || export GIT_AUTHOR_NAME=umcg-lab GIT_COMMITTER_NAME=umcg-lab
git config user.email >/dev/null 2>&1 || export GIT_AUTHOR_EMAIL=lab@umcg.invalid GIT_COMMITTER_EMAIL=lab@umcg.invalid

# Prints the path of a tarball whose content is known.
fetch() {
	file=$(source_file)
	if [ "$file" = debian ]; then
		echo "$debian_source"
		return
	fi
	name=$(basename "$file")
	if [ ! -f "$file" ]; then
		need curl curl
		mkdir -p "$(dirname "$file")"
		url=https://cdn.kernel.org/pub/linux/kernel/v6.x/$name
		say "downloading $url"
		curl -fL --no-progress-meter -o "$file.part" "$url" || die "could not download $url
Install Debian's package linux-source-6.1, or get a linux-6.1.y.tar.xz in another way and give SOURCE=FILE."
		mv "$file.part" "$file"
	fi
	echo "$(digest_of "$name")  $file" | sha256sum -c --quiet >&2 ||
		die "$file is not what kernel/source.sha256 says; remove it and try again"
	echo "$file"
}

unpack() {
	tarball=$(fetch)
	tmp=$cache/tmp.tree
	rm -rf "$tmp"
	mkdir -p "$tmp"
	say "unpacking $tarball"
	tar -xf "$tarball" -C "$tmp" --strip-components=1
	# Sources only: Debian's archive comes with an ignore file that hides every new one.
	(
		cd "$tmp"
		git init -q -b umcg .
		git config gc.auto 0
		git config core.autocrlf false
		# A minute of the first build goes into the compression of what is read once.
		git config core.looseCompression 0
		git add -f -A .
		git commit -q -m "$id"
		git tag $tag
	)
	mv "$tmp" "$tree"
}

# A new tree has no build whose time stamps matter. Any other: in a work tree of its own, then one checkout
# of the result: files that stay the same keep their times, and the next build compiles only what has changed.
apply() {
	if [ "$state" = none ]; then
		git checkout -q --detach $tag
		apply_here
		git checkout -q -B umcg
		return
	fi
	rm -rf .git/umcg-apply
	git worktree prune
	git worktree add -q --detach --no-checkout .git/umcg-apply $tag
	(cd .git/umcg-apply && git reset -q --hard && apply_here)
	git checkout -q -B umcg "$(git -C .git/umcg-apply rev-parse HEAD)"
	git worktree remove --force .git/umcg-apply
}

apply_here() {
	set -- "$kernel"/patches/*.patch
	[ -f "$1" ] || { say "no patches in $kernel/patches: the tree is the plain kernel"; return; }
	if git am -q --keep-non-patch "$@" 2>"$tree/.git/umcg-am"; then
		return
	fi
	git am --abort
	git checkout -q --detach $tag
	say "git am does not take the series (another release?), trying patch"
	for p; do
		patch -s -p1 --no-backup-if-mismatch -i "$p" >&2 || {
			git reset -q --hard $tag
			git clean -qfdx
			die "$(basename "$p") does not apply to $id"
		}
		git add -f -A .
		git mailinfo "$tree/.git/umcg-msg" "$tree/.git/umcg-diff" <"$p" >"$tree/.git/umcg-info"
		{ sed -n 's/^Subject: //p' "$tree/.git/umcg-info"; echo; cat "$tree/.git/umcg-msg"; } | git commit -q -F -
	done
}

id=$(source_id)
tree=$(tree_dir)
patches=$(patches_id)
[ -d "$tree" ] || unpack
cd "$tree"

# .git/umcg-state: the patches and the commit that belong together.
state=$(cat .git/umcg-state 2>/dev/null || echo none)
if [ "${state% *}" = "$patches" ] && [ -z "${FORCE:-}" ]; then
	exit
fi
if [ "$state" = none ]; then
	# New, or killed half-way through the series.
	git am --abort 2>/dev/null || true
	git reset -q --hard
elif [ "${state#* }" != "$(git rev-parse HEAD)" ] || [ -n "$(git status --porcelain)" ]; then
	[ -n "${FORCE:-}" ] || die "$tree has work that kernel/patches does not have, and kernel/patches has changed.
Keep the work:   make -C kernel refresh (writes it to kernel/patches; compare with git diff)
Drop it:         make -C kernel tree FORCE=1 (it stays in git reflog and git stash)"
	git stash -q --include-untracked
fi
rm -f .git/umcg-state
apply
echo "$patches $(git rev-parse HEAD)" >.git/umcg-state
say "$tree: $(git rev-list --count $tag..HEAD) patches on $id"
