// SPDX-License-Identifier: Apache-2.0
/*
 * A request and its fault: which rule it falls under, and what happens before it is done.
 */
#include "auth_priv.h"
#include "fault_request_priv.h"

#include <stdio.h>

bool emu_fault_begin(struct emu_request *r, const struct emu_fault_call *call)
{
    struct emu_fault *fault = &r->fault;
    bool is_temporary = emu_auth_is_temporary(r->emu->auth, call->access_key_id);
    struct emu_fault_subject subject = {
        .api = r->log.api,
        .operation = call->operation,
        .user_agent = r->log.user_agent,
        .access_key_id = call->access_key_id,
        .name = call->name,
        .action = call->action,
        .resource = call->resource,
        .caller = emu_caller_arn(r->emu, &r->arena, call->access_key_id, is_temporary),
    };

    *fault = emu_faults_choose(r->emu->faults, &subject, &r->arena);
    if (fault->effect == EMU_FAULT_DELAY)
        emu_faults_wait(r->emu->faults, fault->before_ms);
    if (fault->effect != EMU_FAULT_CUT || fault->cut != EMU_CUT_BEFORE)
        return true;
    emu_reply_cut(r);
    return false;
}

bool emu_fault_refuses(struct emu_request *r)
{
    char ms[24];

    if (!emu_fault_is_refusal(&r->fault))
        return false;
    if (r->fault.retry_after_ms > 0) {
        snprintf(ms, sizeof(ms), "%lld", (long long)r->fault.retry_after_ms);
        emu_reply_header(r, "x-amz-retry-after", str_from(ms));
    }
    return true;
}
