// SPDX-License-Identifier: Apache-2.0
/*
 * Which is newer, what we wrote or what a read shows? ECR is eventually consistent: a read just
 * after a write may show the state before it. A write wins for REGISTRY_WRITE_WINS_MS, unless the
 * read proves a later change by its dates. Pure.
 */
#include "registry_priv.h"

bool registry_read_wins(const struct registry_versions *v)
{
    if (v->read_started_ms >= v->write_ms + REGISTRY_WRITE_WINS_MS)
        return true;
    if (v->was_deleted)
        /* gone, or created anew by someone since */
        return !v->is_in_read || v->read_created_at != v->write_created_at;
    if (!v->is_in_read)
        return false;
    if (v->read_created_at > v->write_created_at || v->read_updated_at > v->write_updated_at)
        return true;
    /* the read has caught up: nothing is left to remember */
    return v->is_same && v->read_updated_at == v->write_updated_at;
}
