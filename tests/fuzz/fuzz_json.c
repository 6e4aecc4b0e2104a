// SPDX-License-Identifier: Apache-2.0
/*
 * json_parse(): whatever is accepted can be printed, compact or indented, and reads back as the
 * same value; and lookups by each of its keys find it.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "json/json.h"

enum { MAX_BYTES = 64 * 1024 };

static void look_up(const struct json *v)
{
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it)) {
        int64_t number = 0;
        if (json_is_object(v))
            FUZZ_MUST(json_get_str(v, json_key(it)) == it);
        if (json_i64(it, &number))
            FUZZ_MUST(json_i64_or(it, number - 1) == number);
        struct str text = json_str_or_null(it);
        FUZZ_MUST(str_is_null(text) != json_is_string(it));
        FUZZ_MUST(text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL);
        look_up(it); /* at most JSON_MAX_DEPTH deep */
    }
}

static void print_and_read(const struct json *v, void (*print)(const struct json *, struct buf *))
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(16 * MAX_BYTES);
    struct json_doc *again BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    print(v, &out);
    if (!buf_ok(&out))
        return; /* a number that is not exact, or indentation without end */
    FUZZ_MUST(json_parse(buf_str(&out), out.len, &again, &e));
    FUZZ_MUST(json_equal(v, json_root(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    if (!json_parse(fuzz_text(data, size), MAX_BYTES, &doc, &e)) {
        FUZZ_MUST(e.cls == ERR_INVALID && doc == NULL && e.msg[0] != '\0');
        return 0;
    }
    const struct json *root = json_root(doc);
    FUZZ_MUST(root != NULL && json_equal(root, root));
    look_up(root);
    print_and_read(root, json_print);
    print_and_read(root, json_print_pretty);
    return 0;
}
