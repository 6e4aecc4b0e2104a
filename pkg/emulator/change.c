// SPDX-License-Identifier: Apache-2.0
/*
 * Changes as JSON, for the journal: written and read here and nowhere else. What a reader does not
 * find has the value of a zeroed struct, and what a writer finds zero it leaves out.
 */
#include "base/mem.h"
#include "change_priv.h"
#include "store_impl_priv.h"

#include <string.h>

static const char *const kinds[EMU_CHANGE_COUNT] = {
    [EMU_CHANGE_SETTING] = "setting",
    [EMU_CHANGE_TEMPLATE] = "template",
    [EMU_CHANGE_NO_TEMPLATE] = "no-template",
    [EMU_CHANGE_REPOSITORY] = "repository",
    [EMU_CHANGE_NO_REPOSITORY] = "no-repository",
    [EMU_CHANGE_LINK] = "link",
    [EMU_CHANGE_IMAGE] = "image",
    [EMU_CHANGE_TAG] = "tag",
    [EMU_CHANGE_UNTAG] = "untag",
    [EMU_CHANGE_NO_IMAGE] = "no-image",
    [EMU_CHANGE_PULL] = "pull",
};

/* ---- writing ---- */

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    if (text != NULL)
        json_put_cstr(w, key, text);
}

static void put_str(struct json_writer *w, const char *key, struct str text)
{
    if (!str_is_null(text))
        json_put_str(w, key, text);
}

static void put_int(struct json_writer *w, const char *key, int64_t n)
{
    if (n != 0)
        json_put_int(w, key, n);
}

static void put_true(struct json_writer *w, const char *key, bool is_set)
{
    if (is_set)
        json_put_bool(w, key, true);
}

static void write_settings(struct json_writer *w, const struct emu_settings *s)
{
    json_key_begin_object(w, "settings");
    put_int(w, "mutability", s->mutability);
    put_int(w, "encryption", s->encryption);
    put_text(w, "kmsKey", s->kms_key);
    put_text(w, "policy", s->policy);
    put_text(w, "lifecycle", s->lifecycle);
    put_true(w, "scanOnPush", s->is_scan_on_push);
    if (s->n_filters > 0) {
        json_key_begin_array(w, "filters");
        for (size_t i = 0; i < s->n_filters; i++)
            json_str(w, str_from(s->filters[i]));
        json_end(w);
    }
    if (s->n_tags > 0) {
        json_key_begin_array(w, "tags");
        for (size_t i = 0; i < s->n_tags; i++) {
            json_str(w, str_from(s->tags[i].key));
            json_str(w, str_from(s->tags[i].value));
        }
        json_end(w);
    }
    json_end(w);
}

static void write_template(struct json_writer *w, const struct emu_template *t)
{
    json_key_begin_object(w, "template");
    json_put_int(w, "seq", (int64_t)t->seq);
    json_put_cstr(w, "prefix", t->prefix);
    put_text(w, "description", t->description);
    put_int(w, "appliedFor", t->applied_for);
    put_text(w, "customRoleArn", t->custom_role_arn);
    put_int(w, "createdMs", t->created_ms);
    put_int(w, "updatedMs", t->updated_ms);
    write_settings(w, &t->settings);
    json_end(w);
}

static void write_repository(struct json_writer *w, const struct emu_repository *r)
{
    json_key_begin_object(w, "repository");
    json_put_int(w, "seq", (int64_t)r->seq);
    json_put_cstr(w, "name", r->name);
    put_true(w, "createdOnPush", r->is_created_on_push);
    put_text(w, "createdByPrefix", r->created_by_prefix);
    put_int(w, "createdMs", r->created_ms);
    write_settings(w, &r->settings);
    json_end(w);
}

static void write_image(struct json_writer *w, const struct emu_image *i)
{
    json_key_begin_object(w, "image");
    json_put_int(w, "seq", (int64_t)i->seq);
    json_put_cstr(w, "digest", i->digest);
    json_put_str(w, "manifest", str_n(i->manifest, i->manifest_len));
    json_put_cstr(w, "mediaType", i->media_type);
    put_int(w, "sizeBytes", (int64_t)i->size_bytes);
    put_int(w, "pushedMs", i->pushed_ms);
    put_int(w, "pulledMs", i->pulled_ms);
    json_end(w);
}

void emu_change_write(struct json_writer *w, const struct emu_change *c)
{
    json_begin_object(w);
    json_put_cstr(w, "kind", kinds[c->kind]);
    put_str(w, "name", c->name);
    put_str(w, "value", c->value);
    put_str(w, "digest", c->digest);
    put_str(w, "tag", c->tag);
    put_int(w, "sizeBytes", c->size_bytes);
    put_int(w, "atMs", c->at_ms);
    put_true(w, "mounted", c->is_mounted);
    if (c->template != NULL)
        write_template(w, c->template);
    if (c->repository != NULL)
        write_repository(w, c->repository);
    if (c->image != NULL)
        write_image(w, c->image);
    json_end(w);
}

/* ---- reading ---- */

static char *get_text(const struct json *v, const char *key)
{
    struct str s = json_str_or_null(json_get(v, key));

    return str_is_null(s) ? NULL : mem_dup(s.ptr, s.len);
}

static int64_t get_int(const struct json *v, const char *key)
{
    return json_i64_or(json_get(v, key), 0);
}

static bool read_settings(const struct json *v, struct emu_settings *s)
{
    int64_t mutability = get_int(v, "mutability");
    int64_t encryption = get_int(v, "encryption");

    if (mutability < 0 || mutability > EMU_MUTABLE_WITH_EXCLUSION || encryption < 0 ||
        encryption > EMU_KMS_DSSE)
        return false;
    s->mutability = (enum emu_mutability)mutability;
    s->encryption = (enum emu_encryption)encryption;
    s->kms_key = get_text(v, "kmsKey");
    s->policy = get_text(v, "policy");
    s->lifecycle = get_text(v, "lifecycle");
    s->is_scan_on_push = json_bool_or(json_get(v, "scanOnPush"), false);
    for (const struct json *it = json_first(json_get(v, "filters")); it; it = json_next(it)) {
        struct str filter = json_str_or_null(it);

        if (str_is_null(filter) || s->n_filters == EMU_FILTERS_MAX)
            return false;
        s->filters[s->n_filters++] = mem_dup(filter.ptr, filter.len);
    }
    for (const struct json *it = json_first(json_get(v, "tags")); it; it = json_next(it)) {
        struct str key = json_str_or_null(it);

        it = json_next(it);
        if (it == NULL || !emu_settings_tag(s, key, json_str_or_null(it)))
            return false;
    }
    return true;
}

static bool read_template(const struct json *v, struct emu_change *ret)
{
    struct emu_template *t = mem_alloc(sizeof(*t));

    ret->template = t;
    t->seq = (uint64_t)get_int(v, "seq");
    t->prefix = get_text(v, "prefix");
    t->description = get_text(v, "description");
    t->applied_for = (unsigned)get_int(v, "appliedFor");
    t->custom_role_arn = get_text(v, "customRoleArn");
    t->created_ms = get_int(v, "createdMs");
    t->updated_ms = get_int(v, "updatedMs");
    return t->seq > 0 && t->prefix != NULL && read_settings(json_get(v, "settings"), &t->settings);
}

static bool read_repository(const struct json *v, struct emu_change *ret)
{
    struct emu_repository *r = mem_alloc(sizeof(*r));

    ret->repository = r;
    r->seq = (uint64_t)get_int(v, "seq");
    r->name = get_text(v, "name");
    r->is_created_on_push = json_bool_or(json_get(v, "createdOnPush"), false);
    r->created_by_prefix = get_text(v, "createdByPrefix");
    r->created_ms = get_int(v, "createdMs");
    return r->seq > 0 && r->name != NULL && read_settings(json_get(v, "settings"), &r->settings);
}

static bool read_image(const struct json *v, struct emu_change *ret)
{
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_image *i = emu_image_new(json_str_or_null(json_get(v, "manifest")),
                                        json_str_or_null(json_get(v, "mediaType")), &x);

    ret->image = i;
    if (i == NULL || !str_eq_cstr(json_str_or_null(json_get(v, "digest")), i->digest))
        return false;
    i->seq = (uint64_t)get_int(v, "seq");
    i->size_bytes = (uint64_t)get_int(v, "sizeBytes");
    i->pushed_ms = get_int(v, "pushedMs");
    i->pulled_ms = get_int(v, "pulledMs");
    return i->seq > 0;
}

static bool read_parts(const struct json *v, struct emu_change *ret)
{
    const struct json *template = json_get(v, "template");
    const struct json *repository = json_get(v, "repository");
    const struct json *image = json_get(v, "image");
    bool is_ok = (template == NULL || read_template(template, ret)) &&
                 (repository == NULL || read_repository(repository, ret)) &&
                 (image == NULL || read_image(image, ret));

    return is_ok && (ret->template != NULL) == (ret->kind == EMU_CHANGE_TEMPLATE) &&
           (ret->repository != NULL) == (ret->kind == EMU_CHANGE_REPOSITORY) &&
           (ret->image != NULL) == (ret->kind == EMU_CHANGE_IMAGE);
}

bool emu_change_read(const struct json *v, struct arena *arena, struct emu_change *ret,
                     struct err *e)
{
    struct str kind = json_str_or_null(json_get(v, "kind"));

    *ret = (struct emu_change){.kind = EMU_CHANGE_COUNT};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_eq_cstr(kind, kinds[i]))
            ret->kind = (enum emu_change_kind)i;
    if (ret->kind == EMU_CHANGE_COUNT)
        return err_set(e, ERR_INVALID, "Journal", "unknown change %.*s",
                       STR_ARG(str_cut_utf8(kind, 40)));
    ret->name = arena_copy(arena, json_str_or_null(json_get(v, "name")));
    ret->value = arena_copy(arena, json_str_or_null(json_get(v, "value")));
    ret->digest = arena_copy(arena, json_str_or_null(json_get(v, "digest")));
    ret->tag = arena_copy(arena, json_str_or_null(json_get(v, "tag")));
    ret->size_bytes = get_int(v, "sizeBytes");
    ret->at_ms = get_int(v, "atMs");
    ret->is_mounted = json_bool_or(json_get(v, "mounted"), false);
    if (read_parts(v, ret))
        return true;
    emu_change_fini(ret);
    return err_set(e, ERR_INVALID, "Journal", "the change %s lacks a part", kinds[ret->kind]);
}

void emu_change_fini(struct emu_change *c)
{
    c->template = emu_template_free(c->template);
    c->repository = emu_repository_free(c->repository);
    c->image = emu_image_free(c->image);
}
