// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A policy that was compiled for another version. */
#include <umcg-policy.h>

#undef UMCG_POLICY_ABI
#define UMCG_POLICY_ABI 0U

UMCG_POLICY(old, .summary = "of old");
