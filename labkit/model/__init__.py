# SPDX-License-Identifier: MIT
"""The protocol as a pure state machine, and what must hold in any trace of it."""
