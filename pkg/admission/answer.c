// SPDX-License-Identifier: Apache-2.0
/*
 * The answer to a request: warnings or the denial, audit annotations, one line in the log, and the
 * counters.
 */
#include "base/mem.h"
#include "request_priv.h"
#include "web/server.h"

#include <stdio.h>

enum { ANSWER_MAX = 256 * 1024, LIST_MAX = 1024, DENIAL_MAX = 4096 };

/* --- what people are told -----------------------------------------------------------------------
 */

struct words {
    const char *before; /* the name of the image or repository */
    const char *after;
    struct str detail; /* after that */
};

static struct str name_of(const struct image *i)
{
    return i->facts.kind == IMAGE_OURS        ? i->parts.repository
           : i->facts.kind == IMAGE_UNMANAGED ? i->parts.host
                                              : i->text;
}

static struct str registry_of(const struct image *i, const char *what, struct arena *a)
{
    return i->registry != NULL ? arena_printf(a, "%s%.*s", what, STR_ARG(i->registry->name))
                               : STR("");
}

static struct words words_of(const struct request *r, const struct image *i, struct arena *a)
{
    const struct str none = STR("");
    switch (i->decision.reason) {
    case REASON_UNMANAGED:
        return (struct words){"registry ", " is not managed: no RegistrySettings names it", none};
    case REASON_INVALID:
        return (struct words){"image ", ": ECR can have no such repository", none};
    case REASON_IMAGE_MISSING:
        return (struct words){"image ", " is not there yet", none};
    case REASON_UNCOVERED:
        return (struct words){"repository ", " does not exist and no template covers it", none};
    case REASON_NOT_ENSURED:
        return (struct words){"repository ", " does not exist, and is not created here", none};
    case REASON_TEMPLATE_HELD:
        return (struct words){"repository ", " does not exist; paused or read-only is template ",
                              i->template};
    case REASON_READ_ONLY:
        return (struct words){"repository ", " does not exist; read-only is RegistrySettings ",
                              registry_of(i, "", a)};
    case REASON_NOT_ALLOWED:
        return (struct words){"repository ", " does not exist and is beyond allowedPrefixes", none};
    case REASON_WOULD_CREATE:
        return (struct words){"repository ", " would be created from template ", i->template};
    case REASON_CREATED:
        return (struct words){"repository ", " was created, its image is not there yet; template ",
                              i->template};
    case REASON_PENDING:
        return (struct words){"repository ", " is still being created",
                              i->error.len > 0 ? arena_printf(a, ": %.*s", STR_ARG(i->error))
                                               : none};
    case REASON_LIMITED:
        return (struct words){"repository ", " was not created: too many a minute in namespace ",
                              r->review.namespace};
    case REASON_REFUSED:
        return (struct words){"repository ", " was not created: ", i->error};
    case REASON_REGISTRY_NOT_READY:
        return (struct words){
            "repository ", " was not looked up: RegistrySettings ",
            arena_printf(a, "%.*s: %.*s", STR_ARG(i->registry->name),
                         STR_ARG(str_is_empty(i->registry->message) ? STR("it is being read")
                                                                    : i->registry->message))};
    case REASON_OVERLOADED:
        return (struct words){"repository ", ": too many requests wait for ECR", none};
    case REASON_ERROR:
        return (struct words){"repository ", ": ",
                              str_is_empty(i->error) ? STR("ECR could not be asked") : i->error};
    default:
        return (struct words){"", "", none};
    }
}

static struct str image_name(const struct image *i, struct arena *a)
{
    if (i->decision.reason != REASON_IMAGE_MISSING || i->facts.kind != IMAGE_OURS)
        return name_of(i);
    if (!str_is_empty(i->parts.digest))
        return arena_printf(a, "%.*s@%.*s", STR_ARG(i->parts.repository), STR_ARG(i->parts.digest));
    return arena_printf(a, "%.*s:%.*s", STR_ARG(i->parts.repository),
                        STR_ARG(str_is_empty(i->parts.tag) ? STR("latest") : i->parts.tag));
}

/* The text with at most max characters; what is too long is the name, whose end tells more, and
 * then the detail, whose beginning does. */
struct str image_says(const struct request *r, const struct image *i, size_t max, struct arena *a)
{
    const struct words w = words_of(r, i, a);
    struct str name = image_name(i, a);
    struct str text =
        arena_printf(a, "%s%.*s%s%.*s", w.before, STR_ARG(name), w.after, STR_ARG(w.detail));
    if (max == 0 || text.len <= max)
        return text;
    const size_t fixed = str_from(w.before).len + str_from(w.after).len;
    const size_t room = max > fixed + 3 ? max - fixed - 3 : 0; /* "…" is 3 bytes */
    if (name.len > room / 2 + 20 && name.len > 20) {
        const size_t keep = room / 2 + 20 < name.len ? room / 2 + 17 : name.len;
        /* names are ASCII, or are cut where a character begins */
        while (name.len > keep || (name.len > 0 && ((unsigned char)name.ptr[0] & 0xC0) == 0x80))
            name = str_from_offset(name, 1);
        name = arena_printf(a, "…%.*s", STR_ARG(name));
    }
    text = arena_printf(a, "%s%.*s%s%.*s", w.before, STR_ARG(name), w.after, STR_ARG(w.detail));
    return text.len <= max ? text : arena_printf(a, "%.*s…", STR_ARG(str_cut_utf8(text, max - 3)));
}

/* --- the parts of the answer --------------------------------------------------------------------
 */

static enum api_action worst(const struct request *r, enum image_reason *ret_reason)
{
    enum api_action action = API_ACTION_ALLOW;
    *ret_reason = r->count > 0 ? r->images[0].decision.reason : REASON_FOREIGN;
    for (size_t i = 0; i < r->count; i++) {
        const struct image_decision *d = &r->images[i].decision;
        const bool is_worse = d->action > action;
        /* of what is allowed, what was done or looked up says more than what is not ours */
        const bool says_more =
            d->action == action && *ret_reason <= REASON_PLACEHOLDER && d->reason > *ret_reason;
        if (is_worse || says_more)
            *ret_reason = d->reason;
        if (is_worse)
            action = d->action;
    }
    return action;
}

static const char *action_word(enum api_action action)
{
    return action == API_ACTION_DENY ? "deny" : action == API_ACTION_WARN ? "warn" : "allow";
}

static void list_warnings(struct request *r, struct review_answer *ret)
{
    struct str *warnings = arena_new_array(&r->arena, struct str, ADMISSION_WARNINGS_MAX);
    size_t more = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->images[i].decision.action != API_ACTION_WARN)
            continue;
        if (ret->warning_count < ADMISSION_WARNINGS_MAX - 1)
            warnings[ret->warning_count++] =
                image_says(r, &r->images[i], ADMISSION_WARNING_MAX, &r->arena);
        else
            more++;
    }
    if (more > 0)
        warnings[ret->warning_count++] =
            arena_printf(&r->arena, "%zu more images have warnings like these", more);
    ret->warnings = warnings;
}

static struct str denial(struct request *r)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(DENIAL_MAX);
    for (size_t i = 0; i < r->count; i++) {
        if (r->images[i].decision.action != API_ACTION_DENY)
            continue;
        if (out.len > 0)
            buf_append_cstr(&out, "; ");
        buf_append(&out, image_says(r, &r->images[i], 0, &r->arena));
    }
    return arena_copy(&r->arena, str_cut_utf8(buf_str(&out), DENIAL_MAX));
}

/* Repositories of ours, in the order of the images, each once; only created ones where asked. */
static struct str list_repositories(struct request *r, bool only_created)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIST_MAX);
    for (size_t i = 0; i < r->count; i++) {
        const struct image *image = &r->images[i];
        if (image->facts.kind != IMAGE_OURS ||
            (only_created && image->facts.outcome != ENSURE_CREATED))
            continue;
        bool is_repeated = false;
        for (size_t n = 0; n < i && !is_repeated; n++)
            is_repeated = r->images[n].facts.kind == IMAGE_OURS &&
                          str_eq(r->images[n].parts.repository, image->parts.repository);
        if (is_repeated)
            continue;
        if (out.len + image->parts.repository.len + 5 > LIST_MAX) {
            buf_append_cstr(&out, ",…");
            break;
        }
        if (out.len > 0)
            buf_append_char(&out, ',');
        buf_append(&out, image->parts.repository);
    }
    return arena_copy(&r->arena, buf_str(&out));
}

static void count(const struct request *r, enum api_action action, enum image_reason reason,
                  int64_t now_us)
{
    const struct admission *a = r->a;
    metric_add(a->requests, (const char *[]){action_word(action), image_reason_name(reason)}, 1);
    if (r->parked_us != 0)
        metric_observe(a->seconds, (const char *[]){"ecr"}, (double)(now_us - r->parked_us) / 1e6);
    metric_observe(a->seconds, (const char *[]){"total"}, (double)(now_us - r->began_us) / 1e6);
}

void request_answer(struct request *r)
{
    enum image_reason reason;
    const enum api_action action = worst(r, &reason);
    const int64_t now_us = admission_now_us();
    struct review_answer answer = {
        .uid = r->review.uid,
        .is_allowed = action != API_ACTION_DENY,
        .decision = str_from(action_word(action)),
        .repositories = list_repositories(r, false),
        .created = list_repositories(r, true),
        .source = r->parked_us != 0 ? STR("ecr") : STR("snapshot"),
        .milliseconds = (now_us - r->began_us) / 1000,
    };
    list_warnings(r, &answer);
    if (!answer.is_allowed)
        answer.message = denial(r);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(ANSWER_MAX);
    review_encode(&answer, &body);
    web_server_answer(r->a->server, r->call_id, 200, "application/json", &body);
    count(r, action, reason, now_us);
    log_info(r->a->o.log, "admission", KV("uid", r->review.uid),
             KV("namespace", r->review.namespace), KV("kind", r->review.kind),
             KV("name", r->review.name), KV("operation", r->review.operation),
             KV_BOOL("dryRun", r->review.is_dry_run), KV("repositories", answer.repositories),
             KV_CSTR("decision", action_word(action)), KV_CSTR("reason", image_reason_name(reason)),
             KV_INT("milliseconds", answer.milliseconds));
}
