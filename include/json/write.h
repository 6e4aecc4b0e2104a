// SPDX-License-Identifier: Apache-2.0
/*
 * Writing JSON, without a tree: begin, members, end, over a struct buf.
 *
 * Misuse (a value where a key is needed, an end without a begin, more than JSON_MAX_DEPTH levels)
 * marks the writer failed, as does a full buffer; ask once with json_write_ok(). Strings that are
 * not UTF-8 have U+FFFD in place of what is wrong. One thread.
 *
 *     struct json_writer w = json_writer_to(&out);
 *     json_begin_object(&w);
 *     json_put_str(&w, "prefix", prefix);
 *     json_end(&w);
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

struct json_writer {
    struct buf *out;
    int depth;
    bool failed;
    bool is_pretty;
    uint8_t level[JSON_MAX_DEPTH + 1]; /* private */
};

struct json_writer json_writer_to(struct buf *out);
/* Indented by two spaces, for people. */
struct json_writer json_writer_pretty(struct buf *out);

/* Elements of arrays, and the root. */
void json_begin_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end(struct json_writer *w);               /* of whichever is open */
void json_str(struct json_writer *w, struct str s); /* absent gives null */
void json_int(struct json_writer *w, int64_t n);
void json_bool(struct json_writer *w, bool b);
void json_null(struct json_writer *w);
void json_value(struct json_writer *w, const struct json *root); /* copies a parsed value */
/* Text that is JSON already, put in as it is: the caller's word that it is well-formed. */
void json_raw(struct json_writer *w, struct str text);

/* Members of objects. */
void json_key_begin_object(struct json_writer *w, const char *key);
void json_key_begin_array(struct json_writer *w, const char *key);
void json_key_str(struct json_writer *w, struct str key); /* a key from data; a value follows */
void json_put_str(struct json_writer *w, const char *key, struct str s);
void json_put_cstr(struct json_writer *w, const char *key, const char *s);
void json_put_int(struct json_writer *w, const char *key, int64_t n);
void json_put_bool(struct json_writer *w, const char *key, bool b);
void json_put_null(struct json_writer *w, const char *key);
void json_put_value(struct json_writer *w, const char *key, const struct json *v);
void json_put_raw(struct json_writer *w, const char *key, struct str text);

/* All closed, nothing failed, nothing cut. */
bool json_write_ok(const struct json_writer *w);

/* Appends s as a JSON string with quotes. */
void json_escape(struct buf *out, struct str s);
