// SPDX-License-Identifier: Apache-2.0
/*
 * What somebody can do about an error of the API server: the same words in the log and at /readyz.
 */
#include "reconcile_priv.h"

#include <string.h>

const char *reconcile_hint(const struct err *e)
{
    if (strcmp(e->reason, "NamespaceNotFound") == 0)
        return "create the namespace, or name another one as leaderElection.namespace";
    if (strcmp(e->reason, "TLSFailed") == 0)
        return "certificate-authority of the kubeconfig (ca.crt of a pod) must be the CA of the "
               "API server's certificate, and server a name or address in that";
    if (e->http_status == 401)
        return "the API server does not accept the operator's credentials: renew those of the "
               "kubeconfig or of the pod's service account; what is in a file or comes from a "
               "plug-in is taken up by itself, the rest at the next start";
    if (e->http_status == 403 && e->cls == ERR_DENIED)
        return "grant the operator's user the roles of docs/running.md";
    /* the server does not know the kind: most often the CRDs were not applied */
    if (e->http_status == 404 || e->cls == ERR_NOT_FOUND)
        return "apply manifests/crds.yaml of this version";
    return NULL;
}
