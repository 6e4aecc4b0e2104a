// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the store share: its body, and the parsed form of a manifest. Nobody else
 * includes it; the contract is store_priv.h.
 */
#pragma once

#include "store_priv.h"

#include <pthread.h>

struct journal; /* journal_priv.h */
struct emu_history;

struct emu_store {
    pthread_mutex_t mutex;
    struct emulator_behavior behavior;
    const struct clock *clock;
    struct blobs *blobs;
    char account[EMULATOR_ACCOUNT_DIGITS + 1];
    char region[64];
    uint64_t next_seq;
    struct map *templates;    /* key -> struct emu_template */
    struct map *repositories; /* name -> struct emu_repository */
    struct map *cache_rules;  /* prefix -> struct emu_cache_rule; NULL in a view */
    char *settings[3];        /* by emu_setting_index(); NULL: the default */
    struct emu_stats stats;
    int64_t second;              /* the one that calls are counted in */
    int calls;                   /* in it */
    struct emu_history *history; /* NULL: a view */
    struct journal *journal;     /* NULL: nothing is kept */
    void *load;                  /* store_data.c's, as long as the journal */
    bool is_loading;             /* the journal is being read */
};

struct emu_image *emu_image_free(struct emu_image *i);
void emu_cache_rule_free(void *p);
/* Index of an account setting by its name; -1: unknown. */
int emu_setting_index(struct str name);
/* "the index of a name" the other way; NULL past the end. */
const char *emu_setting_name(size_t i);
/* What is the same prefix has the same key; a view into prefix. */
struct str emu_template_key(const struct emu_store *s, struct str prefix);

/* What a manifest says, as far as a registry looks at it; views into a document. */
struct emu_manifest {
    struct str media_type;
    bool is_index;
    struct str artifact_type;
    struct str subject;
    struct str *layers; /* config and layers that the registry must have */
    size_t n_layers;
    struct str *children;
    size_t n_children;
};
struct json;
/* declared: the media type that came with the request; absent: none did. */
bool emu_manifest_read(const struct json *root, struct str declared, struct arena *arena,
                       struct emu_manifest *ret, struct emu_error *x) BERTH_NODISCARD;
/* "Invalid parameter at 'member' failed to satisfy constraint: 'why'" */
bool emu_fail_parameter(struct emu_error *x, const char *member, const char *why);
