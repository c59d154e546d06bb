/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes and the closes that bring their accepts along. */
#ifndef PAIRS_H
#define PAIRS_H

#include "line.h"

/* Of the high 16 bits of the hash by which socks are marked. */
__u32 sock_hash(const __u8 *record);

/* Keeps the handshake for its close. Returns 0 where there is no room. */
int keep_handshake(const struct line_pairs *of, const __u8 *record);

/* The slot of the handshake of the sock whose close this is; -1: none waits. */
int handshake_of(const struct line_pairs *of, const __u8 *close);

/* Makes the accept of the handshake in this slot. Returns 0 where the close does not tell by whom it is. */
int make_accept(const struct line_pairs *of, int slot, const __u8 *close, __u8 *accept);

/* The accept has been told. */
void drop_handshake(struct line_pairs *of, int slot);

#endif
