// SPDX-License-Identifier: Apache-2.0
/*
 * The past, for stale reads: what there was at each moment, in the order in which it was made.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "blob_priv.h"
#include "store_impl_priv.h"
#include "store_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct clock_fake clock;
    struct blobs *blobs;
    struct emu_store *store;
};

static void start(struct fixture *f)
{
    struct emulator_behavior behavior = {0};
    struct err e = ERR_INIT;

    clock_fake_init(&f->clock, 1700000000000);
    f->blobs = blobs_new(NULL, &f->clock.clock, &e);
    assert_non_null(f->blobs);
    f->store =
        emu_store_new(&behavior, &f->clock.clock, f->blobs, STR("123456789012"), STR("us-east-1"));
    emu_store_lock(f->store);
}

static void stop(struct fixture *f)
{
    emu_store_unlock(f->store);
    f->store = emu_store_free(f->store);
    f->blobs = blobs_free(f->blobs);
}

static void add_template(struct fixture *f, const char *prefix)
{
    struct emu_template *t = mem_alloc(sizeof(*t));
    struct emu_error x = EMU_ERROR_INIT;

    t->prefix = mem_strdup(prefix);
    t->applied_for = EMU_CREATE_ON_PUSH;
    assert_true(emu_store_add_template_locked(f->store, t, &x));
}

static struct emu_repository *create(struct fixture *f, const char *name)
{
    struct emu_repository *r = NULL;
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_settings settings = {.policy = mem_strdup("{}")};

    assert_true(emu_store_create_repository_locked(f->store, str_from(name), &settings, &r, &x));
    emu_settings_fini(&settings);
    return r;
}

static void count_view(struct fixture *f, int64_t mono_ms, const char *templates,
                       const char *repositories, const char *setting)
{
    struct emu_store *view = emu_store_view_locked(f->store, mono_ms);
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);

    for (struct map_entry *it = map_first(view->templates); it; it = map_next(it))
        buf_printf(&names, "%.*s ", STR_ARG(map_key(it)));
    assert_string_equal(buf_cstr(&names), templates);
    buf_reset(&names);
    for (struct map_entry *it = map_first(view->repositories); it; it = map_next(it)) {
        const struct emu_repository *r = map_value(it);

        buf_printf(&names, "%s%s ", r->name, r->settings.policy ? "+policy" : "");
    }
    assert_string_equal(buf_cstr(&names), repositories);
    assert_string_equal(emu_store_setting_locked(view, STR("BLOB_MOUNTING")), setting);
    view = emu_store_view_free(view);
}

static void the_past_by_the_clock(void **state)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_repository *next = NULL;
    int64_t at = 0;

    (void)state;
    start(f);
    at = f->clock.mono_ms;
    add_template(f, "a");
    clock_fake_advance(&f->clock, 10);
    add_template(f, "b");
    clock_fake_advance(&f->clock, 10);
    next = emu_repository_copy(create(f, "x/y"));
    clock_fake_advance(&f->clock, 10);
    assert_true(emu_store_put_setting_locked(f->store, STR("BLOB_MOUNTING"), STR("ENABLED"), &x));
    next->settings.policy = mem_free(next->settings.policy);
    assert_true(emu_store_update_repository_locked(f->store, next, &x));
    clock_fake_advance(&f->clock, 10);
    assert_true(emu_store_remove_template_locked(
        f->store, emu_store_template_locked(f->store, STR("a")), &x));
    clock_fake_advance(&f->clock, 10);
    assert_true(emu_store_remove_repository_locked(
        f->store, emu_store_repository_locked(f->store, STR("x/y"), &x), &x));
    count_view(f, at - 1, "", "", "DISABLED");
    count_view(f, at, "a ", "", "DISABLED");
    count_view(f, at + 9, "a ", "", "DISABLED");
    count_view(f, at + 10, "a b ", "", "DISABLED");
    count_view(f, at + 20, "a b ", "x/y+policy ", "DISABLED");
    count_view(f, at + 30, "a b ", "x/y ", "ENABLED");
    count_view(f, at + 40, "b ", "x/y ", "ENABLED");
    count_view(f, at + 50, "b ", "", "ENABLED");
    count_view(f, at + 1000, "b ", "", "ENABLED");
    stop(f);
}

static void the_past_is_bounded(void **state)
{
    struct fixture fixture;
    struct fixture *f = &fixture;
    struct emu_error x = EMU_ERROR_INIT;

    (void)state;
    start(f);
    add_template(f, "old");
    for (int i = 0; i < EMU_HISTORY_CHANGES_MAX; i++) {
        clock_fake_advance(&f->clock, 1);
        assert_true(emu_store_put_setting_locked(f->store, STR("BLOB_MOUNTING"),
                                                 i % 2 ? STR("DISABLED") : STR("ENABLED"), &x));
    }
    /* as far back as is known: the template is older than that */
    count_view(f, 0, "old ", "", "DISABLED");
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_past_by_the_clock),
        cmocka_unit_test(the_past_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
