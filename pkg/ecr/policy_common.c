// SPDX-License-Identifier: Apache-2.0
/*
 * Paths in errors, checks of members, and comparison by tables, for both kinds of policy
 * documents.
 */
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"
#include "policy_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

size_t policy_characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

struct policy_path policy_path_member(const struct policy_path *p, const char *name)
{
    struct policy_path ret;
    (void)snprintf(ret.text, sizeof ret.text, "%.60s%s%.28s", p->text, p->text[0] ? "." : "", name);
    return ret;
}

struct policy_path policy_path_index(const struct policy_path *p, const char *name, size_t i)
{
    struct policy_path ret;
    (void)snprintf(ret.text, sizeof ret.text, "%.60s%s%.28s[%zu]", p->text, p->text[0] ? "." : "",
                   name, i);
    return ret;
}

bool(policy_refuse)(struct err *e, const struct policy_path *p, const char *name, const char *says)
{
    const char *root = name == NULL && p->text[0] == '\0' ? "the document" : "";
    return err_set(e, ERR_INVALID, "InvalidPolicy", "%s%s%s%s %s", root, p->text,
                   name != NULL && p->text[0] ? "." : "", name != NULL ? name : "", says);
}

static const char *bare(const char *member)
{
    return member[0] == '!' ? member + 1 : member;
}

bool policy_check_members(const struct json *v, const struct policy_path *p,
                          const char *const *members, struct err *e)
{
    if (!json_is_object(v))
        return policy_refuse(e, p, NULL, "must be an object");
    for (const struct json *m = json_first(v); m != NULL; m = json_next(m)) {
        bool is_known = false;
        for (size_t i = 0; members[i] != NULL && !is_known; i++)
            is_known = str_eq_cstr(json_key(m), bare(members[i]));
        if (!is_known) {
            char name[64];
            (void)snprintf(name, sizeof name, "%.*s", STR_ARG(str_cut_utf8(json_key(m), 60)));
            return policy_refuse(e, p, name, "is not a member that the grammar has");
        }
    }
    for (size_t i = 0; members[i] != NULL; i++)
        if (members[i][0] == '!' && json_get(v, bare(members[i])) == NULL)
            return policy_refuse(e, p, bare(members[i]), "is required");
    return true;
}

bool policy_check_word(const struct json *v, const struct policy_path *p, const char *name,
                       const char *const *words, int *ret, struct err *e)
{
    struct str word = json_str_or_null(json_get(v, name));
    char list[160] = "";
    size_t used = 0;
    for (int i = 0; words[i] != NULL; i++) {
        if (str_eq_cstr(word, words[i])) {
            *ret = i;
            return true;
        }
        int n = snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", words[i]);
        used += n > 0 ? (size_t)n : 0;
        if (used >= sizeof list)
            used = sizeof list - 1;
    }
    char says[192];
    (void)snprintf(says, sizeof says, "must be %s%s", words[1] != NULL ? "one of " : "", list);
    return policy_refuse(e, p, name, says);
}

static policy_equal_fn find_equal(const struct policy_member *table, struct str name)
{
    for (; table->name != NULL; table++)
        if (str_eq_cstr(name, table->name))
            return table->equal;
    return NULL;
}

/* All members of `a`, and what the table knows, compared with those of b. */
static bool covers(const struct json *a, const struct json *b, const struct policy_member *table)
{
    for (const struct json *m = json_first(a); m != NULL; m = json_next(m)) {
        const struct json *other = json_get_str(b, json_key(m));
        policy_equal_fn equal = find_equal(table, json_key(m));
        if (equal != NULL) {
            if (!equal(m, other))
                return false;
        } else if (other == NULL || !json_equal(m, other)) {
            return false;
        }
    }
    return true;
}

bool policy_equal_members(const struct json *a, const struct json *b,
                          const struct policy_member *table)
{
    if (!json_is_object(a) || (b != NULL && !json_is_object(b)))
        return json_equal(a, b);
    return covers(a, b, table) && covers(b, a, table);
}

bool policy_equal_text(const struct json *a, const struct json *b)
{
    if (!json_is_string(a) || (b != NULL && !json_is_string(b)))
        return json_equal(a, b);
    return str_eq(json_str_or_null(a), json_str_or_null(b));
}

static bool has_element(const struct json *set, const struct json *v, policy_equal_fn equal)
{
    if (!json_is_array(set))
        return equal(set, v);
    for (const struct json *x = json_first(set); x != NULL; x = json_next(x))
        if (equal(x, v))
            return true;
    return false;
}

static bool is_subset(const struct json *a, const struct json *b, policy_equal_fn equal)
{
    if (!json_is_array(a))
        return has_element(b, a, equal);
    for (const struct json *x = json_first(a); x != NULL; x = json_next(x))
        if (!has_element(b, x, equal))
            return false;
    return true;
}

bool policy_equal_sets(const struct json *a, const struct json *b, policy_equal_fn equal)
{
    return b != NULL && is_subset(a, b, equal) && is_subset(b, a, equal);
}

bool policy_equal_documents(struct str a, struct str b, size_t max_characters,
                            policy_equal_fn equal)
{
    if (str_eq(a, b))
        return true;
    if (a.len == 0 || b.len == 0)
        return false;
    struct json_doc *first BERTH_CLEANUP(json_doc_freep) = NULL;
    struct json_doc *second BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err ignored = ERR_INIT;
    size_t max = max_characters * POLICY_BYTES_PER_CHARACTER;
    /* one that cannot be read cannot mean the same as the other, and as text they differ */
    return json_parse(a, max, &first, &ignored) && json_parse(b, max, &second, &ignored) &&
           equal(json_root(first), json_root(second));
}
