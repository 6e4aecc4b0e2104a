// SPDX-License-Identifier: Apache-2.0
/*
 * The language of paths and texts (admission/kinds.h), compiled once and then followed.
 */
#pragma once

#include "admission/kinds.h"

enum step_kind {
    STEP_MEMBER, /* .name or ['name'] */
    STEP_ALL,    /* [*] */
    STEP_INDEX,  /* [3] */
    STEP_MATCH   /* [name=value] */
};
struct step {
    enum step_kind kind;
    struct str name;
    struct str value;
    size_t index;
};
struct path {
    struct step *steps;
    size_t count;
    bool is_many; /* has a step that may lead to several values */
};

enum piece_kind { PIECE_LITERAL, PIECE_REGISTRY, PIECE_PATH };
struct piece {
    enum piece_kind kind;
    struct str literal;
    struct path path;
};
/* A path (one piece, is_text false), or a text. */
struct expression {
    bool is_text;
    struct piece *pieces;
    size_t count;
};

/* ERR_INVALID: "column 7: …". The arena keeps what is compiled, a copy of the text too. */
bool expression_compile(struct str text, struct arena *a, struct expression *ret,
                        struct err *e) BERTH_NODISCARD;

typedef bool expression_fn(void *arg, struct str text);
/* Calls each(arg) for every string that it leads to; false where each() said so. */
bool expression_follow(const struct expression *x, const struct json *object,
                       struct str registry_host, struct arena *a, expression_fn *each, void *arg);
