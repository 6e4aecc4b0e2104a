// SPDX-License-Identifier: Apache-2.0
/*
 * Laws that hold for any template: it equals itself, what is sent comes back the same, difference
 * is symmetric, Update says everything. On random templates from a fixed seed.
 */
#include "api/api.h"
#include "json/json.h"
#include "json/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROUNDS = 2000 };

static uint32_t seed = 0x9e3779b9;

static uint32_t pick(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

static struct str one_of(const char *const *choices, uint32_t n)
{
    return str_from(choices[pick(n)]); /* NULL: absent */
}
#define ONE_OF(...)                                                                                \
    one_of((const char *const[]){__VA_ARGS__},                                                     \
           (uint32_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static void make(struct arena *a, struct api_template_spec *s)
{
    static const char *const applied[] = {"CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"};
    static const char *const keys[] = {"a", "b", "c/d"};
    *s = (struct api_template_spec){.prefix = ONE_OF("a", "a/", "b/c", "ROOT")};
    struct str *list = arena_new_array(a, struct str, 3);
    uint32_t start = pick(3);
    s->applied_for = (struct schema_list){list, 1 + pick(3)};
    for (size_t i = 0; i < s->applied_for.count; i++)
        list[i] = str_from(applied[(start + i) % 3]);
    s->description = ONE_OF(NULL, "", "d", "\"\\\xc3\xa4");
    s->image_tag_mutability = ONE_OF(NULL, "MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION");
    if (str_ends_with(s->image_tag_mutability, STR("_EXCLUSION"))) {
        struct api_exclusion_filter *f = arena_new_array(a, struct api_exclusion_filter, 2);
        f[0] = (struct api_exclusion_filter){ONE_OF("x*", "latest"), STR("WILDCARD")};
        f[1] = (struct api_exclusion_filter){ONE_OF("y*", "dev"), STR("WILDCARD")};
        s->exclusion_filters = (struct schema_list){f, 1 + pick(2)};
    }
    s->custom_role_arn = ONE_OF(NULL, "arn:aws:iam::123456789012:role/r");
    s->encryption.has = pick(2) == 0;
    if (s->encryption.has)
        s->encryption.type =
            str_is_null(s->custom_role_arn) ? STR("AES256") : ONE_OF("AES256", "KMS", "KMS_DSSE");
    if (s->encryption.has && !str_eq(s->encryption.type, STR("AES256")))
        s->encryption.kms_key = ONE_OF(NULL, "arn:aws:kms:eu-west-1:123456789012:key/k");
    s->lifecycle_policy = ONE_OF(
        NULL, "",
        "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":"
        "\"imageCountMoreThan\",\"countNumber\":5},\"action\":{\"type\":\"expire\"}}]}",
        "{\"rules\": [{\"selection\":{\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\","
        "\"countNumber\":5},\"rulePriority\":1,\"action\":{\"type\":\"expire\"}}]}");
    s->repository_policy = ONE_OF(
        NULL, "{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"ecr:*\"}}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":[\"ecr:*\"]}]}");
    struct api_tag *tags = arena_new_array(a, struct api_tag, 3);
    start = pick(3);
    s->resource_tags = (struct schema_list){tags, str_is_null(s->custom_role_arn) ? 0 : pick(4)};
    for (size_t i = 0; i < s->resource_tags.count; i++)
        tags[i] = (struct api_tag){str_from(keys[(start + i) % 3]), ONE_OF("", "v", "w")};
    if (pick(3) == 0 && s->resource_tags.count == 0)
        s->resource_tags.items = NULL;
    s->registry_ref_name = ONE_OF(NULL, "default", "x");
    s->adoption_policy = ONE_OF(NULL, "IfEqual", "Always");
    s->deletion_policy = ONE_OF(NULL, "Delete");
}

static size_t differences(const struct api_template_spec *x, const struct api_template_spec *y,
                          struct arena *a)
{
    struct schema_diff d;
    api_template_diff(x, y, a, &d);
    assert_int_equal(schema_equal(api_template_schema(), x, y), d.count == 0);
    return d.count;
}

static void decode_create(const struct buf *body, struct arena *a, struct api_template_spec *ret)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_parse(buf_str(body), 1 << 20, &doc, &e) ||
        !api_template_decode_create(json_root(doc), a, ret, &e))
        fail_msg("%s", e.msg);
}

/* A request's body as a reply of AWS, which adds the date. */
static void back_from_aws(struct buf *body, struct arena *a, struct api_template_observed *ret)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct buf reply BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    struct err e = ERR_INIT;
    struct str text = buf_str(body);
    buf_printf(&reply, "%.*s,\"createdAt\":1700000000}", STR_ARG(str_n(text.ptr, text.len - 1)));
    if (!json_parse(buf_str(&reply), reply.max, &doc, &e) ||
        !api_template_from_aws(json_root(doc), a, ret, &e))
        fail_msg("%s: %s", buf_cstr(&reply), e.msg);
}

/* UpdateRepositoryCreationTemplate as AWS documents it: members that are sent replace what was
 * there, others stay; a mutability without exclusion has no filters. */
static void patch(struct buf *before, struct buf *update, struct buf *after)
{
    struct json_doc *old BERTH_CLEANUP(json_doc_freep) = NULL;
    struct json_doc *sent BERTH_CLEANUP(json_doc_freep) = NULL;
    struct json_writer w = json_writer_to(after);
    struct err e = ERR_INIT;
    assert_true(json_parse(buf_str(before), before->max, &old, &e));
    assert_true(json_parse(buf_str(update), update->max, &sent, &e));
    struct str mutability = json_str_or_null(json_get(json_root(sent), "imageTagMutability"));
    bool has_filters = str_ends_with(mutability, STR("_EXCLUSION"));
    json_begin_object(&w);
    for (const struct json *it = json_first(json_root(sent)); it != NULL; it = json_next(it))
        json_put_value(&w, json_key(it).ptr, it);
    for (const struct json *it = json_first(json_root(old)); it != NULL; it = json_next(it)) {
        bool is_filters = str_eq(json_key(it), STR("imageTagMutabilityExclusionFilters"));
        if (json_get_str(json_root(sent), json_key(it)) == NULL && (has_filters || !is_filters))
            json_put_value(&w, json_key(it).ptr, it);
    }
    json_end(&w);
    assert_true(json_write_ok(&w));
}

static void laws_hold(void **state)
{
    (void)state;
    size_t equal = 0;
    for (int n = 0; n < ROUNDS; n++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf create BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
        struct buf before BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
        struct buf update BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
        struct buf after BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
        struct api_template_spec x;
        struct api_template_spec y;
        struct api_template_spec z;
        struct api_template_observed o;
        make(&a, &x);
        make(&a, &y);
        if (pick(4) == 0) { /* some pairs are near each other, or equal */
            y = x;
            y.description = ONE_OF(NULL, "", "d");
        }
        assert_int_equal(differences(&x, &x, &a), 0);
        assert_int_equal(differences(&x, &y, &a) == 0, differences(&y, &x, &a) == 0);
        equal += differences(&x, &y, &a) == 0;
        /* what is sent is what is there: by Create, and by Update on whatever was there */
        assert_true(api_template_encode_create(&x, &create));
        back_from_aws(&create, &a, &o);
        assert_int_equal(differences(&x, &o.spec, &a), 0);
        decode_create(&create, &a, &z);
        assert_int_equal(differences(&x, &z, &a), 0);
        assert_true(api_template_encode_update(&x, STR_NULL, &update));
        assert_true(api_template_encode_create(&y, &before));
        patch(&before, &update, &after);
        back_from_aws(&after, &a, &o);
        assert_int_equal(differences(&x, &o.spec, &a), 0);
    }
    assert_true(equal > 50 && equal < ROUNDS / 2); /* both outcomes were tried */
}

static void resource_and_back(void **state)
{
    (void)state;
    for (int n = 0; n < ROUNDS; n++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf texts[2] = {BUF_INIT(1 << 16), BUF_INIT(1 << 16)};
        struct api_template_spec s;
        make(&a, &s);
        for (int i = 0; i < 2; i++) {
            struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
            struct json_writer w = json_writer_to(&texts[i]);
            struct err e = ERR_INIT;
            json_begin_object(&w);
            schema_encode_cr(api_template_schema(), &s, &w);
            json_end(&w);
            assert_true(json_write_ok(&w));
            if (!json_parse(buf_str(&texts[i]), 1 << 16, &doc, &e) ||
                !api_template_decode(json_root(doc), &a, &s, &e))
                fail_msg("%s: %s", buf_cstr(&texts[i]), e.msg);
        }
        assert_string_equal(buf_cstr(&texts[0]), buf_cstr(&texts[1]));
        buf_fini(&texts[0]);
        buf_fini(&texts[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_hold),
        cmocka_unit_test(resource_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
