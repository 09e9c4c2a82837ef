#!/bin/sh
# SPDX-License-Identifier: MIT
# Where the outputs are, or will be once built; one NAME=PATH a line, for scripts.
. "$(dirname "$0")/lib.sh"

# Assignments first: a failing command inside echo would go unnoticed.
image=$(image_dir)
headers=$(headers_dir)
tree=$(tree_dir)
libumcg=$(libumcg_dir)
echo "IMAGE=$image/bzImage"
echo "HEADERS=$headers"
echo "TREE=$tree"
echo "LIBUMCG=$libumcg"
echo "UMCG_RUN=$libumcg/bin/umcg-run"
echo "DEBS=$image/debs"
