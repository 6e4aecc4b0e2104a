// SPDX-License-Identifier: Apache-2.0
/*
 * The state of the emulated registry, in memory behind one mutex, and its rules: which template a
 * push gets, whether a tag may move, which layers an image needs. The control API and /v2/ share
 * them, so that both answer alike.
 *
 * Functions named *_locked want the mutex held (emu_store_lock()); all pointers they return are
 * valid only until it is released: copy what is needed after. Never hold it across network I/O or
 * while layer bytes are written. Lock order: the store's mutex, then that of the blobs
 * (blob_priv.h), which calls nothing back. Texts are NUL-terminated, owned by their struct, NULL
 * where absent. Every *_locked function that can fail returns false and sets *x (struct emu_error),
 * a complete answer in AWS's words, of which /v2/ takes code and message.
 *
 * What is changed is changed by emu_store_commit_locked() (change_priv.h) and nowhere else: it
 * writes the journal, if there is one, and then the memory. All functions below that change
 * something end in it; where it cannot write they fail with EMU_SERVER and nothing has changed.
 * What was committed is durable once emu_store_flush() has returned true, which the server waits
 * for before each reply.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/map.h"
#include "base/str.h"
#include "emulator/emulator.h"
#include "limits_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Failures in AWS's terms; emu_code_type() names them ("RepositoryNotFoundException"). */
enum emu_code {
    EMU_OK = 0,
    EMU_INVALID_PARAMETER,
    EMU_VALIDATION,
    EMU_LIMIT_EXCEEDED,
    EMU_TEMPLATE_ALREADY_EXISTS,
    EMU_TEMPLATE_NOT_FOUND,
    EMU_CACHE_RULE_ALREADY_EXISTS,
    EMU_CACHE_RULE_NOT_FOUND,
    EMU_REPOSITORY_ALREADY_EXISTS,
    EMU_REPOSITORY_NOT_FOUND,
    EMU_REPOSITORY_NOT_EMPTY,
    EMU_REPOSITORY_POLICY_NOT_FOUND,
    EMU_LIFECYCLE_POLICY_NOT_FOUND,
    EMU_INVALID_TAG_PARAMETER,
    EMU_TOO_MANY_TAGS,
    EMU_IMAGE_NOT_FOUND,
    EMU_IMAGE_ALREADY_EXISTS,
    EMU_IMAGE_TAG_ALREADY_EXISTS,
    EMU_IMAGE_DIGEST_DOES_NOT_MATCH,
    EMU_LAYERS_NOT_FOUND,
    EMU_REFERENCED_IMAGES_NOT_FOUND,
    EMU_KMS,
    EMU_SERVER,
    /* of the protocol */
    EMU_UNKNOWN_OPERATION,
    EMU_SERIALIZATION,
    EMU_REQUEST_TOO_LARGE,
    EMU_THROTTLING,
    EMU_MISSING_TOKEN,
    EMU_UNRECOGNIZED_CLIENT,
    EMU_INVALID_SIGNATURE,
    EMU_INCOMPLETE_SIGNATURE,
    EMU_EXPIRED_TOKEN,
    EMU_ACCESS_DENIED,
    EMU_CODE_COUNT
};

enum { EMU_ERROR_TEXT_MAX = 2048 };
struct emu_error {
    enum emu_code code; /* EMU_OK: not set */
    char message[EMU_ERROR_TEXT_MAX];
};
#define EMU_ERROR_INIT ((struct emu_error){.code = EMU_OK})

/* Sets *x; returns false, so that `return emu_fail(…);` reads well. Long text is cut. */
bool emu_fail(struct emu_error *x, enum emu_code code, const char *fmt, ...) BERTH_PRINTF(3, 4);
/* "RepositoryNotFoundException"; never NULL. */
const char *emu_code_type(enum emu_code code);
int emu_code_status(enum emu_code code);

enum emu_mutability {
    EMU_MUTABLE,
    EMU_IMMUTABLE,
    EMU_IMMUTABLE_WITH_EXCLUSION, /* tags that match a filter are mutable */
    EMU_MUTABLE_WITH_EXCLUSION    /* tags that match a filter are immutable */
};
enum emu_encryption { EMU_AES256, EMU_KMS_KEY, EMU_KMS_DSSE };
enum emu_applied_for { /* bits */
                       EMU_CREATE_ON_PUSH = 1,
                       EMU_PULL_THROUGH_CACHE = 2,
                       EMU_REPLICATION = 4
};

struct emu_resource_tag {
    char *key;
    char *value; /* may be "" */
};

/* What a template gives to a repository, and a repository has. */
struct emu_settings {
    enum emu_mutability mutability;
    char *filters[EMU_FILTERS_MAX]; /* exclusion filters, type WILDCARD */
    size_t n_filters;
    enum emu_encryption encryption;
    char *kms_key; /* as given; NULL with KMS stands for the key aws/ecr */
    struct emu_resource_tag *tags;
    size_t n_tags;        /* <= EMU_RESOURCE_TAGS_MAX */
    char *policy;         /* as AWS prints it */
    char *lifecycle;      /* verbatim */
    bool is_scan_on_push; /* of a repository; no template gives it */
};
/* Frees what it holds; zero after. */
void emu_settings_fini(struct emu_settings *s);
void emu_settings_copy(struct emu_settings *to, const struct emu_settings *from);
/* Adds or replaces by key; false where that would make more than EMU_RESOURCE_TAGS_MAX. */
bool emu_settings_tag(struct emu_settings *s, struct str key, struct str value) BERTH_NODISCARD;

struct emu_template {
    uint64_t seq; /* order of creation */
    char *prefix; /* "ROOT", or without trailing slash (with it, where that is distinct) */
    char *description;
    unsigned applied_for; /* enum emu_applied_for bits */
    struct emu_settings settings;
    char *custom_role_arn;
    int64_t created_ms;
    int64_t updated_ms;
};

struct emu_image {
    uint64_t seq;
    char *digest;
    char *manifest; /* byte-exact, NUL-terminated for convenience */
    size_t manifest_len;
    char *media_type;
    char *artifact_type; /* artifactType, else config.mediaType; may be NULL */
    char *subject;       /* digest of subject; may be NULL */
    char **layers;       /* digests of config and layers, without duplicates */
    size_t n_layers;
    char **children; /* digests of an index's manifests */
    size_t n_children;
    uint32_t parents;    /* indexes of this repository that name it */
    uint64_t size_bytes; /* config and layers (an index: 0) and the manifest itself */
    char **tags;         /* sorted by nothing: order of tagging */
    size_t n_tags;
    int64_t pushed_ms;
    int64_t pulled_ms; /* 0: never */
};

struct emu_repository {
    uint64_t seq;
    char *name;
    struct emu_settings settings;
    bool is_created_on_push;
    char *created_by_prefix; /* the template that gave it its settings; NULL: none did */
    int64_t created_ms;
    int64_t lifecycle_evaluated_ms; /* 0: never */
    struct map *images; /* digest -> struct emu_image *; NULL in a version of the past */
    struct map *tags;   /* tag -> struct emu_image * (of the same repository) */
};
/* Name, settings and dates, without images. Free with emu_repository_free(). */
struct emu_repository *emu_repository_copy(const struct emu_repository *r) BERTH_NODISCARD;
/* With its images, if it has some. Returns NULL. */
struct emu_repository *emu_repository_free(struct emu_repository *r);

struct emu_stats {
    uint64_t uploaded_bytes; /* blob bodies completed by upload */
    uint64_t uploaded_blobs;
    uint64_t mounted_bytes;
    uint64_t mounted_blobs;
    uint64_t manifest_bytes; /* held now */
    uint64_t repositories;
    uint64_t images;
    uint64_t templates;
};

struct emu_store;
struct blobs; /* blob_priv.h */

/* behavior is copied; clock and blobs outlive the store. */
struct emu_store *emu_store_new(const struct emulator_behavior *behavior, const struct clock *clock,
                                struct blobs *blobs, struct str account,
                                struct str region) BERTH_NODISCARD;
struct emu_store *emu_store_free(struct emu_store *s);
/*
 * Makes the store keep its state in directory `dir` (which exists and is the caller's alone): reads
 * what the journal there has, or begins one. The store is new, nobody uses it yet, and its blobs
 * keep their files in a directory that stays (blobs_open_directory()). A journal that ends in the
 * middle of a record (a crash, nothing acknowledged) is cut there. ERR_INVALID: the journal is
 * damaged elsewhere, of a newer format, or of another account, region or behaviour; the message
 * names file and offset, or both values.
 */
bool emu_store_load(struct emu_store *s, const char *dir, struct err *e) BERTH_NODISCARD;
/*
 * Waits until all that was committed before the call is on disk, together with others who wait.
 * The lock is not held. True at once for a store without a journal. False: the disk failed, and
 * what is in memory may not be what a restart finds: nothing is acknowledged any more.
 */
bool emu_store_flush(struct emu_store *s, struct err *e) BERTH_NODISCARD;
void emu_store_lock(struct emu_store *s);
void emu_store_unlock(struct emu_store *s);
const struct emu_stats *emu_store_stats_locked(const struct emu_store *s);

/* Counts a control call; false where there were more than behavior allows in this second. */
bool emu_store_take_call_locked(struct emu_store *s) BERTH_NODISCARD;

/* ---- account settings: name -> value ---- */
bool emu_store_blob_mounting_locked(const struct emu_store *s);
/* NULL where the name is unknown to AWS. */
const char *emu_store_setting_locked(const struct emu_store *s, struct str name);
bool emu_store_put_setting_locked(struct emu_store *s, struct str name, struct str value,
                                  struct emu_error *x) BERTH_NODISCARD;

/* ---- templates ---- */
/* Takes *t (allocated by mem_alloc) on success; sets seq and times. Template exists, too many. */
bool emu_store_add_template_locked(struct emu_store *s, struct emu_template *t,
                                   struct emu_error *x) BERTH_NODISCARD;
/* By prefix, a trailing slash being the same (or not, see behavior). NULL where absent. */
struct emu_template *emu_store_template_locked(struct emu_store *s, struct str prefix);
/* Gives the template of next's prefix all that next has, and a new updated_ms. Takes *next on
 * success; pointers to the template stay good. */
bool emu_store_update_template_locked(struct emu_store *s, struct emu_template *next,
                                      struct emu_error *x) BERTH_NODISCARD;
bool emu_store_remove_template_locked(struct emu_store *s, struct emu_template *t,
                                      struct emu_error *x) BERTH_NODISCARD; /* frees */
/* prefix -> struct emu_template *, in order of creation (of seq). */
const struct map *emu_store_templates_locked(const struct emu_store *s);
struct emu_template *emu_template_free(struct emu_template *t);
struct emu_template *emu_template_copy(const struct emu_template *t) BERTH_NODISCARD;
/*
 * The template for a repository that ECR itself would create: longest prefix by whole path
 * segments among those applied for `purpose`, ROOT for the rest; NULL: none applies. A prefix does
 * not cover the repository of exactly its name.
 */
struct emu_template *emu_store_match_template_locked(struct emu_store *s, struct str repository,
                                                     enum emu_applied_for purpose);

/* ---- repositories ---- */
/* NULL and *x (RepositoryNotFoundException, AWS's text; x may be NULL) where absent. */
struct emu_repository *emu_store_repository_locked(struct emu_store *s, struct str name,
                                                   struct emu_error *x);
/* Copies settings. Name must be valid (emu_repository_name_ok()). Exists, too many. */
bool emu_store_create_repository_locked(struct emu_store *s, struct str name,
                                        const struct emu_settings *settings,
                                        struct emu_repository **ret,
                                        struct emu_error *x) BERTH_NODISCARD;
/*
 * The repository for a push: the existing one, or one created from its template. Call it for the
 * start of an upload, and (unless behavior says not) for the PUT of a manifest; never for reads.
 * False: RepositoryNotFoundException (no template; or its tags or KMS lack a custom role, as ECR
 * lets its client see), InvalidParameterException (a bad name), LimitExceededException.
 */
bool emu_store_repository_for_push_locked(struct emu_store *s, struct str name,
                                          struct emu_repository **ret,
                                          struct emu_error *x) BERTH_NODISCARD;
/* Gives the repository the settings of next, a copy of it (emu_repository_copy()) that the caller
 * has changed. Takes *next on success; pointers to the repository stay good. */
bool emu_store_update_repository_locked(struct emu_store *s, struct emu_repository *next,
                                        struct emu_error *x) BERTH_NODISCARD;
bool emu_store_remove_repository_locked(struct emu_store *s, struct emu_repository *r,
                                        struct emu_error *x) BERTH_NODISCARD; /* frees */
/* name -> struct emu_repository *, in order of creation (of seq). */
const struct map *emu_store_repositories_locked(const struct emu_store *s);
/* ECR's grammar, 2-256 characters. Pure. */
bool emu_repository_name_ok(struct str name);
/* The same without the bounds on length. Pure. */
bool emu_repository_grammar_ok(struct str name);

/* ---- layers: whose links and references blob_priv.h keeps ---- */
/* A blob that an upload completed and blobs_session_keep() pinned is the repository's; counts it.
 * False: the repository went meanwhile, or the journal failed. */
bool emu_store_link_locked(struct emu_store *s, struct str repository, struct str digest,
                           int64_t size_bytes, struct emu_error *x) BERTH_NODISCARD;
/*
 * Mounts digest of repository `from` into `to` if ECR's rules hold: the setting is enabled, `from`
 * is named, exists and is not `to`, the blob is referenced by a manifest pushed there, same
 * encryption type and key. False: not mounted, *ret_why is a static word ("disabled", "no-source",
 * "encryption", "unreferenced", "journal"). The target having the blob already is true, and nothing
 * counted.
 */
bool emu_store_mount_locked(struct emu_store *s, struct emu_repository *to, struct str from,
                            struct str digest, const char **ret_why) BERTH_NODISCARD;

/* ---- images ---- */
/* By tag, or by digest where reference is "sha256:…". NULL where absent. */
struct emu_image *emu_repository_image_locked(struct emu_repository *r, struct str reference);
/* May the tag, if it exists, not be moved or overwritten? By mutability and exclusion filters. */
bool emu_repository_is_tag_immutable(const struct emu_repository *r, struct str tag);
/* Does `filter` (`*` = any characters) match the whole tag? Pure, linear. */
bool emu_filter_matches(struct str filter, struct str tag);

struct emu_put_image {
    struct str manifest;   /* the bytes */
    struct str media_type; /* Content-Type or imageManifestMediaType; absent: the manifest's own */
    struct str tag;        /* absent: by digest only */
    struct str digest;     /* absent: not checked */
};
/*
 * Puts an image under all rules. *ret is the image, set also with EMU_IMAGE_ALREADY_EXISTS (same
 * manifest, same tag or none: /v2/ answers 201 to that unless the tag is immutable) and NULL on
 * every other failure: InvalidParameter ('Invalid JSON syntax'), ImageDigestDoesNotMatch,
 * LayersNotFound, ReferencedImagesNotFound, ImageTagAlreadyExists, LimitExceeded.
 */
bool emu_store_put_image_locked(struct emu_store *s, struct emu_repository *r,
                                const struct emu_put_image *put, struct emu_image **ret,
                                struct emu_error *x) BERTH_NODISCARD;
/* Removes one tag; the image stays (untagged). */
bool emu_store_untag_locked(struct emu_store *s, struct emu_repository *r, struct str tag,
                            struct emu_error *x) BERTH_NODISCARD;
/* Removes the image and its tags, and drops its references to blobs (blobs_drop_manifest()).
 * The caller has seen to it that no index names it (image->parents == 0). Frees. */
bool emu_store_remove_image_locked(struct emu_store *s, struct emu_repository *r,
                                   struct emu_image *i, struct emu_error *x) BERTH_NODISCARD;
/* Somebody pulled it now. A journal that cannot be written leaves the old date. */
void emu_store_pulled_locked(struct emu_store *s, struct emu_repository *r, struct emu_image *i);

/* ---- the past ---- */
/*
 * A store that shows account settings, templates and repositories (without images) as they were at
 * mono_ms of the store's clock, or at the earliest that is known: the last EMU_HISTORY_CHANGES_MAX
 * changes are kept. For reading, and only while the lock is held; frees by emu_store_view_free().
 */
struct emu_store *emu_store_view_locked(struct emu_store *s, int64_t mono_ms) BERTH_NODISCARD;
struct emu_store *emu_store_view_free(struct emu_store *view);
