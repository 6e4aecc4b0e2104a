// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_parse(): whatever is accepted is a tree within its limits whose scalars are text, whose
 * keys are found, and on which every reader gives a value or an error.
 */
#include "fuzz.h"
#include "yaml/yaml.h"

enum { MAX_BYTES = 64 * 1024 };

static void read_scalar(const struct yaml *v)
{
    struct str text;
    bool flag;
    int64_t number;
    struct err e = ERR_INIT;
    FUZZ_MUST(v->scalar.ptr != NULL && v->scalar.ptr[v->scalar.len] == '\0');
    if (!yaml_str(v, "x", &text, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    err_clear(&e);
    if (!yaml_bool(v, "x", &flag, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    err_clear(&e);
    if (!yaml_i64(v, "x", -5, 5, &number, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    else
        FUZZ_MUST(number >= -5 && number <= 5);
    err_clear(&e);
    if (!yaml_duration_ms(v, "x", 1, 60000, &number, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    else
        FUZZ_MUST(number >= 1 && number <= 60000);
}

static void walk(const struct yaml *v, int depth)
{
    FUZZ_MUST(depth <= YAML_MAX_DEPTH + 1 && v->line >= 1 && v->column >= 1);
    if (v->kind == YAML_SCALAR)
        read_scalar(v);
    for (const struct yaml *it = v->first; it != NULL; it = it->next) {
        if (v->kind == YAML_MAP && memchr(it->key.ptr, '\0', it->key.len) == NULL)
            FUZZ_MUST(yaml_get(v, it->key.ptr) == it);
        walk(it, depth + 1);
    }
    static const char *const known[] = {"server", "name", NULL};
    struct err e = ERR_INIT;
    if (v->kind == YAML_MAP && !yaml_known_keys(v, "x", known, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct yaml *root = NULL;
    struct err e = ERR_INIT;
    if (yaml_parse(fuzz_text(data, size), MAX_BYTES, &a, &root, &e))
        walk(root, 1);
    else
        FUZZ_MUST(e.cls == ERR_INVALID && e.msg[0] != '\0');
    return 0;
}
