// SPDX-License-Identifier: Apache-2.0
/*
 * Every limit of the emulator on what others send, in one place. Those that AWS documents say so;
 * the others keep a test tool from eating the machine it runs on.
 */
#pragma once

#include <stddef.h>

enum {
    /* server */
    EMU_CONNECTIONS_MAX = 512,            /* one thread each; the next waits in the backlog */
    EMU_CONNECTION_BYTES = 48 * 1024,     /* buffer of one connection: bounds line and headers */
    EMU_CONNECTION_TIMEOUT_S = 120,       /* idle this long: closed */
    EMU_THREAD_STACK_BYTES = 1024 * 1024, /* of one connection's thread */
    EMU_HEADERS_MAX = 100,
    EMU_REPLY_HEADERS_MAX = 12,
    EMU_JSON_REPLY_MAX = 64 * 1024 * 1024, /* BatchGetImage: 100 manifests, escaped */

    /* control API */
    EMU_JSON_BODY_MAX = 9 * 1024 * 1024,     /* a 4 MiB manifest, each byte escaped, and more */
    EMU_FORM_BODY_MAX = 64 * 1024,           /* STS query protocol */
    EMU_CLOCK_SKEW_MS = 5 * 60 * 1000,       /* AWS: 5 minutes */
    EMU_TOKEN_LIFE_MS = 12 * 60 * 60 * 1000, /* AWS: 12 hours */
    EMU_LOG_ENTRIES_MAX = 50000,             /* GET /_emulator/requests; the oldest go first */
    EMU_LOG_BODY_MAX = 64 * 1024,            /* a longer request body is left out of the log */
    EMU_LOG_BYTES_MAX = 128 * 1024 * 1024,   /* all bodies in the log; the oldest go first */

    /* what AWS documents */
    EMU_MANIFEST_MAX = 4 * 1024 * 1024, /* imageManifest 1-4194304 */
    EMU_REPOSITORY_NAME_MAX = 256,
    EMU_TAG_NAME_MAX = 300, /* /v2/: 128, as the distribution specification says */
    EMU_RESOURCE_TAGS_MAX = 50,
    EMU_FILTERS_MAX = 5,
    EMU_FILTER_STARS_MAX = 2,
    EMU_REPOSITORIES_MAX = 100000,
    EMU_IMAGES_PER_REPOSITORY_MAX = 100000,
    EMU_TAGS_PER_IMAGE_MAX = 1000,
    EMU_POLICY_MAX = 10240,
    EMU_LIFECYCLE_MAX = 30720,
    EMU_LIFECYCLE_MIN = 100, /* PutLifecyclePolicy only */
    EMU_LIFECYCLE_RULES_MAX = 50,
    EMU_PAGE_DEFAULT = 100,

    /* ours */
    EMU_TEMPLATES_MAX = 10000,                  /* AWS publishes none */
    EMU_MANIFEST_LAYERS_MAX = 1000,             /* config and layers of one manifest */
    EMU_MANIFEST_CHILDREN_MAX = 1000,           /* manifests of one index */
    EMU_MANIFEST_BYTES_MAX = 512 * 1024 * 1024, /* all manifests held in memory */
    EMU_HISTORY_CHANGES_MAX = 1024,             /* versions of the past, for stale reads */

    /* --data */
    EMU_RECORD_MAX = 2 * EMU_MANIFEST_MAX + 1024 * 1024, /* of the journal: an escaped manifest */
    EMU_JOURNAL_COMPACT_MIN = 16 * 1024 * 1024, /* a smaller journal is not compacted … */
    EMU_JOURNAL_COMPACT_FACTOR = 2, /* … nor one not this many times the last snapshot */

    /* faults */
    EMU_FAULT_RULES_MAX = 64,
    EMU_FAULT_BODY_MAX = 16 * 1024,
    EMU_FAULT_TEXT_MAX = 1024,           /* of a pattern or a message in a rule */
    EMU_FAULT_DELAY_MS_MAX = 600 * 1000, /* delay, and how far back a stale read goes */
    EMU_FAULT_SKEW_MS_MAX = 1000 * 60 * 60 * 24
};
