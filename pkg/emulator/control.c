// SPDX-License-Identifier: Apache-2.0
/*
 * The control API: collects a body, checks who sent it, dispatches to an operation, frames the
 * answer as JSON 1.1 does. STS shares the endpoint, and is told apart by its form-encoded body.
 */
#include "auth_priv.h"
#include "base/mem.h"
#include "control_priv.h"
#include "fault_request_priv.h"
#include "store_impl_priv.h"
#include "validate_priv.h"

#include <string.h>

static const char json_type_11[] = "application/x-amz-json-1.1";

const struct emu_operation *emu_operation_find(struct str name)
{
    static const struct emu_operation *const tables[] = {
        emu_template_operations, emu_repository_operations, emu_policy_operations,
        emu_image_operations,    emu_registry_operations,   emu_cache_operations,
    };

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct emu_operation *op = tables[i]; op->name != NULL; op++)
            if (str_eq_cstr(name, op->name))
                return op;
    return NULL;
}

static bool is_form(const struct emu_request *r)
{
    return str_starts_with(emu_header(r, "Content-Type"), STR("application/x-www-form-urlencoded"));
}

static void reply_failure(struct emu_request *r, int status, struct str type, struct str message)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(8 * EMU_ERROR_TEXT_MAX);
    struct json_writer w = json_writer_to(&out);

    json_begin_object(&w);
    json_put_str(&w, "__type", type);
    json_put_str(&w, "message", message);
    json_end(&w);
    r->log.error = type;
    emu_reply_header(r, "x-amzn-ErrorType", type);
    emu_reply_take(r, status, json_type_11, &out);
}

static void reply_error(struct emu_request *r, const struct emu_error *x)
{
    reply_failure(r, emu_code_status(x->code), str_from(emu_code_type(x->code)),
                  str_from(x->message));
}

static void fail_now(struct emu_request *r, enum emu_code code, const char *message)
{
    struct emu_error x = EMU_ERROR_INIT;

    (void)emu_fail(&x, code, "%s", message);
    reply_error(r, &x);
}

static void begin(struct emu_request *r)
{
    struct str target = emu_header(r, "X-Amz-Target");
    int64_t max = is_form(r) ? EMU_FORM_BODY_MAX : EMU_JSON_BODY_MAX;
    struct buf *body = NULL;

    emu_reply_header(r, "x-amzn-RequestId", str_from(r->id));
    if (is_form(r))
        r->log.api = STR("sts");
    else if (str_starts_with(target, STR(EMU_TARGET_PREFIX)))
        r->log.operation =
            arena_copy(&r->arena, str_from_offset(target, strlen(EMU_TARGET_PREFIX)));
    if (!str_eq(r->method, STR("POST")) || !str_eq(r->path, STR("/"))) {
        fail_now(r, EMU_UNKNOWN_OPERATION, "Only POST / is served here");
        return;
    }
    if (r->body_len > max) {
        fail_now(r, EMU_REQUEST_TOO_LARGE, "The request is too large");
        return;
    }
    body = arena_new(&r->arena, struct buf);
    *body = BUF_INIT((size_t)max);
    r->state = body;
}

static bool chunk(struct emu_request *r, const void *p, size_t n)
{
    struct buf *body = r->state;

    buf_append_bytes(body, p, n);
    return buf_ok(body);
}

/* Runs the operation and frames its answer into c->out. */
static bool call(struct emu_call *c, const struct emu_operation *op, const struct emu_fault *fault)
{
    struct emu_store *store = c->store;
    struct emu_store *view = NULL;
    bool is_ok = false;

    c->w = json_writer_to(&c->out);
    json_begin_object(&c->w);
    emu_store_lock(store);
    if (fault->effect == EMU_FAULT_STALE)
        c->store = view = emu_store_view_locked(store, clock_mono_ms(c->emu->clock) - fault->ms);
    is_ok = emu_store_take_call_locked(store) ? op->run(c)
                                              : emu_fail(&c->x, EMU_THROTTLING, "Rate exceeded");
    c->store = store;
    emu_store_view_free(view);
    emu_store_unlock(store);
    json_end(&c->w);
    if (is_ok && !json_write_ok(&c->w))
        return emu_fail(&c->x, EMU_SERVER, "the answer is too large for the emulator");
    return is_ok;
}

/* What policies are about. */
static struct str resource_of(struct emu_request *r, const struct json *in)
{
    struct str arn = json_str_or_null(json_get(in, "resourceArn"));
    struct str name = json_str_or_null(json_get(in, "repositoryName"));

    if (!str_is_null(arn))
        return arena_copy(&r->arena, arn);
    if (!str_is_null(name))
        return emu_repository_arn(r->emu, &r->arena, name);
    if (str_eq(r->log.operation, STR("DescribeRepositories")))
        return emu_repository_arn(r->emu, &r->arena, STR("*"));
    return STR("*");
}

/* What the call names, the first of several; absent where it names nothing. */
static struct str name_of(struct emu_request *r, const struct json *in)
{
    static const char *const members[] = {"prefix", "repositoryName", "name"};
    static const char *const lists[] = {"prefixes", "repositoryNames"};
    struct str name = STR_NULL;

    for (size_t i = 0; i < ARRAY_SIZE(members) && str_is_null(name); i++)
        name = json_str_or_null(json_get(in, members[i]));
    for (size_t i = 0; i < ARRAY_SIZE(lists) && str_is_null(name); i++)
        name = json_str_or_null(json_first(json_get(in, lists[i])));
    struct str arn = json_str_or_null(json_get(in, "resourceArn"));
    ptrdiff_t slash = str_index(arn, '/');
    if (slash >= 0)
        name = str_from_offset(arn, (size_t)slash + 1);
    return arena_copy(&r->arena, name);
}

static bool begin_fault(struct emu_request *r, const struct json *in)
{
    return emu_fault_begin(
        r, &(struct emu_fault_call){
               .operation = r->log.operation,
               .access_key_id = emu_auth_claimed_key(emu_header(r, "Authorization")),
               .action = arena_printf(&r->arena, "ecr:%.*s", STR_ARG(r->log.operation)),
               .resource = resource_of(r, in),
               .name = name_of(r, in)});
}

/* The input with the members that a rule gives instead of those sent; null takes one away. */
static bool normalise(struct json_doc **doc, struct str members, struct emu_error *x)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_JSON_BODY_MAX);
    struct json_writer w = json_writer_to(&out);
    struct json_doc *rule BERTH_CLEANUP(json_doc_freep) = NULL;
    struct json_doc *next = NULL;
    struct err e = ERR_INIT;

    if (!json_parse(members, EMU_FAULT_BODY_MAX, &rule, &e))
        return emu_fail(x, EMU_SERVER, "%s", e.msg);
    json_begin_object(&w);
    for (const struct json *it = json_first(json_root(*doc)); it; it = json_next(it)) {
        if (json_get_str(json_root(rule), json_key(it)) != NULL)
            continue;
        json_key_str(&w, json_key(it));
        json_value(&w, it);
    }
    for (const struct json *it = json_first(json_root(rule)); it; it = json_next(it)) {
        if (json_is_null(it))
            continue;
        json_key_str(&w, json_key(it));
        json_value(&w, it);
    }
    json_end(&w);
    if (!json_write_ok(&w) || !json_parse(buf_str(&out), EMU_JSON_BODY_MAX, &next, &e))
        return emu_fail(x, EMU_SERVER, "the fault rule does not fit the request");
    json_doc_free(*doc);
    *doc = next;
    return true;
}

enum outcome { ANSWERED, FAILED, REPLIED };

/* doc: the body, NULL where it is no JSON (then *e says why). */
static bool run(struct emu_request *r, struct str body, struct json_doc **doc, const struct err *e,
                struct emu_call *c)
{
    const struct emu_operation_model *model = emu_operation_model(r->log.operation);
    const struct emu_operation *op = emu_operation_find(r->log.operation);

    if (model == NULL || op == NULL)
        return emu_fail(&c->x, EMU_UNKNOWN_OPERATION, "The emulator does not serve '%.*s'",
                        STR_ARG(str_cut_utf8(r->log.operation, 80)));
    if (*doc == NULL)
        return emu_fail(&c->x, EMU_SERIALIZATION, "The request is not valid JSON: %s", e->msg);
    if (!str_is_empty(body))
        r->log.body = body;
    if (r->fault.effect == EMU_FAULT_NORMALISE && !normalise(doc, r->fault.members, &c->x))
        return false;
    c->in = json_root(*doc);
    c->access_key_id = r->log.access_key_id;
    c->has_validation_exception = model->has_validation_exception;
    return emu_validate(model->input, c->in, &c->x) && call(c, op, &r->fault);
}

static enum outcome serve(struct emu_request *r, struct str body, struct emu_call *c)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    bool is_temporary = false;

    if (!json_parse(str_is_empty(body) ? STR("{}") : body, EMU_JSON_BODY_MAX, &doc, &e))
        doc = NULL;
    if (!begin_fault(r, doc ? json_root(doc) : NULL))
        return REPLIED;
    if (!emu_auth_check(r, body, "ecr", &r->log.access_key_id, &is_temporary, &c->x))
        return FAILED;
    if (emu_fault_refuses(r)) {
        if (doc != NULL && !str_is_empty(body))
            r->log.body = body;
        reply_failure(r, r->fault.status, r->fault.type, r->fault.message);
        return REPLIED;
    }
    return run(r, body, &doc, &e, c) ? ANSWERED : FAILED;
}

static void end(struct emu_request *r)
{
    struct buf *body = r->state;
    struct emu_call c = {.emu = r->emu,
                         .store = r->emu->store,
                         .arena = &r->arena,
                         .out = BUF_INIT(EMU_JSON_REPLY_MAX)};

    if (!buf_ok(body)) {
        fail_now(r, EMU_REQUEST_TOO_LARGE, "The request is too large");
        return;
    }
    if (is_form(r)) {
        emu_sts_reply(r, buf_str(body));
        return;
    }
    switch (serve(r, buf_str(body), &c)) {
    case ANSWERED:
        emu_reply_take(r, 200, json_type_11, &c.out);
        break;
    case FAILED:
        reply_error(r, &c.x);
        break;
    case REPLIED:
        break;
    }
    buf_fini(&c.out);
}

static void done(struct emu_request *r)
{
    if (r->state != NULL)
        buf_fini(r->state);
}

const struct emu_handler emu_control_handler = {begin, chunk, end, done};
