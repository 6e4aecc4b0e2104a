// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting a watch into events; see frame_priv.h.
 */
#include "frame_priv.h"
#include "slice_priv.h"

static const struct {
    const char *name;
    enum frame_type type;
} TYPES[] = {
    {"ADDED", FRAME_ADDED},       {"MODIFIED", FRAME_MODIFIED}, {"DELETED", FRAME_DELETED},
    {"BOOKMARK", FRAME_BOOKMARK}, {"ERROR", FRAME_ERROR},
};

void kube_frame_decoder_fini(struct frame_decoder *d)
{
    buf_fini(&d->line);
    d->is_cut = false;
}

/* The text of "object" in a line that ends before it does. */
static struct str cut_object(struct str line)
{
    static const char MARK[] = "\"object\":";
    const char *at = memmem(line.ptr, line.len, MARK, sizeof(MARK) - 1);
    return at ? str_from_offset(line, (size_t)(at - line.ptr) + sizeof(MARK) - 1) : STR_NULL;
}

static struct frame read_line(struct str line, bool is_cut)
{
    enum { TYPE, OBJECT, COUNT };
    static const char *const KEYS[] = {"type", "object"};
    struct str got[COUNT];
    struct frame f = {.type = FRAME_INVALID, .object = line, .is_cut = is_cut};
    if (!kube_slice_members(line, KEYS, COUNT, got))
        return f;
    if (str_is_null(got[OBJECT]) && is_cut)
        got[OBJECT] = cut_object(line);
    struct str type = kube_slice_plain_string(got[TYPE]);
    if (str_is_null(got[OBJECT]))
        return f;
    for (size_t i = 0; i < ARRAY_SIZE(TYPES); i++) {
        if (str_eq_cstr(type, TYPES[i].name)) {
            f.type = TYPES[i].type;
            f.object = got[OBJECT];
        }
    }
    return f;
}

static bool emit(struct str line, bool is_cut, bool (*on_frame)(void *arg, const struct frame *f),
                 void *arg)
{
    line = str_trim(line);
    if (str_is_empty(line))
        return true;
    struct frame f = read_line(line, is_cut);
    return on_frame(arg, &f);
}

static void keep(struct frame_decoder *d, struct str part)
{
    size_t room = d->line.max - d->line.len;
    if (part.len > room) {
        part.len = room;
        d->is_cut = true;
    }
    if (part.len > 0)
        buf_append(&d->line, part);
}

/* A line without its end is worse than none. */
static bool has_memory(struct frame_decoder *d)
{
    d->is_out_of_memory = !buf_ok(&d->line);
    return !d->is_out_of_memory;
}

bool kube_frame_decoder_feed(struct frame_decoder *d, struct str data,
                             bool (*on_frame)(void *arg, const struct frame *f), void *arg)
{
    while (data.len > 0) {
        const char *newline = memchr(data.ptr, '\n', data.len);
        size_t n = newline ? (size_t)(newline - data.ptr) : data.len;
        struct str part = str_n(data.ptr, n);
        data = str_from_offset(data, newline ? n + 1 : n);
        if (newline && d->line.len == 0 && part.len <= d->line.max) {
            if (!emit(part, false, on_frame, arg)) /* the usual case: no copy */
                return false;
            continue;
        }
        keep(d, part);
        if (!has_memory(d))
            return false;
        if (!newline)
            return true;
        bool goes_on = emit(buf_str(&d->line), d->is_cut, on_frame, arg);
        buf_reset(&d->line);
        d->is_cut = false;
        if (!goes_on)
            return false;
    }
    return true;
}
