// SPDX-License-Identifier: Apache-2.0
/*
 * The control API: one call of ECR's JSON 1.1 protocol, and what the operations share. An operation
 * runs with the store's mutex held and its input checked against AWS's model; it writes the members
 * of its answer to c->w (the outer object is open) or returns false with c->x set, in which case
 * what it wrote is dropped.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "json/json.h"
#include "json/write.h"
#include "server_priv.h"
#include "store_priv.h"

#include <stdbool.h>

struct emu_call {
    struct emulator *emu;
    struct emu_store *store;
    struct arena *arena; /* of the request */
    const struct json *in;
    struct buf out;
    struct json_writer w;
    struct emu_error x;
    struct str access_key_id;
    bool has_validation_exception; /* the operation models ValidationException */
};

struct emu_operation {
    const char *name;
    bool (*run)(struct emu_call *c);
};

/* Each family of operations has its table, ended by a NULL name. */
extern const struct emu_operation emu_template_operations[];
extern const struct emu_operation emu_repository_operations[];
extern const struct emu_operation emu_policy_operations[];
extern const struct emu_operation emu_image_operations[];
extern const struct emu_operation emu_registry_operations[];
extern const struct emu_operation emu_cache_operations[];
/* NULL where none has it. */
const struct emu_operation *emu_operation_find(struct str name);

/* The handlers that emulator.c routes to. */
extern const struct emu_handler emu_control_handler; /* "" : ECR and STS by content */
extern const struct emu_handler emu_admin_handler;   /* "/_emulator" */
/* STS GetCallerIdentity: the answer to a form-encoded body. */
void emu_sts_reply(struct emu_request *r, struct str body);

/* ---- what operations share ---- */

const char *emu_mutability_name(enum emu_mutability mutability);
const char *emu_encryption_name(enum emu_encryption encryption);
struct str emu_in_str(const struct emu_call *c, const char *member); /* absent where not given */
bool emu_in_bool(const struct emu_call *c, const char *member, bool fallback);
/* Fails with the code that the operation models for a check across members. */
bool emu_call_invalid(struct emu_call *c, const char *member, const char *why);
/* The repository that the input names in its registry, or NULL and c->x. */
struct emu_repository *emu_call_repository(struct emu_call *c);
/* Changes the settings of r: on a copy, so that what change() refuses, or the store, changes
 * nothing. */
bool emu_call_change(struct emu_call *c, struct emu_repository *r,
                     bool (*change)(struct emu_call *c, struct emu_settings *s)) BERTH_NODISCARD;
/* registryId absent or ours? Else the failure for a registry that is not here. */
bool emu_call_registry(struct emu_call *c) BERTH_NODISCARD;
void emu_put_time(struct emu_call *c, const char *key, int64_t unix_ms); /* epoch seconds */
/* "" and absent both give NULL; else an owned copy. */
char *emu_text_or_null(struct str s) BERTH_NODISCARD;

/* Settings from the input: mutability with filters, encryption, tags. Each sets only its own part
 * of *s, replacing what is there; absent members leave it. */
bool emu_read_mutability(struct emu_call *c, struct emu_settings *s) BERTH_NODISCARD;
bool emu_read_encryption(struct emu_call *c, struct emu_settings *s) BERTH_NODISCARD;
/* Adds the tags of a list [{Key, Value}]. too_many: TooManyTags or Validation. */
bool emu_read_tags(struct emu_call *c, const struct json *list, enum emu_code invalid,
                   enum emu_code too_many, struct emu_settings *s) BERTH_NODISCARD;
void emu_write_mutability(struct emu_call *c, const struct emu_settings *s);
void emu_write_encryption(struct emu_call *c, const struct emu_settings *s);
void emu_write_tags(struct emu_call *c, const char *key, const struct emu_settings *s);

/*
 * Pages. Items have increasing numbers > 0; a page begins after `after` and has at most `max`
 * items; a token is the last number of the page before, sealed in base64 with the operation's name.
 */
struct emu_page {
    uint64_t after;
    uint64_t last; /* number of the last item taken */
    size_t max;
    size_t taken;
    bool has_more;
};
/* explicit_list: the member that excludes nextToken and maxResults when present, or NULL. */
bool emu_page_read(struct emu_call *c, const char *explicit_list,
                   struct emu_page *ret) BERTH_NODISCARD;
/* Is the item with this number on the page? Then it is taken. False past the page's end too. */
bool emu_page_take(struct emu_page *p, uint64_t number);
/* Writes nextToken where there are more. */
void emu_page_write(struct emu_call *c, const struct emu_page *p);
