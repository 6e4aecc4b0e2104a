// SPDX-License-Identifier: Apache-2.0
/*
 * Operations of the client against a scripted server: what is sent, what comes of the answers.
 */
#include "base/metrics.h"
#include "crypto/crypto.h"
#include "fake_http.h"
#include "json/json.h"
#include "kube/apply.h"
#include "kube/client.h"
#include "kube/config.h"
#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct kube_resource THINGS = {"test.dev", "v1", "things", "Thing", false};
static const struct kube_resource MAPS = {"", "v1", "configmaps", "ConfigMap", true};

#define OBJECT(UID, RV, FINALIZERS)                                                                \
    "{\"apiVersion\":\"test.dev/"                                                                  \
    "v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"a\",\"uid\":\"" UID                          \
    "\",\"resourceVersion\":\"" RV "\",\"finalizers\":[" FINALIZERS "]}}"
#define STATUS(CODE, REASON)                                                                       \
    "{\"kind\":\"Status\",\"reason\":\"" REASON "\",\"message\":\"m\",\"code\":" CODE "}"

struct fixture {
    struct fake_http http;
    struct kube_config config;
    struct metrics *metrics;
    struct kube_client *client;
};

static void start(struct fixture *f, const struct fake_line *script, size_t count)
{
    struct err e = ERR_INIT;
    fake_http_init(&f->http, script, count);
    f->config.server = STR("https://api:6443");
    f->metrics = metrics_new();
    struct kube_client_options o = {
        .config = &f->config, .user_agent = "test", .metrics = f->metrics, .http = &f->http.client};
    assert_true(kube_client_new(&o, &f->client, &e));
}
#define START(F, ...)                                                                              \
    static const struct fake_line SCRIPT[] = {__VA_ARGS__};                                        \
    start((F), SCRIPT, ARRAY_SIZE(SCRIPT))

static void finish(struct fixture *f)
{
    kube_client_free(f->client);
    fake_http_check(&f->http);
    fake_http_fini(&f->http);
    metrics_free(f->metrics);
}

static struct kube_object *object(const char *text)
{
    struct kube_object *o = NULL;
    struct err e = ERR_INIT;
    assert_true(kube_object_parse(str_from(text), &o, &e));
    return o;
}

static void requests_say_what_is_meant(void **state)
{
    (void)state;
    struct fixture f = {.config.token = secret_new(STR("t"))};
    struct http_header as = {STR("Impersonate-User"), STR("jane")};
    f.config.headers = &as;
    f.config.header_count = 1;
    START(&f, {"GET", "https://api:6443/apis/test.dev/v1/things/a", 200, OBJECT("u", "1", "")},
          {"POST", "/api/v1/namespaces/ns/configmaps?fieldManager=m", 201, OBJECT("u", "1", "")},
          {"PATCH", "/things/a/status?fieldManager=m&force=true&dryRun=All", 200, "{}"},
          {"PATCH", "/things/a", 200, "{}"}, {"PATCH", "/things/a", 200, "{}"},
          {"DELETE", "/things/a", 200, "{}"}, {"DELETE", "/things/a", 202, "{}"});
    struct err e = ERR_INIT;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = NULL;
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", &o, &e), KUBE_OK);
    assert_string_equal(kube_object_uid(o).ptr, "u");
    assert_int_equal(kube_create(f.client, &MAPS, "ns", "m", STR("{\"x\":1}"), NULL, &e), KUBE_OK);
    struct kube_patch p = {.resource = &THINGS,
                           .name = "a",
                           .subresource = "status",
                           .type = KUBE_PATCH_APPLY,
                           .field_manager = "m",
                           .is_force = true,
                           .is_dry_run = true,
                           .body = STR("{}")};
    assert_int_equal(kube_patch(f.client, &p, NULL, &e), KUBE_OK);
    p = (struct kube_patch){
        .resource = &THINGS, .name = "a", .type = KUBE_PATCH_MERGE, .body = STR("{}")};
    assert_int_equal(kube_patch(f.client, &p, NULL, &e), KUBE_OK);
    p.type = KUBE_PATCH_JSON;
    assert_int_equal(kube_patch(f.client, &p, NULL, &e), KUBE_OK);
    assert_int_equal(kube_delete(f.client, &THINGS, NULL, "a", STR("u"), &e), KUBE_OK);
    assert_int_equal(kube_delete(f.client, &THINGS, NULL, "a", STR_NULL, &e), KUBE_OK);
    static const char *const TYPES[] = {NULL,
                                        "application/json",
                                        "application/apply-patch+yaml",
                                        "application/merge-patch+json",
                                        "application/json-patch+json",
                                        "application/json",
                                        "application/json"};
    for (size_t i = 0; i < ARRAY_SIZE(TYPES); i++) {
        assert_string_equal(f.http.asked[i].authorization, "Bearer t");
        if (TYPES[i])
            assert_string_equal(f.http.asked[i].content_type, TYPES[i]);
        else
            assert_null(f.http.asked[i].content_type);
        assert_int_equal(f.http.asked[i].timeout_ms, KUBE_TIMEOUT_MS);
    }
    assert_string_equal(f.http.asked[1].body, "{\"x\":1}");
    assert_string_equal(f.http.asked[3].url, "https://api:6443/apis/test.dev/v1/things/a");
    assert_string_equal(
        f.http.asked[5].body,
        "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":{\"uid\":\"u\"}}");
    assert_string_equal(f.http.asked[6].body, "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}");
    finish(&f);
    secret_free(f.config.token);
}

static void outcomes_are_results(void **state)
{
    (void)state;
    struct fixture f = {.config.is_insecure = false};
    START(&f, {"GET", "/a", 404, STATUS("404", "NotFound")},
          {"POST", "/things", 409, STATUS("409", "AlreadyExists")},
          {"DELETE", "/a", 409, STATUS("409", "Conflict")},
          {"GET", "/a", 403, STATUS("403", "Forbidden")}, {"GET", "/a", 429, "", FAKE_ENDS, "5"},
          {"GET", "/a", 0}, {"GET", "/a", 200, "[]"});
    struct err e = ERR_INIT;
    struct kube_object *o = NULL;
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", &o, &e), KUBE_NOT_FOUND);
    assert_int_equal(kube_create(f.client, &THINGS, NULL, NULL, STR("{}"), &o, &e), KUBE_EXISTS);
    assert_int_equal(kube_delete(f.client, &THINGS, NULL, "a", STR("u"), &e), KUBE_CONFLICT);
    assert_false(err_is_set(&e));
    static const struct {
        enum err_class cls;
        const char *reason;
        uint32_t retry_after_ms;
    } WANT[] = {{ERR_DENIED, "Forbidden", 0},
                {ERR_THROTTLED, "", 5000},
                {ERR_RETRY, "ConnectFailed", 0},
                {ERR_INVALID, "NoName", 0}};
    for (size_t i = 0; i < ARRAY_SIZE(WANT); i++) {
        err_clear(&e);
        assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", &o, &e), KUBE_FAILED);
        assert_int_equal(e.cls, WANT[i].cls);
        assert_string_equal(e.reason, WANT[i].reason);
        assert_int_equal(e.retry_after_ms, WANT[i].retry_after_ms);
        assert_non_null(strstr(e.msg, "get things a: "));
        assert_null(o);
    }
    finish(&f);
}

static void bad_names_are_not_sent(void **state)
{
    (void)state;
    struct fixture f = {.config.is_insecure = false};
    struct err e = ERR_INIT;
    fake_http_init(&f.http, NULL, 0);
    start(&f, NULL, 0);
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "..", NULL, &e), KUBE_FAILED);
    assert_int_equal(e.cls, ERR_INVALID);
    err_clear(&e);
    assert_int_equal(kube_get(f.client, &THINGS, NULL, NULL, NULL, &e), KUBE_FAILED);
    err_clear(&e);
    kube_client_stop(f.client);
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", NULL, &e), KUBE_FAILED);
    assert_int_equal(e.cls, ERR_CANCELLED);
    assert_int_equal(f.http.asked_count, 0);
    finish(&f);
}

static void refused_tokens_are_read_again_once(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    struct fixture f = {.config.token_file = str_from(temp_write(&d, "token", "one"))};
    START(&f, {"GET", "/a", 401, ""}, {"GET", "/a", 200, OBJECT("u", "1", "")},
          {"GET", "/a", 401, ""}, {"GET", "/a", 401, STATUS("401", "Unauthorized")});
    struct err e = ERR_INIT;
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", NULL, &e), KUBE_OK);
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", NULL, &e), KUBE_FAILED);
    assert_int_equal(e.cls, ERR_CREDENTIALS);
    assert_string_equal(e.reason, "Unauthorized");
    finish(&f);
    temp_dir_fini(&d);
}

static void fixed_tokens_are_not_tried_twice(void **state)
{
    (void)state;
    struct fixture f = {.config.token = secret_new(STR("t"))};
    START(&f, {"GET", "/a", 401, ""});
    struct err e = ERR_INIT;
    assert_int_equal(kube_get(f.client, &THINGS, NULL, "a", NULL, &e), KUBE_FAILED);
    assert_int_equal(e.cls, ERR_CREDENTIALS);
    finish(&f);
    secret_free(f.config.token);
}

static void requests_are_counted(void **state)
{
    (void)state;
    struct fixture f = {.config.is_insecure = false};
    START(&f, {"GET", "/a", 404, ""}, {"GET", "/a", 404, ""}, {"GET", "/a", 0});
    for (int i = 0; i < 3; i++) {
        struct err e = ERR_INIT;
        (void)!kube_get(f.client, &THINGS, NULL, "a", NULL, &e);
    }
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    metrics_render(f.metrics, &text);
    assert_non_null(strstr(buf_cstr(&text),
                           "rest_client_requests_total{code=\"404\",method=\"GET\","
                           "host=\"api:6443\"} 2"));
    assert_non_null(
        strstr(buf_cstr(&text), "{code=\"<error>\",method=\"GET\",host=\"api:6443\"} 1"));
    finish(&f);
}

static void pages_are_read(void **state)
{
    (void)state;
    struct fixture f = {.config.is_insecure = false};
    START(&f,
          {"GET", "/configmaps?limit=2&labelSelector=a%3Db&fieldSelector=metadata.name%3Dx", 200,
           "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
           "\"9\",\"continue\":\"tok/en\"},\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\""
           ":{\"name\":\"b\"},\"data\":{\"x\":\"\\u0000\"}},{\"metadata\":{}}]}"},
          {"GET", "?limit=2&continue=tok%2Fen", 200,
           "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[]}"},
          {"GET", "/configmaps", 404, "404 page not found"},
          {"GET", "/configmaps", 410, STATUS("410", "Expired")},
          {"GET", "/configmaps", 200, "{\"metadata\":{}}"});
    struct err e = ERR_INIT;
    struct kube_page page;
    struct kube_list_options o = {.resource = &MAPS,
                                  .limit = 2,
                                  .label_selector = STR("a=b"),
                                  .field_selector = STR("metadata.name=x")};
    assert_int_equal(kube_list_page(f.client, &o, &page, &e), KUBE_OK);
    assert_int_equal(page.objects.count, 2);
    assert_int_equal(page.unnamed, 1);
    assert_string_equal(kube_object_kind(page.objects.items[0]).ptr, "ConfigMap");
    assert_string_equal(kube_object_api_version(page.objects.items[0]).ptr, "v1");
    assert_non_null(kube_object_undecodable(page.objects.items[1]));
    assert_string_equal(page.resource_version, "9");
    o = (struct kube_list_options){
        .resource = &MAPS, .limit = 2, .continue_token = str_from(page.continue_token)};
    struct kube_page next;
    assert_int_equal(kube_list_page(f.client, &o, &next, &e), KUBE_OK);
    assert_string_equal(next.continue_token, "");
    assert_int_equal(next.objects.count, 0);
    kube_page_fini(&next);
    assert_int_equal(kube_list_page(f.client, &o, &next, &e), KUBE_NOT_FOUND);
    assert_int_equal(kube_list_page(f.client, &o, &next, &e), KUBE_FAILED);
    assert_int_equal(e.cls, ERR_GONE);
    err_clear(&e);
    assert_int_equal(kube_list_page(f.client, &o, &next, &e), KUBE_FAILED);
    assert_string_equal(e.reason, "NoList");
    kube_page_fini(&page);
    finish(&f);
}

static void status_is_applied_to_the_same_object(void **state)
{
    (void)state;
    struct fixture f = {.config.is_insecure = false};
    START(
        &f, {"PATCH", "/things/a/status?fieldManager=m&force=true", 409, STATUS("409", "Conflict")},
        {"GET", "/things/a", 200, OBJECT("u", "2", "")},
        {"PATCH", "/things/a/status?fieldManager=m&force=true", 200, OBJECT("u", "3", "")},
        /* another object under the name: not touched */
        {"PATCH", "/things/a/status", 409, STATUS("409", "Conflict")},
        {"GET", "/things/a", 200, OBJECT("other", "5", "")},
        {"PATCH", "/things/a/status", 409, STATUS("409", "Conflict")},
        {"GET", "/things/a", 404, ""},
        /* a status that the caller has not seen: decided from an older one, it is not applied */
        {"PATCH", "/things/a/status", 409, STATUS("409", "Conflict")},
        {"GET", "/things/a", 200,
         "{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"a\",\"uid\":"
         "\"u\",\"resourceVersion\":\"6\"},\"status\":{\"x\":2}}"});
    struct err e = ERR_INIT;
    struct kube_object *obj BERTH_CLEANUP(kube_object_unrefp) = object(OBJECT("u", "1", ""));
    struct kube_object *now BERTH_CLEANUP(kube_object_unrefp) = NULL;
    struct str status = STR("{\"x\":1}");
    assert_int_equal(kube_apply_status(f.client, &THINGS, obj, "m", status, &now, &e), KUBE_OK);
    assert_string_equal(kube_object_resource_version(now).ptr, "3");
    assert_string_equal(f.http.asked[0].body,
                        "{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":"
                        "\"a\",\"uid\":\"u\",\"resourceVersion\":\"1\"},\"status\":{\"x\":1}}");
    assert_non_null(strstr(f.http.asked[2].body, "\"uid\":\"u\",\"resourceVersion\":\"2\""));
    assert_int_equal(kube_apply_status(f.client, &THINGS, obj, "m", status, NULL, &e),
                     KUBE_CONFLICT);
    assert_int_equal(kube_apply_status(f.client, &THINGS, obj, "m", status, NULL, &e),
                     KUBE_NOT_FOUND);
    assert_int_equal(kube_apply_status(f.client, &THINGS, obj, "m", status, NULL, &e),
                     KUBE_CONFLICT);
    finish(&f);
}

static void finalizers_of_others_stay(void **state)
{
    (void)state;
    struct fixture f = {.config.is_insecure = false};
    START(&f, {"PATCH", "/things/a", 200, OBJECT("u", "2", "\"x/y\",\"f\"")},
          {"PATCH", "/things/a", 200, OBJECT("u", "3", "\"x/y\"")},
          {"PATCH", "/things/a", 409, STATUS("409", "Conflict")});
    struct err e = ERR_INIT;
    struct kube_object *a BERTH_CLEANUP(kube_object_unrefp) = object(OBJECT("u", "1", "\"x/y\""));
    struct kube_object *b BERTH_CLEANUP(kube_object_unrefp) = NULL;
    struct kube_object *c BERTH_CLEANUP(kube_object_unrefp) = NULL;
    struct kube_object *d BERTH_CLEANUP(kube_object_unrefp) = NULL;
    assert_int_equal(kube_change_finalizer(f.client, &THINGS, a, "f", true, &b, &e), KUBE_OK);
    assert_int_equal(kube_change_finalizer(f.client, &THINGS, b, "f", true, &c, &e), KUBE_OK);
    assert_ptr_equal(b, c); /* nothing to be done, nothing sent */
    assert_int_equal(kube_change_finalizer(f.client, &THINGS, b, "f", false, &d, &e), KUBE_OK);
    assert_int_equal(kube_change_finalizer(f.client, &THINGS, a, "f", true, NULL, &e),
                     KUBE_CONFLICT);
    assert_string_equal(f.http.asked[0].content_type, "application/merge-patch+json");
    assert_string_equal(f.http.asked[0].body,
                        "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"1\",\"finalizers\":["
                        "\"x/y\",\"f\"]}}");
    assert_string_equal(
        f.http.asked[1].body,
        "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"2\",\"finalizers\":[\"x/y\"]}}");
    finish(&f);
}

static void bad_certificates_are_found_at_once(void **state)
{
    (void)state;
    struct kube_config config = {
        .server = STR("https://api"), .source = STR("here"), .ca_pem = STR("no certificate")};
    struct kube_client_options o = {.config = &config, .user_agent = "test"};
    struct kube_client *c = NULL;
    struct err e = ERR_INIT;
    assert_false(kube_client_new(&o, &c, &e));
    assert_null(c);
    assert_int_equal(e.cls, ERR_INVALID);
    assert_non_null(strstr(e.msg, "https://api (here)"));
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_say_what_is_meant),
        cmocka_unit_test(outcomes_are_results),
        cmocka_unit_test(bad_names_are_not_sent),
        cmocka_unit_test(refused_tokens_are_read_again_once),
        cmocka_unit_test(fixed_tokens_are_not_tried_twice),
        cmocka_unit_test(requests_are_counted),
        cmocka_unit_test(pages_are_read),
        cmocka_unit_test(status_is_applied_to_the_same_object),
        cmocka_unit_test(finalizers_of_others_stay),
        cmocka_unit_test(bad_certificates_are_found_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
