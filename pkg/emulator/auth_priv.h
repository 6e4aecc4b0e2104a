// SPDX-License-Identifier: Apache-2.0
/*
 * Who is calling: the key pairs that the emulator accepts, the check of a signed request, and the
 * key that seals registry tokens (emu_token_issue(), emu_token_check() in server_priv.h).
 * Immutable after emu_auth_new(): any thread.
 */
#pragma once

#include "base/compiler.h"
#include "server_priv.h"
#include "store_priv.h"

#include <stdbool.h>

struct emu_auth;

/* Copies; n == 0 gives test:test. */
struct emu_auth *emu_auth_new(const struct emulator_credential *credentials,
                              size_t n) BERTH_NODISCARD;
/* Wipes. */
struct emu_auth *emu_auth_free(struct emu_auth *a);

/* Has the key a session token? False for an unknown one. */
bool emu_auth_is_temporary(const struct emu_auth *a, struct str access_key_id);
/* The access key id that an Authorization header claims; absent where it is none of SigV4. */
struct str emu_auth_claimed_key(struct str authorization);

/*
 * Checks the signature of r, whose whole body is given, for service ("ecr", "sts"). On success
 * *ret_key is the access key id (into r->arena), *ret_is_temporary whether it has a session token.
 * *ret_key is also set where only the signature was wrong, for the log. Faults of the clock and of
 * expiry (r->fault) are done here.
 */
bool emu_auth_check(struct emu_request *r, struct str body, const char *service,
                    struct str *ret_key, bool *ret_is_temporary,
                    struct emu_error *x) BERTH_NODISCARD;
