// SPDX-License-Identifier: Apache-2.0
/*
 * RepositoryCreationTemplate: decoding and its rules, requests, replies, differences.
 */
#include "api/api.h"
#include "json/json.h"
#include "json/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROLE "arn:aws:iam::123456789012:role/ecr-template"
#define KEY  "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
#define LIFECYCLE                                                                                  \
    "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":"          \
    "\"imageCountMoreThan\",\"countNumber\":30},\"action\":{\"type\":\"expire\"}}]}"
/* the same, written otherwise */
#define LIFECYCLE_2                                                                                \
    "{ \"rules\": [ { \"action\": {\"type\": \"expire\"}, \"rulePriority\": 1, \"selection\": {"   \
    "\"countNumber\": 30, \"countType\": \"imageCountMoreThan\", \"tagStatus\": \"any\"} } ] }"
#define POLICY                                                                                     \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"pull\",\"Effect\":\"Allow\","           \
    "\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:root\"},\"Action\":"                       \
    "[\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"]}]}"

static struct json_doc *parse(const char *text)
{
    struct json_doc *doc = NULL;
    struct err e = ERR_INIT;
    if (!json_parse(str_from(text), 1 << 20, &doc, &e))
        fail_msg("%s: %s", text, e.msg);
    return doc;
}

static bool decode(const char *text, struct arena *a, struct api_template_spec *ret, struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(text);
    return api_template_decode(json_root(doc), a, ret, e);
}

#define BASE "\"prefix\":\"team-a\",\"appliedFor\":[\"CREATE_ON_PUSH\"]"

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *input, *want; /* beginning of the message; NULL: taken */
    } cases[] = {
        {"{" BASE "}", NULL},
        {"{}", "spec.prefix: must be given"},
        {"{\"prefix\":\"team-a\"}", "spec.appliedFor: must be given"},
        {"{\"prefix\":\"Team\",\"appliedFor\":[\"CREATE_ON_PUSH\"]}",
         "spec.prefix: must be ROOT, or lower-case path segments"},
        {"{\"prefix\":\"a\",\"appliedFor\":[\"PUSH\"]}",
         "spec.appliedFor[0]: must be one of CREATE_ON_PUSH,"},
        {"{" BASE ",\"registryRef\":{\"name\":\"No\"}}",
         "spec.registryRef.name: must be the name of a RegistrySettings"},
        {"{" BASE ",\"imageTagMutability\":\"IMMUTABLE_WITH_EXCLUSION\"}",
         "spec.imageTagMutabilityExclusionFilters: imageTagMutabilityExclusionFilters must be "
         "given exactly when"},
        {"{" BASE ",\"imageTagMutabilityExclusionFilters\":[{\"filter\":\"a\",\"filterType\":"
         "\"WILDCARD\"}]}",
         "spec.imageTagMutabilityExclusionFilters: imageTagMutabilityExclusionFilters must be"},
        {"{" BASE ",\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\","
         "\"imageTagMutabilityExclusionFilters\":[{\"filter\":\"a*b*c*\",\"filterType\":"
         "\"WILDCARD\"}]}",
         "spec.imageTagMutabilityExclusionFilters[0].filter: "},
        {"{" BASE ",\"resourceTags\":[{\"key\":\"a\",\"value\":\"\"}]}",
         "spec.customRoleARN: customRoleARN must be given with resourceTags"},
        {"{" BASE ",\"resourceTags\":[]}", NULL},
        {"{" BASE ",\"resourceTags\":[{\"key\":\"Aws:a\",\"value\":\"\"}],\"customRoleARN\":\"" ROLE
         "\"}",
         "spec.resourceTags[0].key: "},
        {"{" BASE ",\"encryptionConfiguration\":{\"encryptionType\":\"KMS\"}}",
         "spec.customRoleARN: customRoleARN must be given with KMS"},
        {"{" BASE ",\"encryptionConfiguration\":{\"encryptionType\":\"AES256\"}}", NULL},
        {"{" BASE ",\"encryptionConfiguration\":{\"encryptionType\":\"AES256\",\"kmsKey\":\"" KEY
         "\"}}",
         "spec.encryptionConfiguration.kmsKey: kmsKey must be left out unless"},
        {"{" BASE ",\"lifecyclePolicy\":\"{}\"}", "spec.lifecyclePolicy: "},
        {"{" BASE ",\"lifecyclePolicy\":{\"rules\":[{\"rulePriority\":0}]}}",
         "spec.lifecyclePolicy: "},
        {"{" BASE ",\"lifecyclePolicy\":3}",
         "spec.lifecyclePolicy: must be a JSON text or an object"},
        {"{" BASE ",\"lifecyclePolicy\":" LIFECYCLE_2 "}", NULL},
        {"{" BASE ",\"repositoryPolicy\":{\"Statement\":[]}}", "spec.repositoryPolicy: "},
        {"{" BASE ",\"repositoryPolicy\":" POLICY "}", NULL},
        {"{" BASE ",\"repositoryPolicy\":\"\"}", NULL},
        {"{" BASE ",\"customRoleARN\":\"\"}", "spec.customRoleARN: must have at least 1"},
        {"{" BASE ",\"adoptionPolicy\":\"Adopt\"}",
         "spec.adoptionPolicy: must be one of IfEqual, Always, Never, not \"Adopt\""},
        {"{" BASE ",\"deletionPolicy\":\"Orphan\"}",
         "spec.deletionPolicy: must be one of Delete, Retain, not \"Orphan\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct api_template_spec s;
        struct err e = ERR_INIT;
        bool ok = decode(cases[i].input, &a, &s, &e);
        if (ok != (cases[i].want == NULL))
            fail_msg("%s: %s", cases[i].input, ok ? "taken" : e.msg);
        if (!ok && !str_starts_with(str_from(e.msg), str_from(cases[i].want)))
            fail_msg("%s: %s", cases[i].input, e.msg);
    }
}

static void knows_what_absent_means(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct api_template_spec s;
    assert_true(decode("{" BASE "}", &a, &s, &e));
    assert_true(str_eq(api_template_registry(&s), STR("default")));
    assert_int_equal(api_template_adoption(&s), API_ADOPT_IF_EQUAL);
    assert_true(api_template_applies_to(&s, STR("CREATE_ON_PUSH")));
    assert_false(api_template_applies_to(&s, STR("REPLICATION")));
    assert_true(decode("{" BASE ",\"registryRef\":{\"name\":\"other\"},\"adoptionPolicy\":"
                       "\"Never\"}",
                       &a, &s, &e));
    assert_true(str_eq(api_template_registry(&s), STR("other")));
    assert_int_equal(api_template_adoption(&s), API_ADOPT_NEVER);
    s.adoption_policy = STR("Always");
    assert_int_equal(api_template_adoption(&s), API_ADOPT_ALWAYS);
}

static void makes_requests(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *create, *update;
    } cases[] = {
        {"{" BASE ",\"registryRef\":{\"name\":\"x\"},\"adoptionPolicy\":\"Always\","
         "\"deletionPolicy\":\"Retain\"}",
         "{" BASE "}",
         "{\"prefix\":\"team-a/\",\"appliedFor\":[\"CREATE_ON_PUSH\"],\"description\":\"\","
         "\"imageTagMutability\":\"MUTABLE\",\"encryptionConfiguration\":{\"encryptionType\":"
         "\"AES256\"},\"repositoryPolicy\":\"\",\"lifecyclePolicy\":\"\",\"resourceTags\":[],"
         "\"customRoleArn\":\"\"}"},
        {"{" BASE ",\"description\":\"d\",\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\","
         "\"imageTagMutabilityExclusionFilters\":[{\"filter\":\"a*\",\"filterType\":\"WILDCARD\"}],"
         "\"encryptionConfiguration\":{\"encryptionType\":\"KMS\",\"kmsKey\":\"" KEY "\"},"
         "\"lifecyclePolicy\":{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\","
         "\"countType\":\"imageCountMoreThan\",\"countNumber\":30},\"action\":{\"type\":\"expire\"}"
         "}]},\"resourceTags\":[{\"key\":\"k\",\"value\":\"v\"}],\"customRoleARN\":\"" ROLE "\"}",
         "{" BASE ",\"description\":\"d\",\"imageTagMutability\":\"MUTABLE_WITH_EXCLUSION\","
         "\"imageTagMutabilityExclusionFilters\":[{\"filter\":\"a*\",\"filterType\":\"WILDCARD\"}],"
         "\"encryptionConfiguration\":{\"encryptionType\":\"KMS\",\"kmsKey\":\"" KEY "\"},"
         "\"lifecyclePolicy\":\"{\\\"rules\\\":[{\\\"rulePriority\\\":1,\\\"selection\\\":{"
         "\\\"tagStatus\\\":\\\"any\\\",\\\"countType\\\":\\\"imageCountMoreThan\\\","
         "\\\"countNumber\\\":30},\\\"action\\\":{\\\"type\\\":\\\"expire\\\"}}]}\","
         "\"resourceTags\":[{\"Key\":\"k\",\"Value\":\"v\"}],\"customRoleArn\":\"" ROLE "\"}",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf create BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
        struct buf update BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
        struct err e = ERR_INIT;
        struct api_template_spec s;
        if (!decode(cases[i].spec, &a, &s, &e))
            fail_msg("%s", e.msg);
        assert_true(api_template_encode_create(&s, &create));
        assert_string_equal(buf_cstr(&create), cases[i].create);
        assert_true(api_template_encode_update(&s, STR("team-a/"), &update));
        if (cases[i].update != NULL)
            assert_string_equal(buf_cstr(&update), cases[i].update);
        struct buf small BERTH_CLEANUP(buf_fini) = BUF_INIT(10);
        assert_false(api_template_encode_create(&s, &small));
    }
}

static void reads_replies(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct api_template_observed o;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) =
        parse("{\"prefix\":\"team-a/\",\"createdAt\":1767323045.678,\"updatedAt\":1.767323046E9,"
              "\"appliedFor\":[\"CREATE_ON_PUSH\"],\"imageTagMutability\":\"MUTABLE\","
              "\"encryptionConfiguration\":{\"encryptionType\":\"AES256\"},\"resourceTags\":[],"
              "\"newMember\":{}}");
    assert_true(api_template_from_aws(json_root(doc), &a, &o, &e));
    assert_int_equal(o.created_at.value, 1767323045678);
    assert_int_equal(o.updated_at.value, 1767323046000);
    struct api_template_spec s;
    struct schema_diff d;
    assert_true(decode("{" BASE "}", &a, &s, &e));
    api_template_diff(&s, &o.spec, &a, &d);
    assert_int_equal(d.count, 0);

    struct json_doc *bad BERTH_CLEANUP(json_doc_freep) = parse("{\"description\":\"no prefix\"}");
    assert_false(api_template_from_aws(json_root(bad), &a, &o, &e));
    assert_int_equal(e.cls, ERR_RETRY);
}

static void sees_differences(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *aws, *field, *desired, *observed;
    } cases[] = {
        {"{" BASE ",\"lifecyclePolicy\":" LIFECYCLE "}",
         "{" BASE ",\"lifecyclePolicy\":" LIFECYCLE_2 "}", NULL, NULL, NULL},
        {"{" BASE "}", "{\"prefix\":\"team-a/\",\"appliedFor\":[\"CREATE_ON_PUSH\"]}", NULL, NULL,
         NULL},
        {"{" BASE "}", "{" BASE ",\"imageTagMutability\":\"IMMUTABLE\"}", "imageTagMutability",
         "MUTABLE", "IMMUTABLE"},
        {"{" BASE "}", "{" BASE ",\"lifecyclePolicy\":" LIFECYCLE "}", "lifecyclePolicy", NULL,
         LIFECYCLE},
        {"{" BASE "}", "{\"prefix\":\"team-a\",\"appliedFor\":[\"REPLICATION\"]}", "appliedFor",
         "[\"CREATE_ON_PUSH\"]", "[\"REPLICATION\"]"},
        {"{" BASE "}", "{" BASE ",\"customRoleARN\":\"" ROLE "\"}", "customRoleARN", NULL, ROLE},
        {"{" BASE ",\"customRoleARN\":\"" ROLE
         "\",\"resourceTags\":[{\"key\":\"a\",\"value\":\"1\"}"
         "]}",
         "{" BASE ",\"customRoleARN\":\"" ROLE
         "\",\"resourceTags\":[{\"key\":\"a\",\"value\":\"2\"}"
         "]}",
         "resourceTags[a]", "1", "2"},
        {"{" BASE ",\"customRoleARN\":\"" ROLE "\"}",
         "{" BASE ",\"customRoleARN\":\"" ROLE
         "\",\"encryptionConfiguration\":{\"encryptionType\":\"KMS\"}}",
         "encryptionConfiguration.encryptionType", "AES256", "KMS"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct api_template_spec x;
        struct api_template_spec y;
        struct schema_diff d;
        if (!decode(cases[i].spec, &a, &x, &e) || !decode(cases[i].aws, &a, &y, &e))
            fail_msg("case %zu: %s", i, e.msg);
        api_template_diff(&x, &y, &a, &d);
        assert_int_equal(d.count, cases[i].field != NULL);
        if (cases[i].field == NULL)
            continue;
        assert_string_equal(d.items[0].field.ptr, cases[i].field);
        assert_true(str_eq(d.items[0].desired, str_from(cases[i].desired)));
        assert_true(str_eq(d.items[0].observed, str_from(cases[i].observed)));
        struct schema_list drift = api_drift_from_diff(&d, &a);
        assert_int_equal(drift.count, 1);
    }
}

static void one_key_for_a_prefix(void **state)
{
    (void)state;
    assert_true(str_eq(api_prefix_normalise(STR("team-a/")), STR("team-a")));
    assert_true(api_prefix_equal(STR("team-a/"), STR("team-a")));
    assert_false(api_prefix_equal(STR("team-a"), STR("team-ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),          cmocka_unit_test(knows_what_absent_means),
        cmocka_unit_test(makes_requests),   cmocka_unit_test(reads_replies),
        cmocka_unit_test(sees_differences), cmocka_unit_test(one_key_for_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
