// SPDX-License-Identifier: Apache-2.0
/*
 * The answer to a request: warnings or the denial, audit annotations, one line in the log, and the
 * counters.
 */
#include "base/mem.h"
#include "request_priv.h"
#include "web/server.h"

#include <stdio.h>

enum {
    ANSWER_MAX = 256 * 1024,
    LIST_MAX = 1024,
    DENIAL_MAX = 4096,
    /* of one image: a reference may have 4096, a foreign text any length */
    DENIAL_IMAGE_MAX = 1024,
    DENIAL_END_MAX = 64 /* "; ", and how many more */
};

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

/* Warnings travel in a header: the API server drops one with control characters (Unicode's Cc, C1
 * included) as a whole, and so would a peer's text that is quoted here silence it. */
static struct str one_line(struct str text, struct arena *a)
{
    char *out = arena_alloc(a, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        const bool is_c1 = c == 0xC2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xA0;
        out[i] = c < 0x20 || c == 0x7F || is_c1 ? ' ' : (char)c;
        if (is_c1)
            out[++i] = ' ';
    }
    return str_n(out, text.len);
}

/* The end of it, which in names tells more; cut where a character begins. */
static struct str last_of(struct str name, size_t max, struct arena *a)
{
    static const struct str dots = {STR_INIT("…")};
    if (name.len <= max || max <= dots.len)
        return name;
    name = str_from_offset(name, name.len - (max - dots.len));
    while (name.len > 0 && ((unsigned char)name.ptr[0] & 0xC0) == 0x80)
        name = str_from_offset(name, 1);
    return arena_printf(a, "%.*s%.*s", STR_ARG(dots), STR_ARG(name));
}

/* At most max bytes, in one line. What is too long is cut: the name first, and the detail where
 * that is not enough. */
struct str image_says(const struct request *r, const struct image *i, size_t max, struct arena *a)
{
    const struct words w = words_of(r, i, a);
    struct str name = image_name(i, a);
    const size_t fixed = str_from(w.before).len + str_from(w.after).len;
    if (fixed + name.len + w.detail.len > max) {
        const size_t room = max > fixed ? max - fixed : 0;
        const size_t least = room / 2 + 20; /* of the name, where both are long */
        name = last_of(name, w.detail.len + least < room ? room - w.detail.len : least, a);
    }
    struct str text =
        arena_printf(a, "%s%.*s%s%.*s", w.before, STR_ARG(name), w.after, STR_ARG(w.detail));
    if (text.len > max)
        text = arena_printf(a, "%.*s…", STR_ARG(str_cut_utf8(text, max - 3)));
    return one_line(text, a);
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
    if (r->is_cut)
        warnings[ret->warning_count++] = arena_printf(
            &r->arena, "the object names more than %d images: the rest was not looked at",
            ADMISSION_IMAGES_MAX);
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
    size_t more = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->images[i].decision.action != API_ACTION_DENY)
            continue;
        const struct str says = image_says(r, &r->images[i], DENIAL_IMAGE_MAX, &r->arena);
        if (more > 0 || out.len + says.len + DENIAL_END_MAX > DENIAL_MAX) {
            more++;
            continue;
        }
        if (out.len > 0)
            buf_append_cstr(&out, "; ");
        buf_append(&out, says);
    }
    if (more > 0)
        buf_printf(&out, "; and %zu more images are denied", more);
    return arena_copy(&r->arena, buf_str(&out));
}

static bool is_listed(const struct image *i, bool only_created)
{
    return i->facts.kind == IMAGE_OURS && (!only_created || i->facts.outcome == ENSURE_CREATED);
}

struct str request_repositories(struct request *r, bool only_created)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIST_MAX);
    for (size_t i = 0; i < r->count; i++) {
        const struct image *image = &r->images[i];
        if (!is_listed(image, only_created))
            continue;
        bool is_repeated = false;
        for (size_t n = 0; n < i && !is_repeated; n++)
            is_repeated = is_listed(&r->images[n], only_created) &&
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

void admission_begin_metrics(struct admission *a)
{
    static const char *const steps[] = {"decode", "lookup", "ecr", "total"};
    for (int reason = 0; reason < REASONS; reason++) {
        const unsigned actions = image_reason_actions((enum image_reason)reason);
        for (int action = API_ACTION_ALLOW; action <= API_ACTION_DENY; action++)
            if ((actions & 1U << action) != 0)
                metric_begin(a->requests,
                             (const char *[]){action_word((enum api_action)action),
                                              image_reason_name((enum image_reason)reason)});
    }
    metric_begin(a->requests, admission_malformed);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        metric_begin(a->seconds, &steps[i]);
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
        .repositories = request_repositories(r, false),
        .created = request_repositories(r, true),
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
