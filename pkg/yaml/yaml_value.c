// SPDX-License-Identifier: Apache-2.0
/*
 * Checked access to the scalars and keys of a tree. libyaml resolves no types, so what a plain
 * scalar means is decided here, by who asks: there is no "yes" that becomes true.
 */
#include "base/buf.h"
#include "base/num.h"
#include "yaml/yaml.h"

#include <inttypes.h>

static bool fail(const struct yaml *v, const char *name, const char *must, struct err *e)
{
    return err_set(e, ERR_INVALID, "InvalidYAML", "line %d, column %d: %s must be %s", v->line,
                   v->column, name, must);
}

const struct yaml *yaml_get(const struct yaml *v, const char *key)
{
    if (v == NULL || v->kind != YAML_MAP)
        return NULL;
    for (const struct yaml *it = v->first; it != NULL; it = it->next)
        if (str_eq_cstr(it->key, key))
            return it;
    return NULL;
}

bool yaml_is_null(const struct yaml *v)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (v == NULL)
        return true;
    if (v->kind != YAML_SCALAR || !v->is_plain)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(nulls); i++)
        if (str_eq_cstr(v->scalar, nulls[i]))
            return true;
    return false;
}

bool yaml_str(const struct yaml *v, const char *name, struct str *ret, struct err *e)
{
    *ret = STR_NULL;
    if (v->kind != YAML_SCALAR || yaml_is_null(v))
        return fail(v, name, "a text", e);
    *ret = v->scalar;
    return true;
}

bool yaml_bool(const struct yaml *v, const char *name, bool *ret, struct err *e)
{
    *ret = false;
    const bool is_plain = v->kind == YAML_SCALAR && v->is_plain;
    if (is_plain && str_eq(v->scalar, STR("true"))) {
        *ret = true;
        return true;
    }
    return (is_plain && str_eq(v->scalar, STR("false"))) ||
           fail(v, name, "true or false, without quotes", e);
}

bool yaml_i64(const struct yaml *v, const char *name, int64_t least, int64_t most, int64_t *ret,
              struct err *e)
{
    *ret = 0;
    int64_t n = 0;
    if (v->kind == YAML_SCALAR && v->is_plain && num_parse_i64(v->scalar, &n) && n >= least &&
        n <= most) {
        *ret = n;
        return true;
    }
    struct buf must BERTH_CLEANUP(buf_fini) = BUF_INIT(120);
    buf_printf(&must, "a whole number from %" PRId64 " to %" PRId64, least, most);
    return fail(v, name, buf_cstr(&must), e);
}

static void append_duration(struct buf *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (ms % units[i].ms == 0 && (ms > 0 || units[i].ms == 1000)) {
            buf_printf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            return;
        }
}

bool yaml_duration_ms(const struct yaml *v, const char *name, int64_t least_ms, int64_t most_ms,
                      int64_t *ret_ms, struct err *e)
{
    *ret_ms = 0;
    int64_t ms = 0;
    if (v->kind == YAML_SCALAR && num_parse_duration_ms(v->scalar, &ms) && ms >= least_ms &&
        ms <= most_ms) {
        *ret_ms = ms;
        return true;
    }
    struct buf must BERTH_CLEANUP(buf_fini) = BUF_INIT(120);
    buf_append(&must, STR("a duration such as 90s or 1h30m, from "));
    append_duration(&must, least_ms);
    buf_append(&must, STR(" to "));
    append_duration(&must, most_ms);
    return fail(v, name, buf_cstr(&must), e);
}

enum { KEY_COMPARED_MAX = 63 };

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Levenshtein's distance, without case; one row of the table at a time. */
static size_t distance(struct str a, struct str b)
{
    size_t row[KEY_COMPARED_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = diagonal + (lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]));
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.len];
}

/* The known key that was most likely meant; NULL where none is near. */
static const char *nearest(struct str key, const char *const *known)
{
    const char *found = NULL;
    size_t least = 1 + key.len / 3; /* more changes than that are another word */
    for (; *known != NULL && key.len <= KEY_COMPARED_MAX; known++) {
        const struct str candidate = str_from(*known);
        if (candidate.len > KEY_COMPARED_MAX)
            continue;
        const size_t d = distance(key, candidate);
        if (d < least || (d == least && found == NULL)) {
            least = d;
            found = *known;
        }
    }
    return found;
}

static bool fail_unknown(const struct yaml *member, const char *name, const char *const *known,
                         struct err *e)
{
    struct buf hint BERTH_CLEANUP(buf_fini) = BUF_INIT(600);
    const char *near = nearest(member->key, known);
    if (near != NULL)
        buf_printf(&hint, "did you mean \"%s\"?", near);
    else
        buf_append(&hint, known[0] != NULL ? STR("known are ") : STR("none is known here"));
    for (size_t i = 0; near == NULL && known[i] != NULL; i++)
        buf_printf(&hint, "%s%s", i > 0 ? ", " : "", known[i]);
    const struct str key = str_cut_utf8(member->key, 128);
    return err_set(e, ERR_INVALID, "UnknownKey",
                   "line %d, column %d: unknown key \"%.*s\" in %s; %s", member->key_line,
                   member->key_column, STR_ARG(key), name, buf_cstr(&hint));
}

static bool is_known(struct str key, const char *const *known)
{
    for (; *known != NULL; known++)
        if (str_eq_cstr(key, *known))
            return true;
    return false;
}

bool yaml_known_keys(const struct yaml *v, const char *name, const char *const *known,
                     struct err *e)
{
    if (yaml_is_null(v))
        return true;
    if (v->kind != YAML_MAP)
        return fail(v, name, "a map", e);
    for (const struct yaml *it = v->first; it != NULL; it = it->next)
        if (!is_known(it->key, known))
            return fail_unknown(it, name, known, e);
    return true;
}
