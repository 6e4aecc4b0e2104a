// SPDX-License-Identifier: Apache-2.0
/*
 * STS, as far as a client of ECR asks it who it is: GetCallerIdentity in the query protocol, with
 * XML answers and STS's own names for the failures of a signature.
 */
#include "auth_priv.h"
#include "control_priv.h"
#include "fault_request_priv.h"

#include <stdio.h>

static const char xmlns[] = "https://sts.amazonaws.com/doc/2011-06-15/";

/* The query protocol has other words than JSON 1.1. */
static const char *sts_code(enum emu_code code, int *ret_status)
{
    *ret_status = 403;
    if (code == EMU_MISSING_TOKEN)
        return "MissingAuthenticationToken";
    if (code == EMU_UNRECOGNIZED_CLIENT)
        return "InvalidClientTokenId";
    if (code == EMU_INVALID_SIGNATURE)
        return "SignatureDoesNotMatch";
    if (code == EMU_EXPIRED_TOKEN)
        return "ExpiredToken";
    *ret_status = 400;
    if (code == EMU_INCOMPLETE_SIGNATURE)
        return "IncompleteSignature";
    return code == EMU_UNKNOWN_OPERATION ? "InvalidAction" : "ValidationError";
}

static void append_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == '<')
            buf_append_cstr(out, "&lt;");
        else if (c == '>')
            buf_append_cstr(out, "&gt;");
        else if (c == '&')
            buf_append_cstr(out, "&amp;");
        else
            buf_append_char(out, c < 0x20 || c >= 0x7f ? '?' : (char)c);
    }
}

static void reply_failure(struct emu_request *r, int status, struct str code, struct str message)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(8 * EMU_ERROR_TEXT_MAX);

    buf_printf(&out, "<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type><Code>", xmlns,
               status < 500 ? "Sender" : "Receiver");
    append_escaped(&out, code);
    buf_append_cstr(&out, "</Code><Message>");
    append_escaped(&out, message);
    buf_printf(&out, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>\n", r->id);
    r->log.error = code;
    emu_reply_take(r, status, "text/xml", &out);
}

static void reply_error(struct emu_request *r, const struct emu_error *x)
{
    int status = 0;
    const char *code = sts_code(x->code, &status);

    reply_failure(r, status, str_from(code), str_from(x->message));
}

/* The value of Action; names and versions need no decoding. */
static struct str action_of(struct str body)
{
    struct str part = STR_NULL;

    while (str_next(&body, '&', &part))
        if (str_starts_with(part, STR("Action=")))
            return str_from_offset(part, 7);
    return STR_NULL;
}

static void reply_identity(struct emu_request *r, struct str key, bool is_temporary)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    const char *account = r->emu->account;

    buf_printf(&out, "<GetCallerIdentityResponse xmlns=\"%s\"><GetCallerIdentityResult><Arn>",
               xmlns);
    append_escaped(&out, emu_caller_arn(r->emu, &r->arena, key, is_temporary));
    buf_printf(&out, "</Arn><UserId>%s", is_temporary ? "AROAEMULATOR:" : "AIDA");
    append_escaped(&out, key);
    buf_printf(&out,
               "</UserId><Account>%s</Account></GetCallerIdentityResult><ResponseMetadata>"
               "<RequestId>%s</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n",
               account, r->id);
    emu_reply_take(r, 200, "text/xml", &out);
}

static bool begin_fault(struct emu_request *r)
{
    return emu_fault_begin(
        r, &(struct emu_fault_call){
               .operation = r->log.operation,
               .access_key_id = emu_auth_claimed_key(emu_header(r, "Authorization")),
               .action = arena_printf(&r->arena, "sts:%.*s", STR_ARG(r->log.operation)),
               .resource = STR("*")});
}

void emu_sts_reply(struct emu_request *r, struct str body)
{
    struct emu_error x = EMU_ERROR_INIT;
    struct str action = action_of(body);
    bool is_temporary = false;

    r->log.operation = arena_copy(&r->arena, str_cut_utf8(action, 80));
    if (!begin_fault(r))
        return;
    if (!emu_auth_check(r, body, "sts", &r->log.access_key_id, &is_temporary, &x)) {
        reply_error(r, &x);
        return;
    }
    if (emu_fault_refuses(r)) {
        reply_failure(r, r->fault.status, r->fault.type, r->fault.message);
        return;
    }
    if (!str_eq(action, STR("GetCallerIdentity"))) {
        (void)emu_fail(&x, EMU_UNKNOWN_OPERATION, "Could not find operation %.*s",
                       STR_ARG(str_cut_utf8(action, 80)));
        reply_error(r, &x);
        return;
    }
    reply_identity(r, r->log.access_key_id, is_temporary);
}
