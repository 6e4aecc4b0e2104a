// SPDX-License-Identifier: Apache-2.0
/*
 * The directory: which registry answers to which host, what the platform team wants of admission
 * there, and which template covers a repository. The controller publishes into it on every replica;
 * the webhook reads it. Neither waits for the other: entries are immutable and counted, the mutex
 * is held for map work only.
 *
 * Which template covers a repository is decided here for everybody, by the rule of ecr/prefix.h
 * over AWS's templates (of the registry's snapshot) with our owning, live objects laid over them.
 */
#pragma once

#include "api/admission.h"
#include "api/api.h"
#include "ecr/prefix.h"
#include "registry/registry.h"

struct directory;

struct directory *directory_new(void) BERTH_NODISCARD;
/* References to entries may outlive it. NULL is fine; returns NULL. */
struct directory *directory_free(struct directory *d);
BERTH_DEFINE_CLEANUP(struct directory *, directory_free);

enum directory_state {
    DIRECTORY_OPEN,   /* has a snapshot of templates and repositories */
    DIRECTORY_UNREAD, /* not read yet */
    DIRECTORY_CLOSED  /* Stalled, paused, in conflict, terminating: message says which */
};

/* One RegistrySettings. Immutable once published. */
struct directory_registry {
    struct str name;
    enum directory_state state;
    struct str message;        /* why it is not open, for people; absent where it is */
    bool is_read_only;         /* nothing may be created */
    struct registry *registry; /* NULL only where it is closed */
    struct str account_id;     /* absent before it is known */
    struct str region;
    struct schema_list hosts; /* of struct str: spec.registryHosts */
    int64_t created_at_ms;    /* of the object: a host claimed twice is the older one's */
    struct api_admission admission;
};

/* Copies all of it (and takes its own reference of the registry); replaces what has that name. */
void directory_put(struct directory *d, const struct directory_registry *r);
void directory_remove(struct directory *d, struct str name);

/* The registry of "host[:port]": an entry that names it in hosts, else ECR's own host of its
 * account and region (all forms of ecr_host_parse()). A reference, or NULL. */
struct directory_registry *directory_find(struct directory *d, struct str host) BERTH_NODISCARD;
struct directory_registry *directory_get(struct directory *d, struct str name) BERTH_NODISCARD;
/* The one named "default", else the only one; NULL where there are several. A reference. */
struct directory_registry *directory_default(struct directory *d) BERTH_NODISCARD;
struct directory_registry *directory_ref(struct directory_registry *r) BERTH_NODISCARD;
/* NULL is fine; returns NULL. */
struct directory_registry *directory_unref(struct directory_registry *r);
BERTH_DEFINE_CLEANUP(struct directory_registry *, directory_unref);

/* A RepositoryCreationTemplate that owns its prefix and is not being deleted. */
struct directory_template {
    struct str object;    /* its name */
    struct str registry;  /* of its RegistrySettings */
    struct str prefix;    /* any spelling */
    uint32_t applied_for; /* enum ecr_applied_for */
    bool is_held;         /* paused or read-only: it covers, and nothing is created from it */
    struct str spec;      /* JSON text of its spec, valid */
};
/* Copies it; replaces what the object said before. */
void directory_template_put(struct directory *d, const struct directory_template *t);
/* The object is gone, is being deleted, or owns nothing. */
void directory_template_remove(struct directory *d, struct str object);

struct directory_cover {
    struct str prefix; /* normalised, or ROOT; in the arena, as all of it */
    struct str object; /* absent: a template of AWS that no object owns */
    bool is_held;
    struct api_template_spec spec; /* only where it was asked for */
};
/* False: nothing covers it (or the registry was not read). wanted: as ecr_prefix_choose(). With
 * with_spec the settings are decoded into the arena. */
bool directory_cover(struct directory *d, const struct directory_registry *r, struct str repository,
                     uint32_t wanted, enum ecr_choice how, bool with_spec, struct arena *a,
                     struct directory_cover *ret) BERTH_NODISCARD;
