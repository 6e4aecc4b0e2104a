// SPDX-License-Identifier: Apache-2.0
/*
 * Whole exchanges that another thread cuts by http_request.cancel, while others go on.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "http_test.h"

/* Answers /answer; cancels instead of answering all else. */
static void answer_or_cancel(struct test_server *s, struct test_conn *c)
{
    if (strstr(c->in, "/answer ") != NULL)
        test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else
        http_cancel_now(s->arg);
}

static void cancel_ends_what_is_under_way(void **state)
{
    (void)state;
    struct test_server s;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_cancel *cancel BERTH_CLEANUP(http_cancel_freep) = http_cancel_new();
    test_server_start(&s, answer_or_cancel, cancel);
    struct http_request rq = get_of(url_of(&s, &a, "/answer"));
    struct err e = ERR_INIT;
    rq.cancel = cancel;
    assert_true(http_send(c, &rq, &a, &r, &e)); /* a cancel that is not used changes nothing */
    rq.url = url_of(&s, &a, "/hang");
    for (int i = 0; i < 2; i++) { /* it sticks: the second time nothing is sent */
        err_clear(&e);
        assert_false(http_send(c, &rq, &a, &r, &e));
        assert_int_equal(e.cls, ERR_CANCELLED);
        assert_string_equal(e.reason, "Cancelled");
    }
    /* of this request only: the client goes on */
    rq = get_of(url_of(&s, &a, "/answer"));
    err_clear(&e);
    assert_true(http_send(c, &rq, &a, &r, &e));
    assert_int_equal(r.status, 200);
    test_server_stop(&s);
    assert_int_equal(s.requests, 3);
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(cancel_ends_what_is_under_way)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
