// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting a watch into events. The API server sends one JSON object a line,
 * {"type":"ADDED","object":{…}}; bytes come at any split. A line that is longer than the maximum
 * keeps its head and is marked, so that memory is bounded and its object can still be named.
 * Linear in the bytes fed. No I/O, no clock; one thread.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>

enum { FRAME_MAX_BYTES = 4 << 20 };

enum frame_type {
    FRAME_ADDED,
    FRAME_MODIFIED,
    FRAME_DELETED,
    FRAME_BOOKMARK,
    FRAME_ERROR,
    FRAME_INVALID /* no event: `object` is the whole line */
};

struct frame {
    enum frame_type type;
    struct str object; /* JSON text, valid during the callback */
    bool is_cut;       /* the line was too long: `object` is the head of the object's text */
};

struct frame_decoder {
    struct buf line; /* what came of a line that has not ended */
    bool is_cut;
    bool is_out_of_memory;
};

#define FRAME_DECODER_INIT(MAX_BYTES) ((struct frame_decoder){.line = BUF_INIT(MAX_BYTES)})
void kube_frame_decoder_fini(struct frame_decoder *d);

/* Calls on_frame for each line that ends in data (empty lines are skipped). False: a callback
 * returned false, or memory is out (is_out_of_memory), and what followed was not read. What is
 * left of a line when the peer ends is no event: it was cut off. */
bool kube_frame_decoder_feed(struct frame_decoder *d, struct str data,
                             bool (*on_frame)(void *arg, const struct frame *f), void *arg);
