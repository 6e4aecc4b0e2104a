// SPDX-License-Identifier: Apache-2.0
/*
 * GET and HEAD: the answer is made when the headers are there, on the loop thread.
 */
#include "server_priv.h"

#include <assert.h>

static const char text_type[] = "text/plain; charset=utf-8";

int web_get(struct connection *c, int method, struct str path)
{
    struct web_server *s = c->server;
    const bool is_head = method == LWSHUMETH_HEAD;
    if (s->o.handler == NULL)
        return web_exchange_refuse(c, 404, "not found\n");
    char query[WEB_QUERY_MAX];
    const struct web_request rq = {
        .method = is_head ? STR("HEAD") : STR("GET"),
        .path = path,
        .query = web_header_query(c->wsi, query),
    };
    struct web_response rs = {
        .status = 200, .content_type = text_type, .body = BUF_INIT(WEB_MAX_BODY_BYTES)};
    s->o.handler(s->o.arg, &rq, &rs);
    c->answer =
        (struct answer){.status = rs.status, .content_type = rs.content_type, .body = rs.body};
    if (!buf_ok(&c->answer.body))
        return web_exchange_refuse(c, 500, "the answer is too big\n");
    assert(rs.status >= 200 && rs.status <= 599);
    return web_exchange_answer(c, is_head);
}
