// SPDX-License-Identifier: Apache-2.0
/*
 * Repositories: create, describe, delete, mutability, scanning configuration, tags.
 */
#include "base/mem.h"
#include "control_priv.h"
#include "store_impl_priv.h"

#include <stdio.h>
#include <string.h>

static void write_scanning(struct emu_call *c, const struct emu_repository *r)
{
    json_key_begin_object(&c->w, "imageScanningConfiguration");
    json_put_bool(&c->w, "scanOnPush", r->settings.is_scan_on_push);
    json_end(&c->w);
}

static void write_repository(struct emu_call *c, const struct emu_repository *r)
{
    json_put_str(&c->w, "repositoryArn", emu_repository_arn(c->emu, c->arena, str_from(r->name)));
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_put_cstr(&c->w, "repositoryName", r->name);
    json_put_str(&c->w, "repositoryUri",
                 arena_printf(c->arena, "%s/%s", c->emu->registry, r->name));
    emu_put_time(c, "createdAt", r->created_ms);
    emu_write_mutability(c, &r->settings);
    write_scanning(c, r);
    emu_write_encryption(c, &r->settings);
}

static void read_scanning(const struct emu_call *c, struct emu_settings *s)
{
    s->is_scan_on_push =
        json_bool_or(json_path(c->in, "imageScanningConfiguration.scanOnPush"), false);
}

static bool read_new(struct emu_call *c, struct emu_settings *s)
{
    read_scanning(c, s);
    return emu_call_registry(c) && emu_read_mutability(c, s) && emu_read_encryption(c, s) &&
           emu_read_tags(c, json_get(c->in, "tags"), EMU_INVALID_TAG_PARAMETER, EMU_TOO_MANY_TAGS,
                         s);
}

static bool create(struct emu_call *c)
{
    struct emu_settings settings = {0};
    struct emu_repository *r = NULL;
    bool is_ok = read_new(c, &settings) &&
                 emu_store_create_repository_locked(c->store, emu_in_str(c, "repositoryName"),
                                                    &settings, &r, &c->x);

    emu_settings_fini(&settings);
    if (!is_ok)
        return false;
    json_key_begin_object(&c->w, "repository");
    write_repository(c, r);
    json_end(&c->w);
    return true;
}

static void write_one(struct emu_call *c, const struct emu_repository *r)
{
    json_begin_object(&c->w);
    write_repository(c, r);
    json_end(&c->w);
}

static bool write_named(struct emu_call *c, const struct json *names)
{
    for (const struct json *it = json_first(names); it; it = json_next(it)) {
        const struct emu_repository *r =
            emu_store_repository_locked(c->store, json_str_or_null(it), &c->x);

        if (r == NULL)
            return false;
        write_one(c, r);
    }
    return true;
}

static bool describe(struct emu_call *c)
{
    const struct json *names = json_get(c->in, "repositoryNames");
    const struct map *all = emu_store_repositories_locked(c->store);
    struct emu_page page;

    if (!emu_call_registry(c) || !emu_page_read(c, "repositoryNames", &page))
        return false;
    json_key_begin_array(&c->w, "repositories");
    if (!json_is_null(names)) {
        if (!write_named(c, names))
            return false;
    } else {
        for (struct map_entry *it = map_first(all); it && !page.has_more; it = map_next(it)) {
            const struct emu_repository *r = map_value(it);

            if (emu_page_take(&page, r->seq))
                write_one(c, r);
        }
    }
    json_end(&c->w);
    emu_page_write(c, &page);
    return true;
}

static bool delete (struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    if (r == NULL)
        return false;
    if (map_count(r->images) > 0 && !emu_in_bool(c, "force", false))
        return emu_fail(&c->x, EMU_REPOSITORY_NOT_EMPTY,
                        "The repository with name '%s' in registry with id '%s' cannot be deleted "
                        "because it still contains images",
                        r->name, c->emu->account);
    json_key_begin_object(&c->w, "repository");
    write_repository(c, r);
    json_end(&c->w);
    return emu_store_remove_repository_locked(c->store, r, &c->x);
}

static bool change_mutability(struct emu_call *c, struct emu_settings *s)
{
    return emu_read_mutability(c, s);
}

static bool put_mutability(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    if (r == NULL || !emu_call_change(c, r, change_mutability))
        return false;
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_put_cstr(&c->w, "repositoryName", r->name);
    emu_write_mutability(c, &r->settings);
    return true;
}

static bool change_scanning(struct emu_call *c, struct emu_settings *s)
{
    read_scanning(c, s);
    return true;
}

static bool put_scanning(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    if (r == NULL || !emu_call_change(c, r, change_scanning))
        return false;
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_put_cstr(&c->w, "repositoryName", r->name);
    write_scanning(c, r);
    return true;
}

/* ---- tags ---- */

static struct emu_repository *repository_of_arn(struct emu_call *c)
{
    struct str arn = emu_in_str(c, "resourceArn");
    struct str prefix = emu_repository_arn(c->emu, c->arena, STR(""));

    if (!str_starts_with(arn, prefix) ||
        !emu_repository_name_ok(str_from_offset(arn, prefix.len))) {
        (void)emu_fail_parameter(&c->x, "resourceArn", "Invalid ARN");
        return NULL;
    }
    return emu_store_repository_locked(c->store, str_from_offset(arn, prefix.len), &c->x);
}

static bool change_tags(struct emu_call *c, struct emu_settings *s)
{
    return emu_read_tags(c, json_get(c->in, "tags"), EMU_INVALID_TAG_PARAMETER, EMU_TOO_MANY_TAGS,
                         s);
}

static bool tag(struct emu_call *c)
{
    struct emu_repository *r = repository_of_arn(c);

    return r != NULL && emu_call_change(c, r, change_tags);
}

static void remove_tag(struct emu_settings *s, struct str key)
{
    for (size_t i = 0; i < s->n_tags; i++) {
        if (!str_eq_cstr(key, s->tags[i].key))
            continue;
        mem_free(s->tags[i].key);
        mem_free(s->tags[i].value);
        memmove(&s->tags[i], &s->tags[i + 1], (s->n_tags - i - 1) * sizeof(*s->tags));
        s->n_tags--;
        return;
    }
}

static bool remove_tags(struct emu_call *c, struct emu_settings *s)
{
    for (const struct json *it = json_first(json_get(c->in, "tagKeys")); it; it = json_next(it))
        remove_tag(s, json_str_or_null(it));
    return true;
}

static bool untag(struct emu_call *c)
{
    struct emu_repository *r = repository_of_arn(c);

    return r != NULL && emu_call_change(c, r, remove_tags);
}

static bool list_tags(struct emu_call *c)
{
    struct emu_repository *r = repository_of_arn(c);

    if (r == NULL)
        return false;
    emu_write_tags(c, "tags", &r->settings);
    return true;
}

const struct emu_operation emu_repository_operations[] = {
    {"CreateRepository", create},
    {"DescribeRepositories", describe},
    {"DeleteRepository", delete},
    {"PutImageTagMutability", put_mutability},
    {"PutImageScanningConfiguration", put_scanning},
    {"TagResource", tag},
    {"UntagResource", untag},
    {"ListTagsForResource", list_tags},
    {NULL, NULL},
};
