// SPDX-License-Identifier: Apache-2.0
/*
 * RegistrySettings, and the status of both kinds.
 */
#include "api/api.h"
#include "json/json.h"
#include "json/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct json_doc *parse(const char *text)
{
    struct json_doc *doc = NULL;
    struct err e = ERR_INIT;
    if (!json_parse(str_from(text), 1 << 20, &doc, &e))
        fail_msg("%s: %s", text, e.msg);
    return doc;
}

static bool decode(const char *text, struct arena *a, struct api_settings_spec *ret, struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(text);
    return api_settings_decode(json_root(doc), a, ret, e);
}

#define R "\"region\":\"eu-west-1\""

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *input, *want; /* beginning of the message; NULL: taken */
    } cases[] = {
        {"{" R "}", NULL},
        {"{}", "spec.region: must be given"},
        {"{\"region\":\"eu-west\"}", "spec.region: must be the name of an AWS region"},
        {"{" R ",\"accountID\":\"1\"}", "spec.accountID: must have at least 12 characters"},
        {"{" R ",\"endpoint\":\"http://ecr.example\"}",
         "spec.endpoint: endpoint must begin with https://"},
        {"{" R ",\"endpoint\":\"http://ecr.example\",\"allowInsecureEndpoint\":false}",
         "spec.endpoint: endpoint must begin with https://"},
        {"{" R ",\"endpoint\":\"http://ecr.example\",\"allowInsecureEndpoint\":true}", NULL},
        {"{" R ",\"endpoint\":\"http://127.0.0.1:5000\"}", NULL},
        {"{" R ",\"endpoint\":\"http://127.0.0.1.example\"}",
         "spec.endpoint: endpoint must begin with https://"},
        {"{" R ",\"registryHosts\":[\"a.example:5000\",\"localhost:5000\"]}", NULL},
        {"{" R ",\"registryHosts\":[\"https://a.example\"]}",
         "spec.registryHosts[0]: must be a host or host:port"},
        {"{" R ",\"registryHosts\":[\"a.example\",\"a.example\"]}",
         "spec.registryHosts: must not have \"a.example\" twice"},
        {"{" R ",\"accountSettings\":{\"blobMounting\":\"on\"}}",
         "spec.accountSettings.blobMounting: must be one of ENABLED, DISABLED"},
        {"{" R ",\"accountSettings\":{\"registryPolicyScope\":\"V1\"}}",
         "spec.accountSettings.registryPolicyScope: must be V2, not \"V1\""},
        {"{" R ",\"driftInterval\":\"5s\"}", "spec.driftInterval: must be between 10s and 24h"},
        {"{" R ",\"requestsPerSecond\":0}", "spec.requestsPerSecond: must be between 1 and 1000"},
        {"{" R ",\"deletionPolicy\":\"Delete\"}", "spec.deletionPolicy: must be Retain"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct api_settings_spec s;
        struct err e = ERR_INIT;
        bool ok = decode(cases[i].input, &a, &s, &e);
        if (ok != (cases[i].want == NULL))
            fail_msg("%s: %s", cases[i].input, ok ? "taken" : e.msg);
        if (!ok && !str_starts_with(str_from(e.msg), str_from(cases[i].want)))
            fail_msg("%s: %s", cases[i].input, e.msg);
    }
}

static void knows_what_holds(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct api_settings_spec s;
    assert_true(decode("{" R "}", &a, &s, &e));
    assert_int_equal(api_settings_drift_interval_ms(&s), 60000);
    assert_int_equal(api_settings_repository_scan_interval_ms(&s), 300000);
    assert_int_equal(api_settings_requests_per_second(&s), 10);
    assert_false(s.account_settings.has);
    assert_true(decode("{" R ",\"driftInterval\":\"10s\",\"repositoryScanInterval\":\"1h\","
                       "\"requestsPerSecond\":1000}",
                       &a, &s, &e));
    assert_int_equal(api_settings_drift_interval_ms(&s), 10000);
    assert_int_equal(api_settings_repository_scan_interval_ms(&s), 3600000);
    assert_int_equal(api_settings_requests_per_second(&s), 1000);
}

static void account_settings_by_number(void **state)
{
    (void)state;
    static const char *const want[API_ACCOUNT_SETTINGS][2] = {
        {"BLOB_MOUNTING", "blobMounting"},
        {"BASIC_SCAN_TYPE_VERSION", "basicScanTypeVersion"},
        {"REGISTRY_POLICY_SCOPE", "registryPolicyScope"},
    };
    struct api_account_settings s = {0};
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        assert_string_equal(api_account_setting_aws_name(i), want[i][0]);
        assert_string_equal(api_account_setting_field(i), want[i][1]);
        assert_null(api_account_setting_get(&s, i).ptr);
        api_account_setting_set(&s, i, str_from(want[i][1]));
    }
    assert_true(s.has);
    assert_string_equal(s.blob_mounting.ptr, "blobMounting");
    assert_string_equal(s.registry_policy_scope.ptr, "registryPolicyScope");
    assert_string_equal(api_account_setting_get(&s, 1).ptr, "basicScanTypeVersion");
}

static const char template_status[] =
    "{\"observedGeneration\":3,\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\","
    "\"reason\":\"DriftDetected\",\"message\":\"differs\",\"observedGeneration\":3,"
    "\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}],\"lastHandledReconcileAt\":\"now\","
    "\"registryID\":\"123456789012\",\"ownership\":{\"origin\":\"Created\",\"since\":"
    "\"2026-01-02T03:04:05Z\",\"createdAt\":\"2026-01-02T03:04:05.678000Z\"},\"updatedAt\":"
    "\"2026-01-02T03:04:06Z\",\"drift\":[{\"field\":\"description\",\"observed\":\"x\"}],"
    "\"repositories\":0}";

static void keeps_the_status_of_templates(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(template_status);
    struct json_writer w = json_writer_to(&out);
    struct err e = ERR_INIT;
    struct api_template_status s;
    if (!api_template_status_decode(json_root(doc), &a, &s, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(s.observed_generation.value, 3);
    assert_true(s.ownership.has);
    assert_int_equal(s.ownership.created_at.value, 1767323045678);
    struct api_condition *ready = api_condition_find(&s.conditions, API_CONDITION_READY);
    assert_string_equal(ready->reason.ptr, API_REASON_DRIFT_DETECTED);
    assert_null(api_condition_find(&s.conditions, API_CONDITION_STALLED));
    json_begin_object(&w);
    api_template_status_encode(&s, &w);
    json_end(&w);
    assert_true(json_write_ok(&w));
    assert_string_equal(buf_cstr(&out), template_status);
}

static const char settings_status[] =
    "{\"observedGeneration\":1,\"conditions\":[],\"registryID\":\"123456789012\",\"region\":"
    "\"eu-west-1\",\"registryHosts\":[\"a.example\"],\"accountSettings\":{\"blobMounting\":"
    "\"ENABLED\",\"registryPolicyScope\":\"V1\"},\"templates\":{\"managed\":2,\"unmanaged\":["
    "\"old\"]},\"repositories\":7,\"blobMounting\":[{\"encryptionType\":\"AES256\","
    "\"repositories\":5},{\"encryptionType\":\"KMS\",\"kmsKey\":\"k\",\"repositories\":2}]}";

static void keeps_the_status_of_settings(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(settings_status);
    struct json_writer w = json_writer_to(&out);
    struct err e = ERR_INIT;
    struct api_settings_status s;
    if (!api_settings_status_decode(json_root(doc), &a, &s, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(s.templates.managed.value, 2);
    assert_int_equal(s.blob_mounting.count, 2);
    json_begin_object(&w);
    api_settings_status_encode(&s, &w);
    json_end(&w);
    assert_string_equal(buf_cstr(&out), settings_status);
}

static void takes_the_first_status(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct api_template_status t;
    struct api_settings_status s;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse("{\"observedGeneration\":-1}");
    assert_true(api_template_status_decode(json_root(doc), &a, &t, &e));
    assert_int_equal(t.observed_generation.value, -1);
    assert_false(t.ownership.has);
    assert_true(api_settings_status_decode(NULL, &a, &s, &e));
    assert_false(s.observed_generation.has);
}

static void drift_is_bounded(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct schema_difference many[API_DRIFT_MAX + 5];
    struct schema_diff d = {many, ARRAY_SIZE(many)};
    char name[400];
    memset(name, 'n', sizeof(name));
    for (size_t i = 0; i < d.count; i++)
        many[i] = (struct schema_difference){str_n(name, sizeof(name)), STR("a"), STR_NULL};
    struct schema_list l = api_drift_from_diff(&d, &a);
    assert_int_equal(l.count, API_DRIFT_MAX);
    assert_int_equal(((struct api_drift *)l.items)[0].field.len, 256);
    assert_null(((struct api_drift *)l.items)[0].observed.ptr);
    assert_null(api_drift_from_diff(&(struct schema_diff){0}, &a).items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(knows_what_holds),
        cmocka_unit_test(account_settings_by_number),
        cmocka_unit_test(keeps_the_status_of_templates),
        cmocka_unit_test(keeps_the_status_of_settings),
        cmocka_unit_test(takes_the_first_status),
        cmocka_unit_test(drift_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
