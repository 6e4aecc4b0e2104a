// SPDX-License-Identifier: Apache-2.0
/*
 * What the operations of the control API share: reading members, settings and pages, writing them.
 */
#include "base/mem.h"
#include "base/num.h"
#include "control_priv.h"
#include "crypto/crypto.h"
#include "store_impl_priv.h"

#include <stdio.h>
#include <string.h>

static const char *const mutability_names[] = {
    [EMU_MUTABLE] = "MUTABLE",
    [EMU_IMMUTABLE] = "IMMUTABLE",
    [EMU_IMMUTABLE_WITH_EXCLUSION] = "IMMUTABLE_WITH_EXCLUSION",
    [EMU_MUTABLE_WITH_EXCLUSION] = "MUTABLE_WITH_EXCLUSION",
};
static const char *const encryption_names[] = {
    [EMU_AES256] = "AES256",
    [EMU_KMS_KEY] = "KMS",
    [EMU_KMS_DSSE] = "KMS_DSSE",
};

const char *emu_mutability_name(enum emu_mutability mutability)
{
    return mutability_names[mutability];
}

const char *emu_encryption_name(enum emu_encryption encryption)
{
    return encryption_names[encryption];
}

struct str emu_in_str(const struct emu_call *c, const char *member)
{
    return json_str_or_null(json_get(c->in, member));
}

bool emu_in_bool(const struct emu_call *c, const char *member, bool fallback)
{
    return json_bool_or(json_get(c->in, member), fallback);
}

bool emu_call_invalid(struct emu_call *c, const char *member, const char *why)
{
    if (!c->has_validation_exception)
        return emu_fail_parameter(&c->x, member, why);
    return emu_fail(&c->x, EMU_VALIDATION,
                    "1 validation error detected: '%s' failed to satisfy constraint: %s", member,
                    why);
}

bool emu_call_registry(struct emu_call *c)
{
    struct str id = emu_in_str(c, "registryId");
    struct str name = emu_in_str(c, "repositoryName");

    if (str_is_null(id) || str_eq_cstr(id, c->emu->account))
        return true;
    if (str_is_null(name))
        name = json_str_or_null(json_first(json_get(c->in, "repositoryNames")));
    if (str_is_null(name))
        return emu_fail_parameter(&c->x, "registryId", "the registry is not the caller's");
    return emu_fail(&c->x, EMU_REPOSITORY_NOT_FOUND,
                    "The repository with name '%.*s' does not exist in the registry with id "
                    "'%.*s'",
                    STR_ARG(name), STR_ARG(id));
}

struct emu_repository *emu_call_repository(struct emu_call *c)
{
    if (!emu_call_registry(c))
        return NULL;
    return emu_store_repository_locked(c->store, emu_in_str(c, "repositoryName"), &c->x);
}

bool emu_call_change(struct emu_call *c, struct emu_repository *r,
                     bool (*change)(struct emu_call *c, struct emu_settings *s))
{
    struct emu_repository *next = emu_repository_copy(r);

    if (change(c, &next->settings) && emu_store_update_repository_locked(c->store, next, &c->x))
        return true;
    emu_repository_free(next);
    return false;
}

void emu_put_time(struct emu_call *c, const char *key, int64_t unix_ms)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld.%03d", (long long)(unix_ms / 1000),
                       (int)(unix_ms % 1000));

    json_put_raw(&c->w, key, str_n(text, (size_t)len));
}

char *emu_text_or_null(struct str s)
{
    return str_is_empty(s) ? NULL : mem_dup(s.ptr, s.len);
}

/* ---- settings ---- */

static void clear_filters(struct emu_settings *s)
{
    for (size_t i = 0; i < s->n_filters; i++)
        s->filters[i] = mem_free(s->filters[i]);
    s->n_filters = 0;
}

static bool filter_ok(struct str filter)
{
    int stars = 0;

    for (size_t i = 0; i < filter.len; i++)
        stars += filter.ptr[i] == '*';
    return stars <= EMU_FILTER_STARS_MAX;
}

bool emu_read_mutability(struct emu_call *c, struct emu_settings *s)
{
    static const char member[] = "imageTagMutabilityExclusionFilters";
    struct str name = emu_in_str(c, "imageTagMutability");
    const struct json *filters = json_get(c->in, member);
    enum emu_mutability mutability = EMU_MUTABLE;
    bool wants_filters = false;

    for (size_t i = 0; i < ARRAY_SIZE(mutability_names); i++)
        if (str_eq_cstr(name, mutability_names[i]))
            mutability = (enum emu_mutability)i;
    wants_filters =
        mutability == EMU_IMMUTABLE_WITH_EXCLUSION || mutability == EMU_MUTABLE_WITH_EXCLUSION;
    if (!wants_filters && !json_is_null(filters))
        return emu_call_invalid(c, member,
                                "may only be given with a mutability setting WITH_EXCLUSION");
    if (wants_filters && json_is_null(filters))
        return emu_call_invalid(c, member,
                                "must be given with a mutability setting WITH_EXCLUSION");
    for (const struct json *it = json_first(filters); it; it = json_next(it))
        if (!filter_ok(json_str_or_null(json_get(it, "filter"))))
            return emu_call_invalid(c, member, "a filter may have at most 2 wildcards");
    if (str_is_null(name))
        return true;
    clear_filters(s);
    s->mutability = mutability;
    for (const struct json *it = json_first(filters); it && s->n_filters < EMU_FILTERS_MAX;
         it = json_next(it)) {
        struct str filter = json_str_or_null(json_get(it, "filter"));

        s->filters[s->n_filters++] = mem_dup(filter.ptr, filter.len);
    }
    return true;
}

bool emu_read_encryption(struct emu_call *c, struct emu_settings *s)
{
    static const char member[] = "encryptionConfiguration";
    const struct json *v = json_get(c->in, member);
    struct str type = json_str_or_null(json_get(v, "encryptionType"));
    struct str key = json_str_or_null(json_get(v, "kmsKey"));
    enum emu_encryption encryption = EMU_AES256;

    if (json_is_null(v))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(encryption_names); i++)
        if (str_eq_cstr(type, encryption_names[i]))
            encryption = (enum emu_encryption)i;
    if (encryption == EMU_AES256 && !str_is_empty(key))
        return emu_call_invalid(c, member, "kmsKey may only be given with the encryption type KMS");
    if (encryption == EMU_KMS_DSSE && strncmp(c->emu->region, "us-gov-", 7) != 0)
        return emu_call_invalid(c, member, "KMS_DSSE is not supported in this Region");
    s->encryption = encryption;
    mem_free(s->kms_key);
    s->kms_key = emu_text_or_null(key);
    return true;
}

bool emu_read_tags(struct emu_call *c, const struct json *list, enum emu_code invalid,
                   enum emu_code too_many, struct emu_settings *s)
{
    for (const struct json *it = json_first(list); it; it = json_next(it)) {
        struct str key = json_str_or_null(json_get(it, "Key"));
        struct str value = json_str_or_null(json_get(it, "Value"));

        if (key.len < 1 || key.len > 128)
            return emu_fail(&c->x, invalid, "Tag keys must have a length of 1 to 128 characters");
        if (value.len > 256)
            return emu_fail(&c->x, invalid, "Tag values must have at most 256 characters");
        if (key.len >= 4 && str_eq_nocase(str_n(key.ptr, 4), STR("aws:")))
            return emu_fail(&c->x, invalid, "Tag keys must not begin with 'aws:'");
        if (!emu_settings_tag(s, key, value))
            return emu_fail(&c->x, too_many, "The list of tags has more than the %d allowed",
                            EMU_RESOURCE_TAGS_MAX);
    }
    return true;
}

void emu_write_mutability(struct emu_call *c, const struct emu_settings *s)
{
    json_put_cstr(&c->w, "imageTagMutability", mutability_names[s->mutability]);
    if (s->n_filters == 0)
        return;
    json_key_begin_array(&c->w, "imageTagMutabilityExclusionFilters");
    for (size_t i = 0; i < s->n_filters; i++) {
        json_begin_object(&c->w);
        json_put_cstr(&c->w, "filterType", "WILDCARD");
        json_put_cstr(&c->w, "filter", s->filters[i]);
        json_end(&c->w);
    }
    json_end(&c->w);
}

void emu_write_encryption(struct emu_call *c, const struct emu_settings *s)
{
    json_key_begin_object(&c->w, "encryptionConfiguration");
    json_put_cstr(&c->w, "encryptionType", encryption_names[s->encryption]);
    if (s->kms_key != NULL)
        json_put_cstr(&c->w, "kmsKey", s->kms_key);
    json_end(&c->w);
}

void emu_write_tags(struct emu_call *c, const char *key, const struct emu_settings *s)
{
    json_key_begin_array(&c->w, key);
    for (size_t i = 0; i < s->n_tags; i++) {
        json_begin_object(&c->w);
        json_put_cstr(&c->w, "Key", s->tags[i].key);
        json_put_cstr(&c->w, "Value", s->tags[i].value);
        json_end(&c->w);
    }
    json_end(&c->w);
}

/* ---- pages ---- */

static bool read_token(struct emu_call *c, struct str token, uint64_t *ret)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(64);

    if (token.len <= 128 && crypto_base64_decode(token, &text) && buf_ok(&text) &&
        num_parse_u64(buf_str(&text), ret))
        return true;
    return emu_fail_parameter(&c->x, "nextToken", "Invalid pagination token");
}

bool emu_page_read(struct emu_call *c, const char *explicit_list, struct emu_page *ret)
{
    const struct json *max = json_get(c->in, "maxResults");
    struct str token = emu_in_str(c, "nextToken");

    *ret = (struct emu_page){.max = (size_t)json_i64_or(max, EMU_PAGE_DEFAULT)};
    if (explicit_list != NULL && !json_is_null(json_get(c->in, explicit_list))) {
        if (!json_is_null(max))
            return emu_call_invalid(c, "maxResults", "must not be given with a list of names");
        if (!str_is_null(token))
            return emu_call_invalid(c, "nextToken", "must not be given with a list of names");
    }
    return str_is_null(token) || read_token(c, token, &ret->after);
}

bool emu_page_take(struct emu_page *p, uint64_t number)
{
    if (number <= p->after)
        return false;
    if (p->taken == p->max) {
        p->has_more = true;
        return false;
    }
    p->taken++;
    p->last = number;
    return true;
}

void emu_page_write(struct emu_call *c, const struct emu_page *p)
{
    struct buf token BERTH_CLEANUP(buf_fini) = BUF_INIT(64);
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)p->last);

    if (!p->has_more)
        return;
    crypto_base64_encode(str_n(text, (size_t)len), &token);
    json_put_str(&c->w, "nextToken", buf_str(&token));
}
