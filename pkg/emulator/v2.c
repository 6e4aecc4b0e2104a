// SPDX-License-Identifier: Apache-2.0
/*
 * The way of a registry request: authentication, the table of operations, and the reply of what
 * failed. ECR has no bearer tokens: every request carries Basic "AWS:" and a token of
 * GetAuthorizationToken, and one without gets ECR's challenge in plain text.
 */
#include "base/arena.h"
#include "crypto/crypto.h"
#include "fault_request_priv.h"
#include "v2_priv.h"

enum { CREDENTIALS_MAX = 16 * 1024 };

static void reply_base(struct emu_request *r, struct v2_state *s)
{
    (void)s;
    emu_reply(r, 200, "application/json", STR("{}"));
}

/* Of a failure of HEAD the server leaves the body out. */
static const struct v2_operation operations[] = {
    {V2_BASE, "GET", NULL, NULL, reply_base},
    {V2_BASE, "HEAD", NULL, NULL, reply_base},
    {V2_CATALOG, "GET", NULL, NULL, v2_catalog},
    {V2_TAGS, "GET", NULL, NULL, v2_tags_list},
    {V2_MANIFEST, "GET", NULL, NULL, v2_manifest_get},
    {V2_MANIFEST, "HEAD", NULL, NULL, v2_manifest_get},
    {V2_MANIFEST, "PUT", v2_manifest_put_begin, v2_manifest_chunk, v2_manifest_put},
    {V2_BLOB, "GET", NULL, NULL, v2_blob_get},
    {V2_BLOB, "HEAD", NULL, NULL, v2_blob_head},
    {V2_UPLOAD_START, "POST", v2_upload_start_begin, v2_upload_chunk, v2_upload_start_end},
    {V2_UPLOAD, "PATCH", v2_upload_patch_begin, v2_upload_chunk, v2_upload_patch_end},
    {V2_UPLOAD, "PUT", v2_upload_put_begin, v2_upload_chunk, v2_upload_put_end},
    {V2_UPLOAD, "GET", NULL, NULL, v2_upload_get},
    {V2_UPLOAD, "DELETE", NULL, NULL, v2_upload_delete},
    {V2_REFERRERS, "GET", NULL, NULL, v2_referrers},
};

/* Finds the row, or notes why there is none; a path that exists names its methods in Allow. */
static const struct v2_operation *find_operation(struct emu_request *r, enum v2_kind kind)
{
    struct buf allow BERTH_CLEANUP(buf_fini) = BUF_INIT(128);
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        if (operations[i].kind != kind)
            continue;
        if (str_eq_cstr(r->method, operations[i].method))
            return &operations[i];
        buf_printf(&allow, "%s%s", allow.len > 0 ? ", " : "", operations[i].method);
    }
    if (allow.len == 0) {
        v2_fail(r, 404, "UNSUPPORTED", "The path is not part of the registry API");
        return NULL;
    }
    emu_reply_header(r, "Allow", arena_copy(&r->arena, buf_str(&allow)));
    v2_fail(r, 405, "UNSUPPORTED", "The operation is unsupported");
    return NULL;
}

/* --- authentication --------------------------------------------------------------------------- */

static enum emu_token_state check_credentials(struct emu_request *r)
{
    struct str scheme;
    struct str encoded;
    struct buf plain BERTH_CLEANUP(buf_fini) = BUF_INIT(CREDENTIALS_MAX);
    if (!str_cut(emu_header(r, "Authorization"), ' ', &scheme, &encoded) ||
        !str_eq_nocase(scheme, STR("Basic")) || encoded.len > CREDENTIALS_MAX ||
        !crypto_base64_decode(str_trim(encoded), &plain) || !buf_ok(&plain) ||
        !str_starts_with(buf_str(&plain), STR("AWS:")))
        return EMU_TOKEN_INVALID;
    struct str password = str_from_offset(buf_str(&plain), sizeof("AWS:") - 1);
    enum emu_token_state state =
        emu_token_check(r->emu, password, &r->arena, &r->log.access_key_id);
    if (plain.ptr != NULL)
        crypto_wipe(plain.ptr, plain.len);
    return state;
}

/* The action that a policy would have to allow; HEAD of a manifest is a read like GET. */
static const char *action_of(enum v2_kind kind, struct str method)
{
    bool is_read = str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));

    switch (kind) {
    case V2_CATALOG:
        return "ecr:DescribeRepositories";
    case V2_TAGS:
    case V2_REFERRERS:
        return "ecr:ListImages";
    case V2_MANIFEST:
        return is_read ? "ecr:BatchGetImage" : "ecr:PutImage";
    case V2_BLOB:
        return str_eq(method, STR("HEAD")) ? "ecr:BatchCheckLayerAvailability"
                                           : "ecr:GetDownloadUrlForLayer";
    case V2_UPLOAD_START:
        return "ecr:InitiateLayerUpload";
    case V2_UPLOAD:
        return str_eq(method, STR("PUT")) ? "ecr:CompleteLayerUpload" : "ecr:UploadLayerPart";
    case V2_UNKNOWN:
    case V2_BASE:
        break;
    }
    return "ecr:GetAuthorizationToken";
}

static bool begin_fault(struct emu_request *r, const struct v2_state *s)
{
    struct str name = s->target.name;

    return emu_fault_begin(
        r,
        &(struct emu_fault_call){
            .operation = arena_printf(&r->arena, "%.*s %.*s", STR_ARG(r->method), STR_ARG(r->path)),
            .access_key_id = r->log.access_key_id,
            .action = str_from(action_of(s->target.kind, r->method)),
            .resource = str_is_empty(name) ? STR("*") : emu_repository_arn(r->emu, &r->arena, name),
            .name = name});
}

/* Replies at once: whoever is not known has no body that we would read. */
static bool authenticate(struct emu_request *r, enum emu_token_state state)
{
    if (state == EMU_TOKEN_OK && r->fault.effect == EMU_FAULT_EXPIRE)
        state = EMU_TOKEN_EXPIRED;
    if (state == EMU_TOKEN_OK)
        return true;
    if (state == EMU_TOKEN_EXPIRED) {
        v2_fail(r, 403, "DENIED",
                "Your authorization token has expired. Reauthenticate and try again.");
        v2_send_failure(r);
        return false;
    }
    struct str challenge = arena_printf(
        &r->arena, "Basic realm=\"%.*s/\",service=\"ecr.amazonaws.com\"", STR_ARG(v2_origin(r)));
    r->log.error = STR("UNAUTHORIZED");
    emu_reply_header(r, "Www-Authenticate", challenge);
    emu_reply(r, 401, "text/plain; charset=utf-8", STR("Not Authorized\n"));
    return false;
}

/* Lets an upload go before the reply is out: the client's next request may be faster than done().
 */
static bool fail_if_noted(struct emu_request *r)
{
    struct v2_state *s = v2_state(r);
    if (s->error_status != 0 && s->session != NULL)
        blobs_session_release(r->emu->blobs, TAKE(s->session));
    return v2_send_failure(r);
}

/* --- the handler ------------------------------------------------------------------------------ */

static void v2_begin(struct emu_request *r)
{
    struct v2_state *s = arena_new(&r->arena, struct v2_state);
    s->manifest = BUF_INIT(EMU_MANIFEST_MAX);
    r->state = s;
    emu_reply_header(r, "Docker-Distribution-Api-Version", STR("registry/2.0"));
    enum emu_token_state state = check_credentials(r);
    s->target = v2_parse_path(r->path);
    if (!begin_fault(r, s) || !authenticate(r, state))
        return;
    if (emu_fault_refuses(r)) {
        v2_fail(r, r->fault.status, arena_cstr(&r->arena, r->fault.type), "%.*s",
                STR_ARG(r->fault.message));
        v2_send_failure(r);
        return;
    }
    s->operation = find_operation(r, s->target.kind);
    if (s->operation != NULL && s->operation->begin != NULL)
        s->operation->begin(r, s);
    if (!str_is_null(emu_header(r, "Expect")))
        fail_if_noted(r);
}

static bool v2_chunk(struct emu_request *r, const void *p, size_t n)
{
    struct v2_state *s = v2_state(r);
    if (s->error_status != 0 || s->operation->chunk == NULL)
        return false;
    return s->operation->chunk(r, s, p, n);
}

static void v2_end(struct emu_request *r)
{
    struct v2_state *s = v2_state(r);
    if (!fail_if_noted(r) && !r->has_replied)
        s->operation->end(r, s);
    if (!r->has_replied)
        fail_if_noted(r);
}

/* What arrived of an upload whose connection broke stays: the client asks for Range and goes on. */
static void v2_done(struct emu_request *r)
{
    struct v2_state *s = v2_state(r);
    if (s == NULL)
        return;
    if (s->session != NULL)
        blobs_session_release(r->emu->blobs, TAKE(s->session));
    buf_fini(&s->manifest);
}

const struct emu_handler emu_v2_handler = {
    .begin = v2_begin,
    .chunk = v2_chunk,
    .end = v2_end,
    .done = v2_done,
};
