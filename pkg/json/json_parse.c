// SPDX-License-Identifier: Apache-2.0
/*
 * json_parse(): scan, hand to cJSON, then one walk over the tree that marks the numbers the scan
 * found not exact and refuses duplicate keys. All three are linear in the text (members of big
 * objects are sorted, not compared pair by pair).
 */
#include "base/buf.h"
#include "base/mem.h"
#include "json_priv.h"

#include <stdlib.h>
#include <string.h>

struct json_doc {
    cJSON *root;
};

struct walk {
    const struct json_scan *scan;
    size_t numbers; /* seen so far */
    size_t marked;  /* of scan->inexact */
    int depth;
    cJSON *parents[JSON_MAX_DEPTH];
};

static int compare_members(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

void json_sort_members(const cJSON **members, size_t count)
{
    qsort(members, count, sizeof(*members), compare_members);
}

/* "spec.images[2]" of the value at hand, whose parents are on the stack. */
static void append_path(const struct walk *w, const cJSON *v, struct buf *out)
{
    for (int i = 1; i <= w->depth; i++) {
        const cJSON *step = i < w->depth ? w->parents[i] : v;
        if (step->string != NULL) {
            const struct str key = str_cut_utf8(str_from(step->string), 64);
            buf_printf(out, "%s%.*s", buf_str(out).len > 0 ? "." : "", STR_ARG(key));
            continue;
        }
        size_t index = 0;
        for (const cJSON *it = w->parents[i - 1]->child; it != step; it = it->next)
            index++;
        buf_printf(out, "[%zu]", index);
    }
}

static bool fail_duplicate(const struct walk *w, const cJSON *object, const char *key,
                           struct err *e)
{
    struct buf path BERTH_CLEANUP(buf_fini) = BUF_INIT(512);
    append_path(w, object, &path);
    const struct str shown = str_cut_utf8(str_from(key), 128);
    return err_set(e, ERR_INVALID, "InvalidJSON", "duplicate key \"%.*s\" in %s", STR_ARG(shown),
                   buf_str(&path).len > 0 ? buf_cstr(&path) : "the top level");
}

static bool check_big_object(const struct walk *w, const cJSON *object, size_t count, struct err *e)
{
    const cJSON **members = mem_try_alloc(count * sizeof(const cJSON *));
    if (members == NULL)
        return err_set(e, ERR_RETRY, "OutOfMemory", "out of memory while reading json");
    size_t n = 0;
    for (const cJSON *it = object->child; it != NULL; it = it->next)
        members[n++] = it;
    json_sort_members(members, n);
    const char *duplicate = NULL;
    for (size_t i = 1; i < n && duplicate == NULL; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            duplicate = members[i]->string;
    mem_free(members);
    return duplicate == NULL || fail_duplicate(w, object, duplicate, e);
}

static bool check_keys(const struct walk *w, const cJSON *object, struct err *e)
{
    size_t count = 0;
    for (const cJSON *it = object->child; it != NULL; it = it->next)
        count++;
    if (count > JSON_SMALL_OBJECT)
        return check_big_object(w, object, count, e);
    for (const cJSON *it = object->child; it != NULL; it = it->next)
        for (const cJSON *later = it->next; later != NULL; later = later->next)
            if (strcmp(it->string, later->string) == 0)
                return fail_duplicate(w, object, it->string, e);
    return true;
}

static bool visit(struct walk *w, cJSON *v, struct err *e)
{
    if (cJSON_IsObject(v))
        return check_keys(w, v, e);
    if (!cJSON_IsNumber(v))
        return true;
    const struct json_scan *scan = w->scan;
    if (w->marked < scan->count && scan->inexact[w->marked] == w->numbers) {
        v->type |= JSON_INEXACT;
        w->marked++;
    }
    w->numbers++;
    return true;
}

/* In the order of the text, without recursion: the scan has bounded the depth. */
static bool walk_tree(struct walk *w, cJSON *root, struct err *e)
{
    cJSON *v = root;
    while (v != NULL) {
        if (!visit(w, v, e))
            return false;
        if (v->child != NULL) {
            w->parents[w->depth++] = v;
            v = v->child;
            continue;
        }
        while (v->next == NULL && w->depth > 0)
            v = w->parents[--w->depth];
        v = v->next;
    }
    return true;
}

/* cJSON wants its text NUL-terminated, with the NUL counted, or it may look past the end. */
static bool build_tree(struct str text, cJSON **ret, struct err *e)
{
    *ret = NULL;
    char *copy BERTH_CLEANUP(mem_freecp) = mem_try_alloc(text.len + 1);
    if (copy == NULL)
        return err_set(e, ERR_RETRY, "OutOfMemory", "out of memory while reading json");
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    const char *end = copy; /* not cJSON_GetErrorPtr(): that is one variable for all threads */
    *ret = cJSON_ParseWithLengthOpts(copy, text.len + 1, &end, 1);
    if (*ret != NULL)
        return true;
    const size_t at = (size_t)(end - copy);
    if (at >= text.len)
        return json_fail_at(text, text.len, e, "unexpected end of the text");
    return json_fail_at(text, at, e, "unexpected '%.*s'", 1, copy + at);
}

bool json_parse(struct str text, size_t max_bytes, struct json_doc **ret, struct err *e)
{
    *ret = NULL;
    if (text.len > max_bytes)
        return err_set(e, ERR_INVALID, "TooLarge", "%zu bytes are over the limit of %zu bytes",
                       text.len, max_bytes);
    if (!str_is_utf8(text))
        return err_set(e, ERR_INVALID, "InvalidJSON", "the text is not utf-8");
    struct json_scan scan BERTH_CLEANUP(json_scan_fini) = {0};
    if (!json_scan_text(text, &scan, e))
        return false;
    cJSON *root;
    if (!build_tree(text, &root, e))
        return false;
    struct walk w = {.scan = &scan};
    if (!walk_tree(&w, root, e)) {
        cJSON_Delete(root);
        return false;
    }
    struct json_doc *doc = mem_alloc(sizeof(*doc));
    doc->root = root;
    *ret = doc;
    return true;
}

struct json_doc *json_doc_free(struct json_doc *doc)
{
    if (doc != NULL)
        cJSON_Delete(doc->root);
    return mem_free(doc);
}

const struct json *json_root(const struct json_doc *doc)
{
    return json_of(doc->root);
}
