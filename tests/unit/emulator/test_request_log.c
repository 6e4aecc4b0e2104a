// SPDX-License-Identifier: Apache-2.0
/*
 * The request log: what an entry says, and that the oldest go when there are too many or too much.
 */
#include "base/mem.h"
#include "json/json.h"
#include "request_log_priv.h"
#include "server_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PRINTED_MAX = 256 * 1024 * 1024 };

static struct emu_request request(void)
{
    return (struct emu_request){.method = STR("PUT"),
                                .path = STR("/v2/\"x\""),
                                .id = "id",
                                .started_unix_ms = 1700000000123,
                                .has_replied = true,
                                .status = 201,
                                .log = {.api = STR("v2")}};
}

static struct json_doc *entries(struct emu_request_log *l, uint64_t after)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(PRINTED_MAX);
    struct json_doc *doc = NULL;
    struct err e = ERR_INIT;

    emu_request_log_print(l, after, &out);
    assert_true(json_parse(buf_str(&out), PRINTED_MAX, &doc, &e));
    return doc;
}

static void test_entry(void **state)
{
    struct emu_request_log *l = emu_request_log_new();
    struct emu_request r = request();
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    const struct json *entry = NULL;

    (void)state;
    emu_request_log_add(l, &r);
    r.log = (struct emu_log_fields){STR("ecr"), STR("Op"),  STR("{\"a\":1}"),
                                    STR("E"),   STR("AKI"), STR("agent\xff")};
    r.has_replied = false;
    emu_request_log_add(l, &r);
    doc = entries(l, 0);
    entry = json_first(json_root(doc));
    assert_true(str_eq(json_str_or_null(json_get(entry, "operation")), STR("PUT /v2/\"x\"")));
    assert_true(
        str_eq(json_str_or_null(json_get(entry, "time")), STR("2023-11-14T22:13:20.123000Z")));
    assert_int_equal(json_i64_or(json_get(entry, "status"), -1), 201);
    assert_null(json_get(entry, "body"));
    assert_null(json_get(entry, "error"));
    entry = json_next(entry);
    assert_int_equal(json_i64_or(json_get(entry, "seq"), -1), 2);
    assert_true(str_eq(json_str_or_null(json_get(entry, "operation")), STR("Op")));
    assert_int_equal(json_i64_or(json_path(entry, "body.a"), -1), 1);
    assert_true(str_eq(json_str_or_null(json_get(entry, "accessKeyId")), STR("AKI")));
    assert_true(str_eq(json_str_or_null(json_get(entry, "error")), STR("E")));
    /* the connection broke before there was an answer */
    assert_int_equal(json_i64_or(json_get(entry, "status"), -1), 0);
    emu_request_log_free(l);
}

static void test_oldest_go(void **state)
{
    struct emu_request_log *l = emu_request_log_new();
    struct emu_request r = request();
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;

    (void)state;
    for (int i = 0; i < EMU_LOG_ENTRIES_MAX + 3; i++)
        emu_request_log_add(l, &r);
    doc = entries(l, 0);
    assert_int_equal(json_count(json_root(doc)), EMU_LOG_ENTRIES_MAX);
    assert_int_equal(json_i64_or(json_get(json_first(json_root(doc)), "seq"), -1), 4);
    doc = json_doc_free(doc);
    doc = entries(l, EMU_LOG_ENTRIES_MAX + 2);
    assert_int_equal(json_count(json_root(doc)), 1);
    doc = json_doc_free(doc);
    emu_request_log_clear(l);
    emu_request_log_add(l, &r);
    doc = entries(l, 0);
    assert_int_equal(json_count(json_root(doc)), 1);
    assert_int_equal(json_i64_or(json_get(json_first(json_root(doc)), "seq"), -1),
                     EMU_LOG_ENTRIES_MAX + 4);
    emu_request_log_free(l);
}

/* Bodies at their limit: the bytes bound the log before the entries do. */
static void test_bytes_are_bounded(void **state)
{
    struct emu_request_log *l = emu_request_log_new();
    struct emu_request r = request();
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(PRINTED_MAX);
    char *body = mem_alloc(EMU_LOG_BODY_MAX + 1);
    int n = EMU_LOG_BYTES_MAX / EMU_LOG_BODY_MAX + 100;

    (void)state;
    memset(body, 'x', EMU_LOG_BODY_MAX + 1);
    body[0] = '"';
    body[EMU_LOG_BODY_MAX - 1] = '"';
    r.log.body = str_n(body, EMU_LOG_BODY_MAX);
    for (int i = 0; i < n; i++)
        emu_request_log_add(l, &r);
    emu_request_log_print(l, 0, &out);
    assert_in_range(out.len, EMU_LOG_BYTES_MAX - 2 * EMU_LOG_BODY_MAX,
                    EMU_LOG_BYTES_MAX + 64 * 1024);
    emu_request_log_clear(l);
    buf_reset(&out);
    r.log.body = str_n(body, EMU_LOG_BODY_MAX + 1);
    emu_request_log_add(l, &r);
    emu_request_log_print(l, 0, &out);
    assert_null(strstr(buf_cstr(&out), "body"));
    mem_free(body);
    emu_request_log_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_oldest_go),
        cmocka_unit_test(test_bytes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
