// SPDX-License-Identifier: Apache-2.0
/*
 * What each handler does for faults: emu_fault_begin() as soon as it knows what is asked, then, for
 * an authenticated caller, emu_fault_refuses(). What happens to the reply is the server's.
 */
#pragma once

#include "base/compiler.h"
#include "server_priv.h"

#include <stdbool.h>

struct emu_fault_call {
    struct str operation;
    struct str access_key_id; /* claimed; may be absent */
    struct str action;        /* "ecr:PutImage" */
    struct str resource;      /* an ARN, or "*" */
    struct str name;          /* of what it is about; may be absent */
};

/* Chooses r->fault, waits where it says so. False: the connection is to break (replied). */
bool emu_fault_begin(struct emu_request *r, const struct emu_fault_call *call) BERTH_NODISCARD;
/* Is the request to be refused, with r->fault's status, type and message? Then the caller replies
 * with them; a header for the client's patience is set. */
bool emu_fault_refuses(struct emu_request *r) BERTH_NODISCARD;
