// SPDX-License-Identifier: Apache-2.0
/*
 * Repositories: by name, created by a call or on a push, and the rules for mounting a blob from
 * one into another.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "change_priv.h"
#include "store_impl_priv.h"
#include "store_priv.h"

#include <stdio.h>
#include <string.h>

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool component_ok(struct str part)
{
    size_t i = 0;

    while (i < part.len) {
        size_t start = i;

        while (i < part.len && is_alnum(part.ptr[i]))
            i++;
        if (i == start)
            return false;
        if (i == part.len)
            return true;
        start = i;
        while (i < part.len && part.ptr[i] == part.ptr[start])
            i++;
        if (part.ptr[start] == '.'   ? i - start != 1
            : part.ptr[start] == '_' ? i - start > 2
                                     : part.ptr[start] != '-')
            return false;
    }
    return false; /* empty, or ends with a separator */
}

bool emu_repository_grammar_ok(struct str name)
{
    struct str rest = name;
    struct str part = STR_NULL;

    if (str_is_empty(name))
        return false;
    while (str_next(&rest, '/', &part))
        if (!component_ok(part))
            return false;
    return true;
}

bool emu_repository_name_ok(struct str name)
{
    return name.len >= 2 && name.len <= EMU_REPOSITORY_NAME_MAX && emu_repository_grammar_ok(name);
}

struct emu_repository *emu_store_repository_locked(struct emu_store *s, struct str name,
                                                   struct emu_error *x)
{
    struct emu_repository *r = map_get(s->repositories, name);

    if (r == NULL && x != NULL)
        (void)emu_fail(x, EMU_REPOSITORY_NOT_FOUND,
                       "The repository with name '%.*s' does not exist in the registry with id "
                       "'%s'",
                       STR_ARG(name), s->account);
    return r;
}

struct emu_repository *emu_repository_copy(const struct emu_repository *r)
{
    struct emu_repository *copy = mem_alloc(sizeof(*copy));

    *copy = *r;
    copy->images = NULL;
    copy->tags = NULL;
    copy->name = mem_strdup(r->name);
    copy->created_by_prefix = mem_strdup(r->created_by_prefix);
    emu_settings_copy(&copy->settings, &r->settings);
    return copy;
}

static void free_image(void *value)
{
    emu_image_free(value);
}

struct emu_repository *emu_repository_free(struct emu_repository *r)
{
    if (r == NULL)
        return NULL;
    map_free(r->images, free_image);
    map_free(r->tags, NULL);
    emu_settings_fini(&r->settings);
    mem_free(r->created_by_prefix);
    mem_free(r->name);
    return mem_free(r);
}

/* by: the template that the settings are from, or NULL. */
static bool create(struct emu_store *s, struct str name, const struct emu_settings *settings,
                   const struct emu_template *by, struct emu_repository **ret, struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_REPOSITORY};
    struct emu_repository *r = NULL;

    *ret = NULL;
    if (map_get(s->repositories, name) != NULL)
        return emu_fail(x, EMU_REPOSITORY_ALREADY_EXISTS,
                        "The repository with name '%.*s' already exists in the registry with id "
                        "'%s'",
                        STR_ARG(name), s->account);
    if (map_count(s->repositories) >= EMU_REPOSITORIES_MAX)
        return emu_fail(x, EMU_LIMIT_EXCEEDED,
                        "The maximum number of repositories (%d) in the registry with id '%s' was "
                        "reached",
                        EMU_REPOSITORIES_MAX, s->account);
    r = mem_alloc(sizeof(*r));
    r->seq = s->next_seq;
    r->name = mem_dup(name.ptr, name.len);
    r->created_ms = clock_unix_ms(s->clock);
    r->is_created_on_push = by != NULL;
    r->created_by_prefix = by ? mem_strdup(by->prefix) : NULL;
    emu_settings_copy(&r->settings, settings);
    c.repository = r;
    if (!emu_store_commit_locked(s, &c, 1, x)) {
        emu_repository_free(r);
        return false;
    }
    *ret = r;
    return true;
}

bool emu_store_create_repository_locked(struct emu_store *s, struct str name,
                                        const struct emu_settings *settings,
                                        struct emu_repository **ret, struct emu_error *x)
{
    return create(s, name, settings, NULL, ret, x);
}

bool emu_store_update_repository_locked(struct emu_store *s, struct emu_repository *next,
                                        struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_REPOSITORY, .repository = next};

    return emu_store_commit_locked(s, &c, 1, x);
}

bool emu_store_repository_for_push_locked(struct emu_store *s, struct str name,
                                          struct emu_repository **ret, struct emu_error *x)
{
    struct emu_template *t = NULL;
    bool needs_role = false;

    *ret = map_get(s->repositories, name);
    if (*ret != NULL)
        return true;
    if (!emu_repository_name_ok(name))
        return emu_fail_parameter(x, "repositoryName",
                                  "must satisfy the regular expression of repository names");
    t = emu_store_match_template_locked(s, name, EMU_CREATE_ON_PUSH);
    if (t != NULL)
        needs_role = t->settings.n_tags > 0 || t->settings.encryption != EMU_AES256;
    /* without a role ECR has only its service-linked one, which may neither tag nor use a key; its
     * client sees no more than that there is no repository */
    if (t == NULL || (needs_role && t->custom_role_arn == NULL)) {
        (void)emu_store_repository_locked(s, name, x);
        return false;
    }
    return create(s, name, &t->settings, t, ret, x);
}

bool emu_store_remove_repository_locked(struct emu_store *s, struct emu_repository *r,
                                        struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_NO_REPOSITORY, .name = str_from(r->name)};

    return emu_store_commit_locked(s, &c, 1, x);
}

const struct map *emu_store_repositories_locked(const struct emu_store *s)
{
    return s->repositories;
}

/* KMS without a key stands for the managed key of the account: the same for all. */
static bool same_encryption(const struct emu_settings *a, const struct emu_settings *b)
{
    const char *key_a = a->kms_key ? a->kms_key : "";
    const char *key_b = b->kms_key ? b->kms_key : "";

    return a->encryption == b->encryption &&
           (a->encryption == EMU_AES256 || strcmp(key_a, key_b) == 0);
}

bool emu_store_mount_locked(struct emu_store *s, struct emu_repository *to, struct str from,
                            struct str digest, const char **ret_why)
{
    struct emu_repository *source = str_is_empty(from) ? NULL : map_get(s->repositories, from);
    struct emu_change c = {
        .kind = EMU_CHANGE_LINK, .name = str_from(to->name), .digest = digest, .is_mounted = true};
    struct emu_error x = EMU_ERROR_INIT;

    *ret_why = "disabled";
    if (!emu_store_blob_mounting_locked(s))
        return false;
    *ret_why = "no-source";
    if (source == NULL || source == to)
        return false;
    *ret_why = "encryption";
    if (!same_encryption(&source->settings, &to->settings))
        return false;
    *ret_why = "";
    switch (blobs_may_mount(s->blobs, from, str_from(to->name), digest, &c.size_bytes)) {
    case BLOB_MOUNT_OK:
        *ret_why = "journal";
        if (!emu_store_commit_locked(s, &c, 1, &x))
            return false; /* it becomes an upload, which will tell */
        s->stats.mounted_blobs++;
        s->stats.mounted_bytes += (uint64_t)c.size_bytes;
        return true;
    case BLOB_MOUNT_THERE:
        return true;
    case BLOB_MOUNT_NO_SOURCE:
        *ret_why = "no-source";
        return false;
    case BLOB_MOUNT_UNREFERENCED:
        *ret_why = "unreferenced";
        return false;
    }
    return false;
}

bool emu_store_link_locked(struct emu_store *s, struct str repository, struct str digest,
                           int64_t size_bytes, struct emu_error *x)
{
    struct emu_change c = {
        .kind = EMU_CHANGE_LINK, .name = repository, .digest = digest, .size_bytes = size_bytes};
    struct blob_info info;

    if (emu_store_repository_locked(s, repository, x) == NULL)
        return false;
    if (!blobs_find(s->blobs, repository, digest, &info) && !emu_store_commit_locked(s, &c, 1, x))
        return false;
    s->stats.uploaded_blobs++;
    s->stats.uploaded_bytes += (uint64_t)size_bytes;
    return true;
}
