// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A shared object that is no policy. */
int umcg_no_policy(void);
int umcg_no_policy(void)
{
	return 0;
}
