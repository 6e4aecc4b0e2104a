// SPDX-License-Identifier: Apache-2.0
/*
 * Readers of what peers send, with each of their allocations failing in turn: they say that memory
 * is out, which is to be tried again, or give the whole of it; never a part, and (AddressSanitizer
 * sees it) they lose nothing on the way. --wrap puts the two functions below before those of
 * base/mem.h.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "aws/client.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "fake_http.h"
#include "frame_priv.h"
#include "json/json.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/object.h"
#include "test_server.h"

void *__real_mem_try_alloc(size_t n);
void *__wrap_mem_try_alloc(size_t n);
void *__real_mem_try_realloc(void *p, size_t n);
void *__wrap_mem_try_realloc(void *p, size_t n);

enum { BIG = 300 * 1000, ALLOCATIONS_MAX = 1000 };

static int left; /* allocations until the one that fails; 0: none does */

static bool fails(size_t n)
{
    return n > MEM_SMALL_BYTES && left > 0 && --left == 0;
}

void *__wrap_mem_try_alloc(size_t n)
{
    return fails(n) ? NULL : __real_mem_try_alloc(n);
}

void *__wrap_mem_try_realloc(void *p, size_t n)
{
    return fails(n) ? NULL : __real_mem_try_realloc(p, n);
}

/* Runs with the first, second, … allocation failing until a run needs no more of them. A run that
 * is true has checked that it has all. Returns how many there are. */
static int each(const char *what, bool (*run)(struct err *e))
{
    for (int n = 1; n < ALLOCATIONS_MAX; n++) {
        struct err e = ERR_INIT;
        left = n;
        bool is_ok = run(&e);
        bool has_failed = left == 0;
        left = 0;
        if (!has_failed && !is_ok)
            fail_msg("%s: %s", what, e.msg);
        if (!has_failed)
            return n - 1;
        if (!is_ok && e.cls != ERR_RETRY)
            fail_msg("%s, allocation %d: %s: %s", what, n, err_class_name(e.cls), e.msg);
    }
    fail_msg("%s: there is no end", what);
    return 0;
}

/* {"k0":1.5e300,"k1":…} of about n bytes: many members, numbers that are not exact. */
static void append_object(struct buf *out, size_t n)
{
    buf_append_cstr(out, "{");
    for (int i = 0; buf_str(out).len < n; i++)
        buf_printf(out, "%s\"k%d\":1.00000000000000000001", i > 0 ? "," : "", i);
    buf_append_cstr(out, "}");
}

static bool read_json(struct err *e)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * BIG);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    int n = left;
    left = 0;
    append_object(&text, BIG);
    left = n;
    if (!json_parse(buf_str(&text), text.max, &doc, e)) {
        assert_null(doc);
        return false;
    }
    int64_t number = 0;
    assert_false(json_i64(json_get(json_root(doc), "k0"), &number));
    return true;
}

static void json(void **state)
{
    (void)state;
    assert_true(each("json", read_json) >= 3);
}

static void append_kube_object(struct buf *out, const char *name, size_t pad)
{
    buf_printf(out, "{\"metadata\":{\"name\":\"%s\",\"managedFields\":[1]},\"spec\":\"", name);
    for (size_t i = 0; i < pad; i++)
        buf_append_char(out, 'x');
    buf_append_cstr(out, "\"}");
}

static bool read_object(struct err *e)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BIG);
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = NULL;
    int n = left;
    left = 0;
    append_kube_object(&text, "a", 100 * 1000);
    left = n;
    if (!kube_object_parse(buf_str(&text), &o, e)) {
        assert_null(o);
        return false;
    }
    assert_null(kube_object_undecodable(o)); /* it is not the object's fault */
    return true;
}

static void object(void **state)
{
    (void)state;
    assert_true(each("object", read_object) >= 1);
}

static bool is_whole(void *arg, const struct frame *f)
{
    int *count = arg;
    assert_int_equal(f->type, FRAME_ADDED);
    assert_false(f->is_cut);
    assert_int_equal(f->object.len, BIG);
    ++*count;
    return true;
}

static bool read_frames(struct err *e)
{
    struct frame_decoder d BERTH_CLEANUP(kube_frame_decoder_fini) = FRAME_DECODER_INIT(4 << 20);
    char piece[1000];
    int count = 0;
    memset(piece, ' ', sizeof piece);
    for (int line = 0; line < 2; line++) {
        if (!kube_frame_decoder_feed(&d, STR("{\"type\":\"ADDED\",\"object\":{"), is_whole, &count))
            return err_set(e, d.is_out_of_memory ? ERR_RETRY : ERR_BUG, "Feed", "the head");
        for (int at = 0; at < BIG - 2; at += 999) {
            int n = BIG - 2 - at < 999 ? BIG - 2 - at : 999;
            if (!kube_frame_decoder_feed(&d, str_n(piece, (size_t)n), is_whole, &count))
                return err_set(e, d.is_out_of_memory ? ERR_RETRY : ERR_BUG, "Feed", "a piece");
        }
        if (!kube_frame_decoder_feed(&d, STR("}}\n"), is_whole, &count))
            return err_set(e, d.is_out_of_memory ? ERR_RETRY : ERR_BUG, "Feed", "the end");
    }
    assert_int_equal(count, 2);
    return true;
}

static void frames(void **state)
{
    (void)state;
    assert_true(each("frames", read_frames) >= 3);
}

static const struct kube_resource things = {
    .group = "g", .version = "v1", .plural = "things", .kind = "Thing"};

static bool read_list(struct err *e)
{
    static char body[BIG];
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BIG);
    struct fake_http http;
    struct kube_config config = {.server = STR("https://host:6443")};
    struct kube_client *client BERTH_CLEANUP(kube_client_freep) = NULL;
    struct kube_page page = KUBE_PAGE_INIT;
    int n = left;
    left = 0;
    buf_append_cstr(&text, "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[");
    append_kube_object(&text, "a", 100 * 1000);
    buf_append_cstr(&text, ",");
    append_kube_object(&text, "b", 100 * 1000);
    buf_append_cstr(&text, "]}");
    memcpy(body, text.ptr, text.len + 1);
    const struct fake_line script[] = {{"GET", "/things", 200, body}};
    fake_http_init(&http, script, 1);
    http.split = 5000;
    const struct kube_client_options o = {.config = &config, .http = &http.client};
    assert_true(kube_client_new(&o, &client, e));
    left = n;
    enum kube_result got =
        kube_list_page(client, &(struct kube_list_options){.resource = &things}, &page, e);
    if (got == KUBE_OK) {
        assert_int_equal(page.objects.count, 2);
        assert_int_equal(page.unnamed, 0);
        for (size_t i = 0; i < page.objects.count; i++)
            assert_null(kube_object_undecodable(page.objects.items[i]));
    } else if (strcmp(e->reason, "TooLarge") == 0) {
        e->cls = ERR_RETRY; /* a smaller page is asked for then */
    }
    kube_page_fini(&page);
    fake_http_fini(&http);
    return got == KUBE_OK;
}

static void list(void **state)
{
    (void)state;
    assert_true(each("list", read_list) >= 4);
}

static bool read_reply(struct err *e)
{
    static char body[2 * BIG];
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * BIG - 1);
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct aws_credentials_values v = {STR("KEY"), STR("not-a-secret"), STR_NULL, 0, "x"};
    struct aws_credentials *credentials = NULL;
    struct aws_client *client BERTH_CLEANUP(aws_client_freep) = NULL;
    struct fake_aws aws;
    int n = left;
    left = 0;
    append_object(&text, BIG);
    memcpy(body, text.ptr, text.len + 1);
    const struct fake_step steps[] = {{.status = 200, .body = body}};
    fake_aws_init(&aws, 1700000000000);
    fake_aws_script(&aws, steps, 1);
    assert_true(aws_credentials_new(&v, &credentials, e));
    struct aws_credentials_provider *provider = aws_credentials_static_new(credentials);
    const struct aws_client_options o = {.http = &aws.http,
                                         .credentials = provider,
                                         .clock = &aws.clock.clock,
                                         .region = STR("eu-west-1"),
                                         .attempts_max = 1};
    assert_true(aws_client_new(&o, &client, e));
    left = n;
    bool is_ok =
        aws_json_call(client, "X.DescribeRepositories", AWS_RATE_READ, STR("{}"), NULL, &reply, e);
    assert_true((reply.doc != NULL) == is_ok);
    client = aws_client_free(client);
    aws_credentials_provider_free(provider);
    fake_aws_fini(&aws);
    return is_ok;
}

static void reply(void **state)
{
    (void)state;
    assert_true(each("reply", read_reply) >= 3);
}

static void answer_big(struct test_server *s, struct test_conn *c)
{
    test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
    test_send_bytes(c, s->arg, BIG);
}

static struct test_server server;

static bool read_body(struct err *e)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct http_client *client BERTH_CLEANUP(http_client_freep) = NULL;
    struct http_response r;
    int n = left;
    left = 0;
    assert_true(http_client_new(&(struct http_options){.proxy_url = ""}, &client, e));
    struct http_request rq = {.method = "GET"};
    rq.url = arena_printf(&a, "http://127.0.0.1:%d/", server.port);
    left = n;
    if (!http_send(client, &rq, &a, &r, e)) {
        assert_string_equal(e->reason, "OutOfMemory");
        return false;
    }
    assert_int_equal(r.body.len, BIG);
    return true;
}

static void body(void **state)
{
    static char bytes[BIG];
    (void)state;
    http_global_init();
    test_server_start(&server, answer_big, bytes);
    assert_true(each("body", read_body) >= 2);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json), cmocka_unit_test(object), cmocka_unit_test(frames),
        cmocka_unit_test(list), cmocka_unit_test(reply),  cmocka_unit_test(body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
