// SPDX-License-Identifier: Apache-2.0
/*
 * From an answer that is no success to a result or an error: the one place that knows
 * metav1.Status. The table is in kube/client.h. Pure.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"

enum {
    STATUS_MAX_BYTES = 1 << 20,
    STATUS_RETRY_AFTER_MAX_S = 3600 /* nobody waits longer on a peer's word */
};

/* http_status: of the answer, or a Status' own code where it came inside a watch (0: take that).
 * body: the Status as JSON, or any text (a proxy's page). retry_after: the header, may be absent.
 * what: the call, for the message ("get repositorycreationtemplates \"a\""). *e is set only with
 * KUBE_FAILED. */
enum kube_result kube_status_result(int http_status, struct str body, struct str retry_after,
                                    const char *what, struct err *e) BERTH_NODISCARD;
/* The same where absence, conflict and existence are failures too: always sets *e, returns
 * false. */
bool kube_status_fail(int http_status, struct str body, struct str retry_after, const char *what,
                      struct err *e);
