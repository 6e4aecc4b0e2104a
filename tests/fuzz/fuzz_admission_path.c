// SPDX-License-Identifier: Apache-2.0
/*
 * Paths and texts of a configuration, followed through one object: what compiles can be followed,
 * and gives a bounded number of texts.
 */
#include "fuzz.h"
#include "json/json.h"
#include "path_priv.h"

static const char object[] =
    "{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\",\"annotations\":{\"a.b/c\":\"x\"},"
    "\"generation\":3},\"spec\":{\"tag\":\"t\",\"tags\":[\"a\",\"b\",1,null,[\"c\"]],"
    "\"params\":[{\"name\":\"IMAGE\",\"value\":\"v\"},{\"name\":\"x\",\"value\":[\"l\",\"m\"]}],"
    "\"map\":{\"k\":{\"image\":\"i\"},\"l\":{\"image\":\"j\"}}}}";

static bool take(void *arg, struct str text)
{
    (void)text;
    return ++*(size_t *)arg < 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct expression x;
    size_t count = 0;
    if (!expression_compile(fuzz_text(data, size), &a, &x, &e)) {
        FUZZ_MUST(err_is_set(&e));
        return 0;
    }
    if (!json_parse(str_from(object), sizeof object, &doc, &e))
        return 0;
    FUZZ_MUST(expression_follow(&x, json_root(doc), STR("registry.example"), &a, take, &count));
    return 0;
}
