# SPDX-License-Identifier: MIT
"""The Jupyter kernel "Python (UMCG)": Python on the patched kernel, used from this machine.

Each notebook has a microVM of its own, so that a kernel that crashes takes no other notebook
along, and a restart also cures a wedged kernel. Where this machine's kernel has UMCG already,
the same Jupyter kernel runs without a microVM.
"""

#: What notebooks and `jupyter` commands call the kernel, and what people read.
KERNEL_NAME = "python-umcg"
DISPLAY_NAME = "Python (UMCG)"
