// SPDX-License-Identifier: Apache-2.0
/*
 * The frame decoder: the same events come out wherever the bytes are split, and lines that are too
 * long or no events do no harm.
 */
#include "base/mem.h"
#include "frame_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct seen {
    struct buf text; /* "<type>[cut] <object>|" for each frame */
    int stop_after;
    int count;
};

static bool on_frame(void *arg, const struct frame *f)
{
    struct seen *s = arg;
    buf_printf(&s->text, "%d%s %.*s|", (int)f->type, f->is_cut ? "cut" : "", STR_ARG(f->object));
    return ++s->count != s->stop_after;
}

static const char STREAM[] = "{\"type\":\"ADDED\",\"object\":{\"kind\":\"A\",\"x\":\"\\\"}\"}}\n"
                             "\n"
                             "{\"object\":{\"n\":1},\"type\":\"MODIFIED\"}\r\n"
                             "{\"type\":\"DELETED\",\"object\":{}}\n"
                             "{\"type\":\"BOOKMARK\",\"object\":{\"b\":2}}\n"
                             "{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n"
                             "{\"type\":\"NEW\",\"object\":{}}\n"
                             "not json\n"
                             "{\"type\":\"ADDED\",\"object\":{\"cut\":";
static const char WANT[] = "0 {\"kind\":\"A\",\"x\":\"\\\"}\"}|1 {\"n\":1}|2 {}|3 {\"b\":2}|"
                           "4 {\"code\":410}|5 {\"type\":\"NEW\",\"object\":{}}|5 not json|";

static void feed_split(size_t first, size_t piece)
{
    struct frame_decoder d BERTH_CLEANUP(kube_frame_decoder_fini) = FRAME_DECODER_INIT(4096);
    struct seen s = {.text = BUF_INIT(4096)};
    struct str rest = str_from(STREAM);
    for (size_t n = first; rest.len > 0; n = piece) {
        n = n == 0 || n > rest.len ? rest.len : n;
        assert_true(kube_frame_decoder_feed(&d, str_n(rest.ptr, n), on_frame, &s));
        rest = str_from_offset(rest, n);
    }
    assert_string_equal(buf_cstr(&s.text), WANT);
    buf_fini(&s.text);
}

static void any_split_gives_the_same(void **state)
{
    (void)state;
    feed_split(0, 0);
    for (size_t at = 1; at < sizeof(STREAM) - 1; at++)
        feed_split(at, 0);
    for (size_t piece = 1; piece < 20; piece++)
        feed_split(piece, piece);
}

static void long_lines_keep_their_head(void **state)
{
    (void)state;
    static const char LINES[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"big\"},"
                                "\"spec\":\"0123456789\"}}\n"
                                "{\"type\":\"DELETED\",\"object\":{}}\n";
    for (size_t piece = 1; piece < sizeof(LINES); piece++) {
        struct frame_decoder d BERTH_CLEANUP(kube_frame_decoder_fini) = FRAME_DECODER_INIT(64);
        struct seen s = {.text = BUF_INIT(4096)};
        struct str rest = str_from(LINES);
        while (rest.len > 0) {
            size_t n = piece < rest.len ? piece : rest.len;
            assert_true(kube_frame_decoder_feed(&d, str_n(rest.ptr, n), on_frame, &s));
            rest = str_from_offset(rest, n);
        }
        assert_string_equal(buf_cstr(&s.text),
                            "0cut {\"metadata\":{\"name\":\"big\"},\"spec\":\"0123|2 {}|");
        assert_true(d.line.cap <= 4096);
        buf_fini(&s.text);
    }
}

static void a_callback_can_end_it(void **state)
{
    (void)state;
    struct frame_decoder d BERTH_CLEANUP(kube_frame_decoder_fini) = FRAME_DECODER_INIT(4096);
    struct seen s = {.text = BUF_INIT(4096), .stop_after = 2};
    assert_false(kube_frame_decoder_feed(&d, str_from(STREAM), on_frame, &s));
    assert_int_equal(s.count, 2);
    buf_fini(&s.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_same),
        cmocka_unit_test(long_lines_keep_their_head),
        cmocka_unit_test(a_callback_can_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
