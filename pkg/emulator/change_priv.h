// SPDX-License-Identifier: Apache-2.0
/*
 * What can happen to the state of the registry: a change is a fact (what is so from now on), not a
 * request, so that applying it needs no clock, no rule and no luck. emu_store_commit_locked() is
 * the only way into the state: the rules decide, a change says what they decided, the journal keeps
 * it, and reading the journal applies the same changes by the same code.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"
#include "json/write.h"
#include "store_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emu_change_kind {
    EMU_CHANGE_SETTING,       /* name, value: of the account */
    EMU_CHANGE_TEMPLATE,      /* template: new, or all that the one of its prefix has from now on */
    EMU_CHANGE_NO_TEMPLATE,   /* name: its prefix */
    EMU_CHANGE_REPOSITORY,    /* repository: new, or settings of the one of its name */
    EMU_CHANGE_NO_REPOSITORY, /* name; its images and links go too */
    EMU_CHANGE_LINK,          /* name, digest, size_bytes, is_mounted: a blob is the repository's */
    EMU_CHANGE_IMAGE,         /* name, image: new */
    EMU_CHANGE_TAG,           /* name, digest, tag: leads to that image from now on */
    EMU_CHANGE_UNTAG,         /* name, tag */
    EMU_CHANGE_NO_IMAGE,      /* name, digest; its tags go too */
    EMU_CHANGE_PULL,          /* name, digest, at_ms */
    EMU_CHANGE_COUNT
};

struct emu_change {
    enum emu_change_kind kind;
    struct str name; /* of the repository, unless said otherwise above */
    struct str value;
    struct str digest;
    struct str tag;
    int64_t size_bytes;
    int64_t at_ms;
    bool is_mounted;
    /* allocated; whoever applies the change takes them and sets NULL here */
    struct emu_template *template;
    struct emu_repository *repository;
    struct emu_image *image;
};

/*
 * Makes the changes all together: one record in the journal, so that a crash leaves all or none,
 * then the memory. Takes what the changes hold on success. False: EMU_SERVER, the journal cannot be
 * written (the disk is full, perhaps), and nothing has changed.
 */
bool emu_store_commit_locked(struct emu_store *s, struct emu_change *changes, size_t n,
                             struct emu_error *x) BERTH_NODISCARD;
/* The second half of it: the memory. False where the change does not fit the state, which only a
 * damaged journal can bring about. */
bool emu_store_apply_locked(struct emu_store *s, struct emu_change *c) BERTH_NODISCARD;

/* Writes one change as a JSON object. */
void emu_change_write(struct json_writer *w, const struct emu_change *c);
/* Reads it again; texts go to the arena. False and *e: not a change. */
bool emu_change_read(const struct json *v, struct arena *arena, struct emu_change *ret,
                     struct err *e) BERTH_NODISCARD;
/* Frees what nobody took. */
void emu_change_fini(struct emu_change *c);

/*
 * An image from its manifest: digest, layers, children, artifact type and subject as the manifest
 * says them. seq, dates, size and tags are the caller's. NULL and *x where it is no manifest of an
 * image: InvalidParameter.
 */
struct emu_image *emu_image_new(struct str manifest, struct str media_type,
                                struct emu_error *x) BERTH_NODISCARD;

/* ---- versions of the past (history.c) ---- */
struct emu_history;
struct emu_history *emu_history_new(void) BERTH_NODISCARD;
struct emu_history *emu_history_free(struct emu_history *h);
/* What was there until mono_ms under the key. Each takes `before`, NULL: nothing was there. */
void emu_history_setting(struct emu_history *h, int64_t mono_ms, size_t index, char *before);
void emu_history_template(struct emu_history *h, int64_t mono_ms, struct str prefix,
                          struct emu_template *before);
void emu_history_repository(struct emu_history *h, int64_t mono_ms, struct str name,
                            struct emu_repository *before);
