// SPDX-License-Identifier: Apache-2.0
/*
 * The emulator: a local Amazon ECR registry (one account, one region) behind one listener that
 * serves ECR's JSON 1.1 API, STS GetCallerIdentity and the OCI registry API (/v2/).
 *
 * emulator_start() binds and serves on threads of its own; emulator_stop() joins them and removes
 * what was written to disk. State lives in memory, blobs in a temporary directory; or both in
 * data_dir, where they stay, and where what was acknowledged survives a crash at any moment. What
 * AWS leaves undocumented is a member of struct emulator_behavior, whose zero value is the
 * documented default.
 *
 * Thread rule: one thread starts and stops an emulator; nothing else is called meanwhile.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EMULATOR_CREDENTIALS_MAX = 64, /* key pairs that one emulator accepts */
    EMULATOR_ACCOUNT_DIGITS = 12
};

/* One accepted key pair; token is absent for long-term keys. */
struct emulator_credential {
    struct str access_key_id;
    struct str secret_access_key;
    struct str session_token;
};

/* AWS does not document these; each zero value is what we believe or what is safest to test with.
 */
struct emulator_behavior {
    /* UpdateRepositoryCreationTemplate without imageTagMutability: keep (false) or reset to MUTABLE
     * (true), as its prose says. */
    bool is_update_resetting_mutability;
    /* The template for a push: the longest prefix among those applied for CREATE_ON_PUSH (false),
     * or the longest of all, refused where it lacks CREATE_ON_PUSH (true). */
    bool is_longest_prefix_first;
    /* Are `prod` and `prod/` one template (false) or two (true)? */
    bool is_slash_distinct;
    /* DescribeRepositoryCreationTemplates with an unknown prefix: TemplateNotFoundException (false)
     * or left out of the answer (true). */
    bool is_unknown_prefix_left_out;
    /* Does the PUT of a manifest create the repository (false: yes), or only an upload (true)? */
    bool is_manifest_put_not_creating;
    /* /v2/: status of PATCH on an upload: 202 as the specification says (false), 201 as ECR (true).
     */
    bool is_patch_201;
    /* /v2/: status for a tag that is immutable; 0 = 400. */
    int tag_invalid_status;
    /* /v2/: status for a manifest whose layers are missing; 0 = 404. */
    int missing_layers_status;
    /* Most templates a registry has, LimitExceededException beyond; 0 = EMU_TEMPLATES_MAX. */
    int max_templates;
    /* Control calls a second before ThrottlingException; 0 = never. */
    int control_calls_per_second;
};

struct emulator_config {
    const char *listen;        /* "127.0.0.1:0", "[::1]:5000": a numeric address */
    struct str account;        /* 12 digits */
    struct str region;         /* [a-z0-9-]+ */
    const char *tls_cert_file; /* PEM; both or neither */
    const char *tls_key_file;
    const char *blob_parent_dir; /* where the temporary directory is made; NULL: $TMPDIR or /tmp */
    const char *data_dir;        /* made if absent; NULL: nothing is kept. Not with the former */
    struct emulator_credential credentials[EMULATOR_CREDENTIALS_MAX];
    size_t n_credentials; /* 0: test:test */
    struct emulator_behavior behavior;
    const struct clock *clock; /* NULL: clock_system() */
};

struct emulator;

/* Starts to serve. Views in cfg are copied. ERR_INVALID: a value of cfg is wrong (the message names
 * it); ERR_CONFLICT: the address is taken, or data_dir is in use, damaged, of a newer format or of
 * another registry; ERR_DENIED / ERR_NOT_FOUND: a file or directory. */
bool emulator_start(const struct emulator_config *cfg, struct emulator **ret,
                    struct err *e) BERTH_NODISCARD;
/* Stops serving, joins its threads, removes the blobs. NULL is fine; returns NULL. */
struct emulator *emulator_stop(struct emulator *emu);

/* "http://127.0.0.1:34567"; valid until emulator_stop(). */
const char *emulator_endpoint(const struct emulator *emu);
/* "127.0.0.1:34567", the host of image references. */
const char *emulator_registry(const struct emulator *emu);

/* Sets one behaviour by its documented name ("patch-status", "201"). ERR_INVALID names what is
 * accepted. */
bool emulator_behavior_set(struct emulator_behavior *b, struct str name, struct str value,
                           struct err *e) BERTH_NODISCARD;
/* The i-th behaviour as "name=a|b" and one sentence, for --help; false past the end. */
bool emulator_behavior_help(size_t i, const char **ret_name, const char **ret_values,
                            const char **ret_text);
