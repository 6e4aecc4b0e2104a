// SPDX-License-Identifier: Apache-2.0
/*
 * Repository creation templates: create, update as a patch, delete, describe.
 */
#include "base/mem.h"
#include "control_priv.h"
#include "policy_priv.h"
#include "store_impl_priv.h"

#include <string.h>

static const struct {
    const char *name;
    enum emu_applied_for bit;
} purposes[] = {
    {"CREATE_ON_PUSH", EMU_CREATE_ON_PUSH},
    {"PULL_THROUGH_CACHE", EMU_PULL_THROUGH_CACHE},
    {"REPLICATION", EMU_REPLICATION},
};

static void write_template(struct emu_call *c, const struct emu_template *t)
{
    const struct emu_settings *s = &t->settings;

    json_put_cstr(&c->w, "prefix", t->prefix);
    if (t->description != NULL)
        json_put_cstr(&c->w, "description", t->description);
    emu_write_encryption(c, s);
    if (s->n_tags > 0)
        emu_write_tags(c, "resourceTags", s);
    emu_write_mutability(c, s);
    if (s->policy != NULL)
        json_put_cstr(&c->w, "repositoryPolicy", s->policy);
    if (s->lifecycle != NULL)
        json_put_cstr(&c->w, "lifecyclePolicy", s->lifecycle);
    json_key_begin_array(&c->w, "appliedFor");
    for (size_t i = 0; i < ARRAY_SIZE(purposes); i++)
        if (t->applied_for & (unsigned)purposes[i].bit)
            json_str(&c->w, str_from(purposes[i].name));
    json_end(&c->w);
    if (t->custom_role_arn != NULL)
        json_put_cstr(&c->w, "customRoleArn", t->custom_role_arn);
    emu_put_time(c, "createdAt", t->created_ms);
    emu_put_time(c, "updatedAt", t->updated_ms);
}

static bool answer(struct emu_call *c, const struct emu_template *t)
{
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_key_begin_object(&c->w, "repositoryCreationTemplate");
    write_template(c, t);
    json_end(&c->w);
    return true;
}

static bool fail_not_found(struct emu_call *c, struct str prefix)
{
    return emu_fail(&c->x, EMU_TEMPLATE_NOT_FOUND,
                    "The repository creation template with prefix '%.*s' does not exist in the "
                    "registry with id '%s'",
                    STR_ARG(prefix), c->emu->account);
}

static bool read_applied_for(struct emu_call *c, struct emu_template *t)
{
    const struct json *list = json_get(c->in, "appliedFor");
    unsigned bits = 0;

    if (json_is_null(list))
        return true;
    for (const struct json *it = json_first(list); it; it = json_next(it))
        for (size_t i = 0; i < ARRAY_SIZE(purposes); i++)
            if (str_eq_cstr(json_str_or_null(it), purposes[i].name))
                bits |= (unsigned)purposes[i].bit;
    if (bits == 0)
        return emu_call_invalid(c, "appliedFor", "must have at least one element");
    t->applied_for = bits;
    return true;
}

/* Absent leaves *text, "" clears it. */
static void read_text(const struct emu_call *c, const char *member, char **text)
{
    struct str value = emu_in_str(c, member);

    if (str_is_null(value))
        return;
    mem_free(*text);
    *text = emu_text_or_null(value);
}

static bool read_policies(struct emu_call *c, struct emu_settings *s)
{
    struct str policy = emu_in_str(c, "repositoryPolicy");
    struct str lifecycle = emu_in_str(c, "lifecyclePolicy");
    /* printing adds white space only: at most as many levels as bytes */
    struct buf pretty BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_POLICY_MAX * 64);

    if (!str_is_empty(lifecycle) && !emu_lifecycle_check(lifecycle, "LifecyclePolicyText", &c->x))
        return false;
    if (!str_is_empty(policy) && !emu_policy_normalise(policy, "PolicyText", &pretty, &c->x))
        return false;
    read_text(c, "lifecyclePolicy", &s->lifecycle);
    if (str_is_null(policy))
        return true;
    mem_free(s->policy);
    s->policy = emu_text_or_null(buf_str(&pretty));
    return true;
}

static bool read_resource_tags(struct emu_call *c, struct emu_settings *s)
{
    const struct json *list = json_get(c->in, "resourceTags");

    if (json_is_null(list))
        return true;
    for (size_t i = 0; i < s->n_tags; i++) {
        mem_free(s->tags[i].key);
        mem_free(s->tags[i].value);
    }
    s->n_tags = 0;
    return emu_read_tags(c, list, EMU_INVALID_PARAMETER, EMU_VALIDATION, s);
}

static bool read_role(struct emu_call *c, struct emu_template *t)
{
    struct str role = emu_in_str(c, "customRoleArn");
    bool is_role = str_starts_with(role, STR("arn:aws")) && str_contains(role, STR(":role/"));

    if (!str_is_empty(role) && !is_role)
        return emu_call_invalid(c, "customRoleArn", "Invalid role ARN");
    read_text(c, "customRoleArn", &t->custom_role_arn);
    return true;
}

/* All members but the prefix. */
static bool read_template(struct emu_call *c, struct emu_template *t)
{
    read_text(c, "description", &t->description);
    return read_applied_for(c, t) && emu_read_mutability(c, &t->settings) &&
           emu_read_encryption(c, &t->settings) && read_resource_tags(c, &t->settings) &&
           read_policies(c, &t->settings) && read_role(c, t);
}

static bool create(struct emu_call *c)
{
    struct str prefix = emu_in_str(c, "prefix");
    struct emu_template *t = mem_alloc(sizeof(*t));

    t->prefix = mem_dup(prefix.ptr, prefix.len);
    if (read_template(c, t) && emu_store_add_template_locked(c->store, t, &c->x))
        return answer(c, t);
    emu_template_free(t);
    return false;
}

/* On a copy, so that a request that is refused changes nothing. */
static bool update(struct emu_call *c)
{
    struct str prefix = emu_in_str(c, "prefix");
    struct emu_template *t = emu_store_template_locked(c->store, prefix);
    struct emu_template *next = NULL;

    if (t == NULL)
        return fail_not_found(c, prefix);
    next = emu_template_copy(t);
    if (c->emu->behavior.is_update_resetting_mutability &&
        str_is_null(emu_in_str(c, "imageTagMutability"))) {
        for (size_t i = 0; i < next->settings.n_filters; i++)
            mem_free(next->settings.filters[i]);
        next->settings.n_filters = 0;
        next->settings.mutability = EMU_MUTABLE;
    }
    if (read_template(c, next) && emu_store_update_template_locked(c->store, next, &c->x))
        return answer(c, t);
    emu_template_free(next);
    return false;
}

static bool delete (struct emu_call *c)
{
    struct str prefix = emu_in_str(c, "prefix");
    struct emu_template *t = emu_store_template_locked(c->store, prefix);

    if (t == NULL)
        return fail_not_found(c, prefix);
    (void)answer(c, t);
    return emu_store_remove_template_locked(c->store, t, &c->x);
}

static void write_one(struct emu_call *c, const struct emu_template *t)
{
    json_begin_object(&c->w);
    write_template(c, t);
    json_end(&c->w);
}

/* The list may be longer than a page; nothing says that it excludes maxResults here. */
static bool write_named(struct emu_call *c, const struct json *prefixes, struct emu_page *page)
{
    uint64_t number = 0;

    for (const struct json *it = json_first(prefixes); it; it = json_next(it)) {
        const struct emu_template *t = emu_store_template_locked(c->store, json_str_or_null(it));

        number++;
        if (t == NULL && !c->emu->behavior.is_unknown_prefix_left_out)
            return fail_not_found(c, json_str_or_null(it));
        if (t != NULL && emu_page_take(page, number))
            write_one(c, t);
    }
    return true;
}

static bool describe(struct emu_call *c)
{
    const struct json *prefixes = json_get(c->in, "prefixes");
    const struct map *all = emu_store_templates_locked(c->store);
    struct emu_page page;

    if (!emu_page_read(c, NULL, &page))
        return false;
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_key_begin_array(&c->w, "repositoryCreationTemplates");
    if (json_first(prefixes) != NULL) {
        if (!write_named(c, prefixes, &page))
            return false;
    } else {
        for (struct map_entry *it = map_first(all); it && !page.has_more; it = map_next(it)) {
            const struct emu_template *t = map_value(it);

            if (emu_page_take(&page, t->seq))
                write_one(c, t);
        }
    }
    json_end(&c->w);
    emu_page_write(c, &page);
    return true;
}

const struct emu_operation emu_template_operations[] = {
    {"CreateRepositoryCreationTemplate", create},
    {"UpdateRepositoryCreationTemplate", update},
    {"DeleteRepositoryCreationTemplate", delete},
    {"DescribeRepositoryCreationTemplates", describe},
    {NULL, NULL},
};
