// SPDX-License-Identifier: Apache-2.0
/*
 * The state on disk: a header that says whose it is, then records of changes. A snapshot is the
 * changes that lead from nothing to the state, and a mark behind them.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "change_priv.h"
#include "journal_priv.h"
#include "store_data_priv.h"
#include "store_impl_priv.h"

static const char format_name[] = "ecr-emulator";

/* ---- writing ---- */

static const char *slash_word(const struct emu_store *s)
{
    return s->behavior.is_slash_distinct ? "distinct" : "same";
}

static void print_header(const struct emu_store *s, struct buf *out)
{
    struct json_writer w = json_writer_to(out);

    json_begin_object(&w);
    json_put_cstr(&w, "format", format_name);
    json_put_int(&w, "version", JOURNAL_FORMAT);
    json_put_cstr(&w, "account", s->account);
    json_put_cstr(&w, "region", s->region);
    json_put_cstr(&w, "trailingSlash", slash_word(s));
    json_put_int(&w, "nextSeq", (int64_t)s->next_seq);
    json_end(&w);
}

bool emu_store_record_locked(struct emu_store *s, const struct emu_change *changes, size_t n,
                             struct err *e)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_RECORD_MAX);
    struct json_writer w = json_writer_to(&text);

    json_begin_array(&w);
    for (size_t i = 0; i < n; i++)
        emu_change_write(&w, &changes[i]);
    json_end(&w);
    if (!json_write_ok(&w))
        return err_set(e, ERR_INVALID, "TooLarge", "the change is too large for the journal");
    return journal_append(s->journal, buf_str(&text), e);
}

struct snapshot {
    struct emu_store *store;
    struct journal_rewrite *rewrite;
    struct buf text;
    struct str repository; /* whose links are being put */
};

static void put(struct snapshot *p, const struct emu_change *c)
{
    struct json_writer w;

    buf_reset(&p->text);
    w = json_writer_to(&p->text);
    json_begin_array(&w);
    emu_change_write(&w, c);
    json_end(&w);
    journal_put(p->rewrite, buf_str(&p->text));
}

static void put_link(void *arg, struct str digest, const struct blob_info *info)
{
    struct snapshot *p = arg;

    put(p, &(struct emu_change){.kind = EMU_CHANGE_LINK,
                                .name = p->repository,
                                .digest = digest,
                                .size_bytes = info->size_bytes,
                                .is_mounted = info->is_mounted});
}

static void put_image(struct snapshot *p, struct emu_image *i)
{
    put(p, &(struct emu_change){.kind = EMU_CHANGE_IMAGE, .name = p->repository, .image = i});
    for (size_t n = 0; n < i->n_tags; n++)
        put(p, &(struct emu_change){.kind = EMU_CHANGE_TAG,
                                    .name = p->repository,
                                    .digest = str_from(i->digest),
                                    .tag = str_from(i->tags[n])});
}

static void put_repository(struct snapshot *p, struct emu_repository *r)
{
    p->repository = str_from(r->name);
    put(p, &(struct emu_change){.kind = EMU_CHANGE_REPOSITORY, .repository = r});
    blobs_links_each(p->store->blobs, p->repository, put_link, p);
    /* in order of pushing: what an index names comes before it */
    for (struct map_entry *it = map_first(r->images); it; it = map_next(it))
        put_image(p, map_value(it));
}

static void write_snapshot(void *arg, struct journal_rewrite *rewrite)
{
    struct emu_store *s = arg;
    struct snapshot p = {.store = s, .rewrite = rewrite, .text = BUF_INIT(EMU_RECORD_MAX)};

    print_header(s, &p.text);
    journal_put(rewrite, buf_str(&p.text));
    for (size_t i = 0; i < ARRAY_SIZE(s->settings); i++)
        if (s->settings[i] != NULL)
            put(&p, &(struct emu_change){.kind = EMU_CHANGE_SETTING,
                                         .name = str_from(emu_setting_name(i)),
                                         .value = str_from(s->settings[i])});
    for (struct map_entry *it = map_first(s->templates); it; it = map_next(it))
        put(&p, &(struct emu_change){.kind = EMU_CHANGE_TEMPLATE, .template = map_value(it)});
    for (struct map_entry *it = map_first(s->repositories); it; it = map_next(it))
        put_repository(&p, map_value(it));
    journal_put(rewrite, STR("\"snapshot\""));
    buf_fini(&p.text);
}

/* ---- reading ---- */

struct load {
    struct emu_store *store;
    struct journal_reader reader;
    bool has_header;
    bool has_snapshot;
};

static bool check_same(const struct json *v, const char *member, const char *ours, struct err *e)
{
    struct str theirs = json_str_or_null(json_get(v, member));

    return str_eq_cstr(theirs, ours) ||
           err_set(e, ERR_INVALID, "OtherRegistry",
                   "the directory is that of %s %.*s, and this emulator has %s: start it with the "
                   "same, or name another directory",
                   member, STR_ARG(str_cut_utf8(theirs, 80)), ours);
}

static bool read_header(struct load *load, const struct json *v, struct err *e)
{
    struct emu_store *s = load->store;
    int64_t version = json_i64_or(json_get(v, "version"), 0);

    if (!str_eq_cstr(json_str_or_null(json_get(v, "format")), format_name) || version < 1)
        return err_set(e, ERR_INVALID, "NotAJournal", "this is not a journal of ecr-emulator");
    if (version > JOURNAL_FORMAT)
        return err_set(e, ERR_INVALID, "NewerFormat",
                       "the directory was written by a newer ecr-emulator (format %lld, this one "
                       "reads %d): start that one, or name another directory",
                       (long long)version, JOURNAL_FORMAT);
    load->has_header = true;
    s->next_seq = (uint64_t)json_i64_or(json_get(v, "nextSeq"), 1);
    return check_same(v, "account", s->account, e) && check_same(v, "region", s->region, e) &&
           check_same(v, "trailingSlash", slash_word(s), e);
}

static bool read_change(struct load *load, const struct json *v, struct err *e)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct emu_change c;
    bool is_applied = false;

    if (!emu_change_read(v, &arena, &c, e))
        return false;
    is_applied = emu_store_apply_locked(load->store, &c);
    emu_change_fini(&c);
    return is_applied || err_set(e, ERR_INVALID, "Journal",
                                 "the change does not fit what came before it: put the file back "
                                 "from a copy, or start with an empty directory");
}

static bool read_record(void *arg, struct str text, struct err *e)
{
    struct load *load = arg;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;

    if (!json_parse(text, EMU_RECORD_MAX, &doc, e))
        return false;
    if (!load->has_header)
        return read_header(load, json_root(doc), e);
    if (json_is_string(json_root(doc))) {
        load->has_snapshot = true;
        return true;
    }
    for (const struct json *it = json_first(json_root(doc)); it; it = json_next(it))
        if (!read_change(load, it, e))
            return false;
    return true;
}

static bool check_complete(void *arg, struct err *e)
{
    const struct load *load = arg;

    return load->has_snapshot ||
           err_set(e, ERR_INVALID, "JournalDamaged",
                   "its beginning is not whole: put it back from a copy, or start with an empty "
                   "directory");
}

static void snapshot_of_load(void *arg, struct journal_rewrite *rewrite)
{
    const struct load *load = arg;

    write_snapshot(load->store, rewrite);
}

bool emu_store_load(struct emu_store *s, const char *dir, struct err *e)
{
    struct load *load = mem_alloc(sizeof(*load));
    bool is_ok = false;

    load->store = s;
    load->reader = (struct journal_reader){.record = read_record,
                                           .complete = check_complete,
                                           .snapshot = snapshot_of_load,
                                           .arg = load};
    emu_store_lock(s);
    s->load = load;
    s->is_loading = true;
    is_ok = journal_open(dir, &load->reader, &s->journal, e) && blobs_settle(s->blobs, e);
    if (is_ok)
        journal_compact(s->journal);
    s->is_loading = false;
    /* loading is no change that a stale answer could be from before */
    s->history = emu_history_free(s->history);
    s->history = emu_history_new();
    emu_store_unlock(s);
    return is_ok;
}

bool emu_store_flush(struct emu_store *s, struct err *e)
{
    struct map *dead = NULL;
    bool is_ok = false;

    if (s->journal == NULL)
        return true;
    /* what is dead now, is so by changes that are written: synced below, before the files go */
    dead = blobs_take_dead(s->blobs);
    is_ok = journal_sync(s->journal, e);
    if (is_ok)
        blobs_bury(s->blobs, dead);
    map_free(dead, NULL);
    return is_ok;
}
