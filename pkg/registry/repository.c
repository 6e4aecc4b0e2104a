// SPDX-License-Identifier: Apache-2.0
/*
 * Single repositories: what is known of them without I/O, and the calls that read and make them.
 *
 * Beside the scan a few names are remembered: those that a call has shown to be other than the scan
 * says. So what is remembered is bounded by what changed within one scan interval.
 */
#include "registry/repository.h"

#include "base/mem.h"
#include "ecr/prefix.h"
#include "json/json.h"
#include "json/write.h"
#include "registry_priv.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 512 * 1024 };

/* --- what is known ----------------------------------------------------------------------------
 */

struct registry_sighting {
    bool is_present;
    bool is_written; /* we made it ourselves */
    int64_t at_mono_ms;
};

void registry_sighting_free(void *sighting)
{
    mem_free(sighting);
}

static const struct registry_repository *find_in_scan(const struct registry_scan *scan,
                                                      struct str name)
{
    size_t low = 0;
    size_t high = scan->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(scan->items[mid].name, name);
        if (c == 0)
            return &scan->items[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

enum registry_presence registry_repository_find(struct registry *r, struct str name)
{
    (void)pthread_mutex_lock(&r->mutex);
    const struct registry_sighting *seen = map_get(r->sightings, name);
    enum registry_presence found = REGISTRY_UNSCANNED;
    if (seen != NULL)
        found = seen->is_present ? REGISTRY_PRESENT : REGISTRY_ABSENT;
    else if (r->scan != NULL)
        found = find_in_scan(r->scan, name) != NULL ? REGISTRY_PRESENT : REGISTRY_ABSENT;
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

static void forget_locked(struct registry *r, struct str name)
{
    struct registry_sighting *old = map_remove(r->sightings, name);
    if (old != NULL)
        mem_free(old);
}

static bool was_just_made_locked(const struct registry *r, struct str name, int64_t now_ms)
{
    const struct registry_sighting *seen = map_get(r->sightings, name);
    return seen != NULL && seen->is_written && now_ms - seen->at_mono_ms < REGISTRY_WRITE_WINS_MS;
}

static void remember_locked(struct registry *r, struct str name,
                            const struct registry_sighting *seen)
{
    bool is_in_scan = r->scan != NULL && find_in_scan(r->scan, name) != NULL;
    forget_locked(r, name);
    if (is_in_scan != seen->is_present) {
        struct registry_sighting *sighting = mem_alloc(sizeof *sighting);
        *sighting = *seen;
        (void)map_put(r->sightings, name, sighting);
    }
}

/* A call has shown it: kept only where the scan says otherwise. */
static void saw(struct registry *r, struct str name, bool is_present)
{
    (void)pthread_mutex_lock(&r->mutex);
    const struct registry_sighting seen = {is_present, false, clock_mono_ms(r->clock)};
    if (!was_just_made_locked(r, name, seen.at_mono_ms))
        remember_locked(r, name, &seen);
    (void)pthread_mutex_unlock(&r->mutex);
}

static void wrote(struct registry *r, struct str name)
{
    (void)pthread_mutex_lock(&r->mutex);
    const struct registry_sighting seen = {true, true, clock_mono_ms(r->clock)};
    remember_locked(r, name, &seen);
    (void)pthread_mutex_unlock(&r->mutex);
}

void registry_settle_sightings_locked(struct registry *r, const struct registry_scan *scan)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(r->sightings); it != NULL; it = next) {
        next = map_next(it);
        const struct registry_sighting *seen = map_value(it);
        bool is_in_scan = find_in_scan(scan, map_key(it)) != NULL;
        if (is_in_scan == seen->is_present ||
            scan->started_mono_ms >= seen->at_mono_ms + REGISTRY_WRITE_WINS_MS)
            mem_free(map_remove(r->sightings, map_key(it)));
    }
}

bool registry_is_pull_through(struct registry *r, struct str name)
{
    (void)pthread_mutex_lock(&r->mutex);
    bool is_covered = false;
    for (size_t i = 0; r->scan != NULL && i < r->scan->rule_count && !is_covered; i++)
        is_covered = ecr_prefix_covers(r->scan->rules[i], name);
    (void)pthread_mutex_unlock(&r->mutex);
    return is_covered;
}

static int newest_first(const void *a, const void *b)
{
    const struct registry_repository *const *x = a;
    const struct registry_repository *const *y = b;
    return (*x)->created_at_ms < (*y)->created_at_ms   ? 1
           : (*x)->created_at_ms > (*y)->created_at_ms ? -1
                                                       : 0;
}

struct schema_list registry_young_repositories(struct registry *r, int64_t max_age_ms, size_t max,
                                               struct arena *a)
{
    const int64_t created_at_ms =
        clock_unix_ms(r->clock) + aws_client_skew_ms(r->client) - max_age_ms;
    (void)pthread_mutex_lock(&r->mutex);
    size_t n = 0;
    size_t count = r->scan != NULL ? r->scan->count : 0;
    for (size_t i = 0; i < count; i++)
        n += r->scan->items[i].created_at_ms >= created_at_ms;
    const struct registry_repository **found =
        mem_alloc_array(n + 1, sizeof(const struct registry_repository *));
    n = 0;
    for (size_t i = 0; i < count; i++) {
        if (r->scan->items[i].created_at_ms >= created_at_ms)
            found[n++] = &r->scan->items[i];
    }
    qsort(found, n, sizeof(const struct registry_repository *), newest_first);
    n = n < max ? n : max;
    struct registry_young *young = arena_new_array(a, struct registry_young, n + 1);
    for (size_t i = 0; i < n; i++)
        young[i] = (struct registry_young){arena_copy(a, found[i]->name), found[i]->created_at_ms};
    (void)pthread_mutex_unlock(&r->mutex);
    mem_free(found);
    return (struct schema_list){young, n};
}

/* --- calls ------------------------------------------------------------------------------------
 */

static enum registry_result result_of(struct registry *r, struct str name, struct err *e)
{
    /* a repository without the policy, or without the image, is there */
    if (e->cls != ERR_NOT_FOUND || strcmp(e->reason, "RepositoryNotFoundException") != 0)
        return REGISTRY_FAILED;
    err_clear(e);
    if (!str_is_null(name))
        saw(r, name, false);
    return REGISTRY_NOT_FOUND;
}

static struct json_writer begin(struct buf *body, struct str name)
{
    struct json_writer w = json_writer_to(body);
    json_begin_object(&w);
    if (!str_is_null(name))
        json_put_str(&w, "repositoryName", name);
    return w;
}

static bool end(struct json_writer *w, struct err *e)
{
    json_end(w);
    return json_write_ok(w) ||
           err_set(e, ERR_INVALID, "TooLarge", "the request is larger than %d bytes", BODY_MAX);
}

static void read_info(const struct json *v, struct arena *a, struct registry_repository_info *ret)
{
    const struct json *encryption = json_get(v, "encryptionConfiguration");
    *ret = (struct registry_repository_info){
        .arn = arena_copy(a, json_str_or_null(json_get(v, "repositoryArn"))),
        .uri = arena_copy(a, json_str_or_null(json_get(v, "repositoryUri"))),
        .created_at_ms = registry_unix_ms(json_get(v, "createdAt")),
        .image_tag_mutability = arena_copy(a, json_str_or_null(json_get(v, "imageTagMutability"))),
        .encryption_type = arena_copy(a, json_str_or_null(json_get(encryption, "encryptionType"))),
        .kms_key = arena_copy(a, json_str_or_null(json_get(encryption, "kmsKey"))),
    };
}

enum registry_result registry_repository_read(struct registry *r, struct str name,
                                              const struct aws_scope *scope, struct arena *a,
                                              struct registry_repository_info *ret, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    struct json_writer w = begin(&body, STR_NULL);
    json_key_begin_array(&w, "repositoryNames");
    json_str(&w, name);
    json_end(&w);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    *ret = (struct registry_repository_info){0};
    if (!end(&w, e))
        return REGISTRY_FAILED;
    if (!ecr_call(r->client, ECR_DESCRIBE_REPOSITORIES, buf_str(&body), scope, &reply, e))
        return result_of(r, name, e);
    const struct json *first = json_first(json_get(reply.json, "repositories"));
    if (!str_eq(json_str_or_null(json_get(first, "repositoryName")), name)) {
        (void)err_set(e, ERR_RETRY, "BadResponse",
                      "DescribeRepositories: the answer does not name %.*s", STR_ARG(name));
        return REGISTRY_FAILED;
    }
    read_info(first, a, ret);
    saw(r, name, true);
    return REGISTRY_OK;
}

static void put_tag(struct json_writer *w, struct str key, struct str value)
{
    json_begin_object(w);
    json_put_str(w, "Key", key);
    json_put_str(w, "Value", value);
    json_end(w);
}

static void put_tags(struct json_writer *w, const struct api_template_spec *spec,
                     struct str tag_key, struct str tag_value)
{
    const struct api_tag *tags = spec->resource_tags.items;
    json_key_begin_array(w, "tags");
    put_tag(w, tag_key, tag_value);
    for (size_t i = 0; i < spec->resource_tags.count; i++) {
        if (!str_eq(tags[i].key, tag_key))
            put_tag(w, tags[i].key, tags[i].value);
    }
    json_end(w);
}

static void put_mutability(struct json_writer *w, const struct api_template_spec *spec)
{
    if (str_is_empty(spec->image_tag_mutability))
        return;
    json_put_str(w, "imageTagMutability", spec->image_tag_mutability);
    const struct api_exclusion_filter *filters = spec->exclusion_filters.items;
    if (spec->exclusion_filters.count == 0)
        return;
    json_key_begin_array(w, "imageTagMutabilityExclusionFilters");
    for (size_t i = 0; i < spec->exclusion_filters.count; i++) {
        json_begin_object(w);
        json_put_str(w, "filter", filters[i].filter);
        json_put_str(w, "filterType", filters[i].filter_type);
        json_end(w);
    }
    json_end(w);
}

static void put_encryption(struct json_writer *w, const struct api_encryption *encryption)
{
    if (!encryption->has)
        return;
    json_key_begin_object(w, "encryptionConfiguration");
    json_put_str(w, "encryptionType", encryption->type);
    if (!str_is_empty(encryption->kms_key))
        json_put_str(w, "kmsKey", encryption->kms_key);
    json_end(w);
}

enum registry_result registry_repository_create(struct registry *r, struct str name,
                                                const struct api_template_spec *spec,
                                                struct str tag_key, struct str tag_value,
                                                const struct aws_scope *scope, int *ret_attempts,
                                                int64_t *ret_created_at_ms, char *request_id,
                                                struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    struct json_writer w = begin(&body, name);
    put_tags(&w, spec, tag_key, tag_value);
    put_mutability(&w, spec);
    put_encryption(&w, &spec->encryption);
    *ret_attempts = 0;
    *ret_created_at_ms = 0;
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    if (!end(&w, e))
        return REGISTRY_FAILED;
    bool is_ok = ecr_call(r->client, ECR_CREATE_REPOSITORY, buf_str(&body), scope, &reply, e);
    *ret_attempts = reply.attempts;
    registry_copy_request_id(request_id, &reply);
    if (!is_ok && e->cls != ERR_CONFLICT)
        return REGISTRY_FAILED;
    if (is_ok) {
        *ret_created_at_ms =
            registry_unix_ms(json_get(json_get(reply.json, "repository"), "createdAt"));
        wrote(r, name);
        return REGISTRY_OK;
    }
    err_clear(e);
    saw(r, name, true);
    return REGISTRY_EXISTS;
}

static enum registry_result put_text(struct registry *r, enum ecr_op op, const char *member,
                                     struct str name, struct str text,
                                     const struct aws_scope *scope, char *request_id, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    struct json_writer w = begin(&body, name);
    json_put_str(&w, member, text);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    if (!end(&w, e))
        return REGISTRY_FAILED;
    if (!ecr_call(r->client, op, buf_str(&body), scope, &reply, e))
        return result_of(r, STR_NULL, e);
    registry_copy_request_id(request_id, &reply);
    return REGISTRY_OK;
}

enum registry_result registry_repository_put_policy(struct registry *r, struct str name,
                                                    struct str text, const struct aws_scope *scope,
                                                    char *request_id, struct err *e)
{
    return put_text(r, ECR_SET_REPOSITORY_POLICY, "policyText", name, text, scope, request_id, e);
}

enum registry_result registry_repository_put_lifecycle(struct registry *r, struct str name,
                                                       struct str text,
                                                       const struct aws_scope *scope,
                                                       char *request_id, struct err *e)
{
    return put_text(r, ECR_PUT_LIFECYCLE_POLICY, "lifecyclePolicyText", name, text, scope,
                    request_id, e);
}

static enum registry_result get_text(struct registry *r, enum ecr_op op, const char *member,
                                     const char *none, struct str name,
                                     const struct aws_scope *scope, struct arena *a,
                                     struct str *ret, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    struct json_writer w = begin(&body, name);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    *ret = STR_NULL;
    if (!end(&w, e))
        return REGISTRY_FAILED;
    if (ecr_call(r->client, op, buf_str(&body), scope, &reply, e)) {
        *ret = arena_copy(a, json_str_or_null(json_get(reply.json, member)));
        return REGISTRY_OK;
    }
    if (e->cls == ERR_NOT_FOUND && strcmp(e->reason, none) == 0) {
        err_clear(e);
        return REGISTRY_OK;
    }
    return result_of(r, name, e);
}

enum registry_result registry_repository_get_policy(struct registry *r, struct str name,
                                                    const struct aws_scope *scope, struct arena *a,
                                                    struct str *ret, struct err *e)
{
    return get_text(r, ECR_GET_REPOSITORY_POLICY, "policyText", "RepositoryPolicyNotFoundException",
                    name, scope, a, ret, e);
}

enum registry_result registry_repository_get_lifecycle(struct registry *r, struct str name,
                                                       const struct aws_scope *scope,
                                                       struct arena *a, struct str *ret,
                                                       struct err *e)
{
    return get_text(r, ECR_GET_LIFECYCLE_POLICY, "lifecyclePolicyText",
                    "LifecyclePolicyNotFoundException", name, scope, a, ret, e);
}

enum registry_result registry_repository_get_tag(struct registry *r, struct str arn, struct str key,
                                                 const struct aws_scope *scope, struct arena *a,
                                                 struct str *ret, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    struct json_writer w = begin(&body, STR_NULL);
    json_put_str(&w, "resourceArn", arn);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    *ret = STR_NULL;
    if (!end(&w, e))
        return REGISTRY_FAILED;
    if (!ecr_call(r->client, ECR_LIST_TAGS_FOR_RESOURCE, buf_str(&body), scope, &reply, e))
        return result_of(r, STR_NULL, e);
    const struct json *tags = json_get(reply.json, "tags");
    for (const struct json *tag = json_first(tags); tag != NULL; tag = json_next(tag)) {
        if (str_eq(json_str_or_null(json_get(tag, "Key")), key))
            *ret = arena_copy(a, json_str_or_null(json_get(tag, "Value")));
    }
    return REGISTRY_OK;
}

enum registry_result registry_image_read(struct registry *r, struct str repository, struct str tag,
                                         struct str digest, const struct aws_scope *scope,
                                         struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX);
    struct json_writer w = begin(&body, repository);
    json_key_begin_array(&w, "imageIds");
    json_begin_object(&w);
    if (!str_is_empty(digest))
        json_put_str(&w, "imageDigest", digest);
    else
        json_put_str(&w, "imageTag", str_is_empty(tag) ? STR("latest") : tag);
    json_end(&w);
    json_end(&w);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    if (!end(&w, e))
        return REGISTRY_FAILED;
    if (ecr_call(r->client, ECR_DESCRIBE_IMAGES, buf_str(&body), scope, &reply, e)) {
        saw(r, repository, true);
        return REGISTRY_OK;
    }
    if (e->cls == ERR_NOT_FOUND && strcmp(e->reason, "ImageNotFoundException") == 0) {
        err_clear(e);
        saw(r, repository, true);
        return REGISTRY_NOT_FOUND;
    }
    return result_of(r, repository, e);
}
