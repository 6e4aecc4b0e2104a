// SPDX-License-Identifier: Apache-2.0
/*
 * Writes to the registry, and what is remembered of them until a read shows it too.
 */
#include "base/mem.h"
#include "ecr/prefix.h"
#include "json/write.h"
#include "registry_priv.h"

#include <string.h>

/* A request with a policy of 10 KiB and a lifecycle of 30 KiB, each byte escaped at worst. */
enum { BODY_MAX = 512 * 1024 };

void registry_write_free(void *p)
{
    struct registry_write *write = p;
    registry_read_unref(write->value);
    mem_free(write);
}

static int64_t date(struct schema_i64 t)
{
    return t.has ? t.value : 0;
}

/* No difference in what AWS knows? */
static bool is_same(const struct registry_entry *a, const struct registry_entry *b)
{
    return schema_equal(api_template_schema(), &a->observed.spec, &b->observed.spec);
}

static bool read_wins(const struct registry_read *read, struct str key,
                      const struct registry_write *write)
{
    const struct registry_entry *in_read = registry_read_find(read, key);
    const struct registry_entry *ours = write->value != NULL ? &write->value->entries[0] : NULL;
    struct registry_versions v = {
        .is_in_read = in_read != NULL,
        .was_deleted = ours == NULL,
        .write_created_at = write->deleted_created_at,
        .read_started_ms = read->started_mono_ms,
        .write_ms = write->at_mono_ms,
    };
    if (in_read != NULL) {
        v.read_created_at = date(in_read->observed.created_at);
        v.read_updated_at = date(in_read->observed.updated_at);
    }
    if (ours != NULL) {
        v.write_created_at = date(ours->observed.created_at);
        v.write_updated_at = date(ours->observed.updated_at);
        v.is_same = in_read != NULL && is_same(in_read, ours);
    }
    return registry_read_wins(&v);
}

void registry_settle_locked(struct registry *r, const struct registry_read *read)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(r->writes); it != NULL; it = next) {
        next = map_next(it);
        struct registry_write *write = map_value(it);
        if (read_wins(read, map_key(it), write)) {
            (void)map_remove(r->writes, map_key(it));
            registry_write_free(write);
        }
    }
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        struct registry_setting_write *w = &r->setting_writes[i];
        if (w->at_mono_ms != 0 && (str_eq_cstr(read->setting[i], w->value) ||
                                   read->started_mono_ms >= w->at_mono_ms + REGISTRY_WRITE_WINS_MS))
            *w = (struct registry_setting_write){0};
    }
}

static void remember(struct registry *r, struct str key, struct registry_read *value,
                     int64_t deleted_created_at)
{
    struct registry_write *write = mem_alloc(sizeof *write);
    *write = (struct registry_write){value, clock_mono_ms(r->clock), deleted_created_at};
    (void)pthread_mutex_lock(&r->mutex);
    struct registry_write *before = map_put(r->writes, key, write);
    (void)pthread_mutex_unlock(&r->mutex);
    if (before != NULL)
        registry_write_free(before);
}

void registry_copy_request_id(char *to, const struct aws_reply *reply)
{
    if (to != NULL)
        memcpy(to, reply->request_id, sizeof reply->request_id);
}

static void give(struct registry *r, struct registry_read *value, struct registry_template *ret)
{
    if (ret == NULL)
        return;
    const struct registry_entry *entry = &value->entries[0];
    *ret = (struct registry_template){
        .value = &entry->observed,
        .owner = registry_read_ref(value),
    };
    (void)pthread_mutex_lock(&r->mutex);
    if (r->scan != NULL && r->read != NULL) {
        ret->is_covering_known = true;
        ret->covered = registry_cover_one(r->read, r->scan, entry->key);
    }
    (void)pthread_mutex_unlock(&r->mutex);
}

static int64_t created_at_of(struct registry *r, struct str prefix)
{
    struct registry_template known BERTH_CLEANUP(registry_template_fini) = {0};
    registry_template_get(r, prefix, &known);
    return known.value != NULL ? date(known.value->created_at) : 0;
}

/* AWS has it not, whatever we wrote or read before. */
static enum registry_result not_found(struct registry *r, struct str prefix)
{
    remember(r, api_prefix_normalise(prefix), NULL, created_at_of(r, prefix));
    return REGISTRY_NOT_FOUND;
}

static enum registry_result failed(struct registry *r, struct str prefix, struct err *e)
{
    if (e->cls != ERR_NOT_FOUND)
        return REGISTRY_FAILED;
    err_clear(e);
    return not_found(r, prefix);
}

static enum registry_result put(struct registry *r, enum ecr_op op, struct str prefix,
                                struct str body, const struct aws_scope *scope, int *ret_attempts,
                                char *request_id, struct err *e)
{
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    bool is_ok = ecr_call(r->client, op, body, scope, &reply, e);
    if (ret_attempts != NULL)
        *ret_attempts = reply.attempts;
    if (!is_ok)
        return failed(r, prefix, e);
    registry_copy_request_id(request_id, &reply);
    struct registry_read *value BERTH_CLEANUP(registry_read_unrefp) =
        registry_read_new(clock_mono_ms(r->clock));
    if (!registry_read_add(value, json_get(reply.json, "repositoryCreationTemplate"), e)) {
        (void)err_wrap(e, "%s: the answer of ECR", ecr_op_info(op)->name);
        return REGISTRY_FAILED;
    }
    remember(r, value->entries[0].key, registry_read_ref(value), 0);
    return REGISTRY_OK;
}

static void reset(struct registry_template *ret, char *request_id)
{
    if (ret != NULL)
        *ret = (struct registry_template){0};
    if (request_id != NULL)
        request_id[0] = '\0';
}

enum registry_result registry_template_create(struct registry *r,
                                              const struct api_template_spec *spec,
                                              const struct aws_scope *scope, int *ret_attempts,
                                              char *request_id, struct err *e)
{
    *ret_attempts = 0;
    reset(NULL, request_id);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    if (!api_template_encode_create(spec, &body)) {
        (void)err_set(e, ERR_INVALID, "TooLarge", "the template is larger than %d bytes", BODY_MAX);
        return REGISTRY_FAILED;
    }
    enum registry_result result = put(r, ECR_CREATE_REPOSITORY_CREATION_TEMPLATE, spec->prefix,
                                      buf_str(&body), scope, ret_attempts, request_id, e);
    if (result == REGISTRY_FAILED && e->cls == ERR_CONFLICT) {
        err_clear(e);
        return REGISTRY_EXISTS;
    }
    return result;
}

enum registry_result registry_template_update(struct registry *r,
                                              const struct api_template_spec *spec,
                                              struct str aws_prefix, const struct aws_scope *scope,
                                              char *request_id, struct err *e)
{
    reset(NULL, request_id);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    if (!api_template_encode_update(spec, aws_prefix, &body)) {
        (void)err_set(e, ERR_INVALID, "TooLarge", "the template is larger than %d bytes", BODY_MAX);
        return REGISTRY_FAILED;
    }
    return put(r, ECR_UPDATE_REPOSITORY_CREATION_TEMPLATE, aws_prefix, buf_str(&body), scope, NULL,
               request_id, e);
}

static void put_prefix(struct buf *body, struct str prefix, bool is_list)
{
    struct json_writer w = json_writer_to(body);
    json_begin_object(&w);
    if (is_list) {
        json_key_begin_array(&w, "prefixes");
        json_str(&w, prefix);
        json_end(&w);
    } else {
        json_put_str(&w, "prefix", prefix);
    }
    json_end(&w);
}

/* The delete may have been done: that the template is not there is believed from now on. */
static void doubt(struct registry *r, struct str prefix)
{
    (void)pthread_mutex_lock(&r->mutex);
    struct registry_write *write = map_get(r->writes, api_prefix_normalise(prefix));
    if (write != NULL)
        write->at_mono_ms = clock_mono_ms(r->clock) - REGISTRY_WRITE_WINS_MS;
    (void)pthread_mutex_unlock(&r->mutex);
}

enum registry_result registry_template_delete(struct registry *r, struct str aws_prefix,
                                              const struct aws_scope *scope, char *request_id,
                                              struct err *e)
{
    reset(NULL, request_id);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    put_prefix(&body, aws_prefix, false);
    int64_t created_at = created_at_of(r, aws_prefix);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    if (!ecr_call(r->client, ECR_DELETE_REPOSITORY_CREATION_TEMPLATE, buf_str(&body), scope, &reply,
                  e)) {
        doubt(r, aws_prefix);
        return failed(r, aws_prefix, e);
    }
    registry_copy_request_id(request_id, &reply);
    remember(r, api_prefix_normalise(aws_prefix), NULL, created_at);
    return REGISTRY_OK;
}

static bool add_item(void *arg, const struct json *item, struct err *e)
{
    return registry_read_add(arg, item, e);
}

/* By AWS's spelling where it is known: whether ECR takes "prod" for "prod/" is not documented. */
static bool read_one(struct registry *r, struct str spelling, const struct aws_scope *scope,
                     struct registry_read *value, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    put_prefix(&body, spelling, true);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    if (!ecr_call(r->client, ECR_DESCRIBE_REPOSITORY_CREATION_TEMPLATES, buf_str(&body), scope,
                  &reply, e)) {
        if (e->cls != ERR_NOT_FOUND)
            return false;
        err_clear(e);
        return true;
    }
    const struct json *list = json_get(reply.json, "repositoryCreationTemplates");
    for (const struct json *item = json_first(list); item != NULL; item = json_next(item)) {
        if (!add_item(value, item, e))
            return false;
    }
    return true;
}

/* Was it written so short a time ago that a read which lacks it may be older than the write? */
static bool is_written_lately(struct registry *r, struct str prefix, int64_t read_started_ms)
{
    (void)pthread_mutex_lock(&r->mutex);
    const struct registry_write *write = map_get(r->writes, api_prefix_normalise(prefix));
    bool is_lately = write != NULL && write->value != NULL &&
                     read_started_ms < write->at_mono_ms + REGISTRY_READ_LAG_MS;
    (void)pthread_mutex_unlock(&r->mutex);
    return is_lately;
}

enum registry_result registry_template_read(struct registry *r, struct str prefix,
                                            const struct aws_scope *scope,
                                            struct registry_template *ret, struct err *e)
{
    reset(ret, NULL);
    struct registry_template known BERTH_CLEANUP(registry_template_fini) = {0};
    registry_template_get(r, prefix, &known);
    struct str spelling =
        known.value != NULL ? known.value->spec.prefix : api_prefix_normalise(prefix);
    struct registry_read *value BERTH_CLEANUP(registry_read_unrefp) =
        registry_read_new(clock_mono_ms(r->clock));
    if (!read_one(r, spelling, scope, value, e))
        return REGISTRY_FAILED;
    if (value->count == 0 && is_written_lately(r, prefix, value->started_mono_ms)) {
        (void)err_set(e, ERR_RETRY, "StaleRead",
                      "ECR does not show the template that it took for prefix %.*s a moment ago",
                      STR_ARG(prefix));
        return REGISTRY_FAILED;
    }
    if (value->count == 0)
        return not_found(r, prefix);
    remember(r, value->entries[0].key, registry_read_ref(value), 0);
    give(r, value, ret);
    return REGISTRY_OK;
}

bool registry_setting_put(struct registry *r, size_t setting, struct str value,
                          const struct aws_scope *scope, char answer[static ECR_SETTING_MAX + 1],
                          char *request_id, struct err *e)
{
    reset(NULL, request_id);
    if (!ecr_account_setting_put(r->client, scope, str_from(api_account_setting_aws_name(setting)),
                                 value, answer, request_id, e))
        return false;
    (void)pthread_mutex_lock(&r->mutex);
    struct registry_setting_write *w = &r->setting_writes[setting];
    w->at_mono_ms = clock_mono_ms(r->clock);
    memcpy(w->value, answer, sizeof w->value);
    (void)pthread_mutex_unlock(&r->mutex);
    return true;
}
