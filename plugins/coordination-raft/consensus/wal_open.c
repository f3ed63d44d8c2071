/* wal_open.c: reading and judging what is on the disk. See wal.h. */
#include "wal_int.h"

enum { SEGMENTS_MAX = 65536 };

typedef struct reading {
    cr_wal *w;
    cr_wal_found *found;
    char *why;
    uint64_t *numbers; /* of segments, sorted */
    uint32_t n, cap, spares;
    char foreign[CR_NAME_MAX]; /* a file of libraft's */
    int has_mark, started;
    uint64_t known; /* entries below this one stood in segments that are gone */
    uint64_t entries_cap;
    uint64_t chain, batch, end; /* behind the last batch read */
    char name[CR_NAME_MAX];
} reading;

#define REFUSE(r, ...) (snprintf((r)->why, CR_WAL_WHY, __VA_ARGS__), QD_E_CORRUPT)
typedef unsigned long long llu;

/* --- names --- */

static int digits(const char *s)
{
    return *s >= '0' && *s <= '9';
}

static void on_name(void *arg, const char *name, uint64_t size)
{
    reading *r = arg;
    uint64_t number = strlen(name) == 20 ? cr_segment_number(name) : 0;
    if (number && r->n < SEGMENTS_MAX) {
        if (r->n == r->cap) {
            r->cap = r->cap ? r->cap * 2 : 64;
            r->numbers = cr_must_grow(r->w->config.heap, r->numbers, r->cap * sizeof *r->numbers);
        }
        uint32_t i = r->n++;
        for (; i && r->numbers[i - 1] > number; i--) r->numbers[i] = r->numbers[i - 1];
        r->numbers[i] = number;
    } else if (strcmp(name, CR_MARK_NAME) == 0) {
        r->has_mark = 1;
    } else if (strcmp(name, CR_SPARE_NAME) == 0 && size == r->w->config.segment_bytes) {
        r->w->spare = 1;
    } else if (!number && (strcmp(name, "metadata1") == 0 || strcmp(name, "metadata2") == 0 ||
                           (strncmp(name, "open-", 5) == 0 && digits(name + 5)))) {
        snprintf(r->foreign, sizeof r->foreign, "%.60s", name);
    }
}

/* --- the mark --- */

/* A damaged slot, or bytes between the two: the other slot tells what is needed, a person is told.
 */
static int32_t look_at_mark(reading *r, uint8_t slots[2][CR_MARK_SLOT], const int sound[2])
{
    static const uint8_t zeros[CR_MARK_APART];
    uint8_t between[CR_MARK_APART - CR_MARK_SLOT];
    size_t got;
    cr_wal *w = r->w;
    for (uint64_t i = 0; i < 2; i++) {
        int written = memcmp(slots[i], zeros, CR_MARK_SLOT) != 0;
        if (!sound[i] && written) r->found->damaged_mark = 1 + i * CR_MARK_APART;
    }
    int32_t rc = w->config.disk->read(w->mark_file, CR_MARK_SLOT, between, sizeof between, &got);
    if (rc) return cr_wal_fail(w, rc, "reading", CR_MARK_NAME, r->why);
    if (memcmp(between, zeros, got) != 0) r->found->damaged_mark = 1 + CR_MARK_SLOT;
    return 0;
}

static int32_t read_mark(reading *r, int fresh)
{
    cr_wal *w = r->w;
    cr_disk *d = w->config.disk;
    uint8_t slots[2][CR_MARK_SLOT];
    cr_mark m[2];
    int sound[2] = {0, 0};
    if (!r->has_mark && !fresh)
        return REFUSE(r, "its file " CR_MARK_NAME " is gone: it tells how far the log was durable");
    if (!r->has_mark) {
        int32_t rc = d->create(d, CR_MARK_NAME, CR_MARK_APART + CR_MARK_SLOT, &w->mark_file);
        return rc ? cr_wal_fail(w, rc, "creating", CR_MARK_NAME, r->why) : 0;
    }
    int32_t rc = d->open(d, CR_MARK_NAME, &w->mark_file);
    for (uint64_t i = 0; rc == 0 && i < 2; i++) {
        size_t got;
        rc = d->read(w->mark_file, i * CR_MARK_APART, slots[i], CR_MARK_SLOT, &got);
        sound[i] = rc == 0 && got == CR_MARK_SLOT && cr_mark_read(slots[i], &m[i]);
    }
    if (rc) return cr_wal_fail(w, rc, "reading", CR_MARK_NAME, r->why);
    if (!sound[0] && !sound[1])
        return w->config.create && r->n <= 1
                   ? 0
                   : REFUSE(r, CR_MARK_NAME " at offset 0 and %d: damaged", CR_MARK_APART);
    rc = look_at_mark(r, slots, sound);
    if (rc) return rc;
    int newer = sound[1] && (!sound[0] || m[1].number > m[0].number);
    w->mark = m[newer];
    if (memcmp(w->mark.cluster, w->config.cluster, 16) != 0 || w->mark.id != w->config.id) {
        snprintf(r->why, CR_WAL_WHY,
                 "the log is of node %llu of another cluster or of another node than the file node "
                 "says (%llu): a folder cannot be given to another node",
                 (llu)w->mark.id, (llu)w->config.id);
        return QD_E_CONFLICT;
    }
    return 0;
}

/* --- records --- */

static uint64_t last_of(const reading *r)
{
    return r->w->state.last;
}

static void drop_above(reading *r, uint64_t index)
{
    cr_wal_found *f = r->found;
    while (f->nentries && f->entries[f->nentries - 1]->index > index)
        cr_log_entry_drop(f->entries[--f->nentries]);
}

static void drop_upto(reading *r, uint64_t index)
{
    cr_wal_found *f = r->found;
    uint64_t k = 0;
    while (k < f->nentries && f->entries[k]->index <= index) cr_log_entry_drop(f->entries[k++]);
    if (k) memmove(f->entries, f->entries + k, (f->nentries - k) * sizeof *f->entries);
    f->nentries -= k;
}

static const char *read_entry(reading *r, cr_reader *p)
{
    cr_wal_found *f = r->found;
    uint64_t index = cr_get64(p), term = cr_get64(p);
    uint8_t type = cr_get8(p);
    if (p->bad || type > CR_LOG_MEMBERS || p->n > CR_WAL_ENTRY_MAX) return "a malformed entry";
    if (index != last_of(r) + 1) return "an entry that does not follow the one before";
    if (f->nentries == r->entries_cap) {
        r->entries_cap = r->entries_cap ? r->entries_cap * 2 : 1024;
        f->entries =
            cr_must_grow(r->w->config.heap, f->entries, r->entries_cap * sizeof *f->entries);
    }
    f->entries[f->nentries++] =
        cr_log_entry_make(r->w->config.heap, index, term, type, p->p, (uint32_t)p->n);
    r->w->state.last = index;
    cr_segment_note(r->w, r->w->segments[r->w->nsegments - 1].number, index);
    return NULL;
}

/* A checkpoint of the first segment is the beginning; of a later one it must fit. */
static const char *read_checkpoint(reading *r, cr_reader *p)
{
    cr_wal_state s, *now = &r->w->state;
    if (!cr_checkpoint_read(p, &s)) return "a malformed checkpoint";
    if (!r->started) {
        *now = s;
        r->known = s.last + 1;
        r->started = 1;
        return NULL;
    }
    if (QD_MUTANT(raft, WAL_MISSING_SEGMENT)) {
        if (s.last != now->last) drop_above(r, 0);
        *now = s;
        return NULL;
    }
    if (s.term != now->term || s.vote != now->vote || s.base != now->base ||
        s.base_term != now->base_term || s.last != now->last || s.recoveries != now->recoveries)
        return "a checkpoint that contradicts the log before it";
    return NULL;
}

static const char *read_record(reading *r, uint8_t type, cr_reader *p)
{
    cr_wal_state *s = &r->w->state;
    if (type == CR_R_CHECKPOINT) return read_checkpoint(r, p);
    if (!r->started) return "a record before any checkpoint";
    if (type == CR_R_ENTRY) return read_entry(r, p);
    uint64_t a = cr_get64(p), b = type == CR_R_CUT || type == CR_R_RECOVERED ? 0 : cr_get64(p);
    uint64_t c = type == CR_R_PEER ? cr_get64(p) : 0;
    if (p->bad || p->n) return "a malformed record";
    switch (type) {
    case CR_R_HARD:
        if (a < s->term) return "a term that falls";
        s->term = a;
        s->vote = b;
        return NULL;
    case CR_R_CUT:
        if (a < s->base || a > s->last) return "a cut outside of the log";
        drop_above(r, a);
        s->last = a;
        if (r->known > a + 1) r->known = a + 1;
        return NULL;
    case CR_R_RESET:
        drop_above(r, 0);
        s->base = s->last = a;
        s->base_term = b;
        r->known = a + 1;
        return NULL;
    case CR_R_DROP:
        if (a < s->base || a > s->last) return "a beginning outside of the log";
        drop_upto(r, a);
        s->base = a;
        s->base_term = b;
        return NULL;
    case CR_R_PEER:
        cr_wal_peer_note(s->peers, &s->npeers, (cr_wal_peer){a, b, c});
        return NULL;
    case CR_R_RECOVERED:
        s->recoveries = a;
        return NULL;
    default:
        return "a record of an unknown type";
    }
}

static const char *read_payload(reading *r, const uint8_t *p, size_t n)
{
    cr_reader all = {.p = p, .n = n};
    while (all.n) {
        uint8_t type = cr_get8(&all);
        uint32_t bytes = cr_get32(&all);
        const uint8_t *at = cr_get(&all, bytes);
        if (all.bad) return "a record longer than its batch";
        cr_reader one = {.p = at, .n = bytes};
        const char *wrong = read_record(r, type, &one);
        if (wrong) return wrong;
    }
    return NULL;
}

/* --- segments --- */

/* A sound batch further on that was written when the one missing here was durable. */
static int later_batch(const uint8_t *p, size_t from, size_t n, uint64_t missing)
{
    cr_batch_head h;
    for (size_t at = (from + 8) & ~(size_t)7; at + CR_BATCH_HEAD <= n; at += 8)
        if (cr_batch_read(p + at, n - at, &h) && h.number > missing && h.synced >= missing)
            return 1;
    return 0;
}

/* Bytes that belong to nothing are zeros: of others, the first place is told. */
static void look_at_zeros(reading *r, const uint8_t *p, size_t from, size_t upto, uint64_t number,
                          int tail)
{
    static const uint8_t zeros[4096];
    while (upto - from > sizeof zeros && memcmp(p + from, zeros, sizeof zeros) == 0)
        from += sizeof zeros;
    while (from < upto && p[from] == 0) from++;
    if (from == upto || r->found->stray_segment) return;
    r->found->stray_segment = number;
    r->found->stray = from;
    r->found->stray_tail = tail;
}

/* Reads the batches; up to `end` when the next segment says so (0: it is the newest). */
static int32_t read_batches(reading *r, const uint8_t *p, size_t n, uint64_t number, uint64_t end)
{
    const cr_mark *m = &r->w->mark;
    size_t at = CR_SEGMENT_HEAD;
    while (at < n && (end == 0 || at < end)) {
        cr_batch_head h;
        int sound =
            cr_batch_read(p + at, n - at, &h) && h.before == r->chain && h.number == r->batch + 1;
        if (!sound && QD_MUTANT(raft, WAL_TORN_TAIL) && end == 0 && n - at > CR_BATCH_HEAD &&
            cr_load32(p + at + 4) && cr_batch_bytes(cr_load32(p + at + 4)) <= n - at) {
            h.bytes = cr_load32(p + at + 4);
            h.number = r->batch + 1;
            h.sum = cr_load64(p + at + 40);
            sound = 1;
        }
        if (!sound) break;
        const char *wrong = read_payload(r, p + at + CR_BATCH_HEAD, h.bytes);
        if (wrong && !QD_MUTANT(raft, WAL_TORN_TAIL))
            return REFUSE(r,
                          "%s at offset %zu: %s (its checksum is right: written by a fault of "
                          "the program's or by another version)",
                          r->name, at, wrong);
        r->chain = h.sum;
        r->batch = h.number;
        look_at_zeros(r, p, at + CR_BATCH_HEAD + h.bytes, at + cr_batch_bytes(h.bytes), number, 0);
        at += cr_batch_bytes(h.bytes);
    }
    r->end = at;
    look_at_zeros(r, p, at, n, number, 1);
    if (end && at != end)
        return REFUSE(r,
                      "%s at offset %zu: damaged, though the next segment says that the log goes "
                      "on up to offset %llu",
                      r->name, at, (llu)end);
    if (end || QD_MUTANT(raft, WAL_MARK_IGNORED)) return 0;
    if (m->segment == number && m->end > at)
        return REFUSE(
            r,
            "%s at offset %zu: damaged or cut off, though batch %llu up to offset %llu had "
            "been made durable: acknowledged changes are lost",
            r->name, at, (llu)m->batch, (llu)m->end);
    if (at < n && later_batch(p, at, n, r->batch + 1))
        return REFUSE(r,
                      "%s at offset %zu: damaged, though later batches show that it had been "
                      "made durable: acknowledged changes are lost",
                      r->name, at);
    return 0;
}

static int32_t load_file(reading *r, const char *name, uint8_t **out, size_t *n)
{
    cr_disk *d = r->w->config.disk;
    cr_file *f;
    size_t max = r->w->config.segment_bytes > 64u << 20 ? r->w->config.segment_bytes : 64u << 20;
    size_t cap = r->w->config.segment_bytes;
    int32_t rc = d->open(d, name, &f);
    if (rc) return cr_wal_fail(r->w, rc, "opening", name, r->why);
    *out = NULL;
    for (*n = 0; rc == 0;) { /* of another size when the setting was another one */
        *out = cr_must_grow(r->w->config.heap, *out, cap);
        size_t got;
        rc = d->read(f, *n, *out + *n, cap - *n, &got);
        *n += rc ? 0 : got;
        if (rc || *n < cap || cap >= max) break;
        cap *= 2;
    }
    d->close(f);
    if (rc == 0) return 0;
    cr_free(r->w->config.heap, *out);
    return cr_wal_fail(r->w, rc, "reading", name, r->why);
}

/* The head of a segment: 1 when nothing was ever durable in it, and it may go. */
static int32_t read_head(reading *r, uint32_t i, cr_segment_head *h, int *unused)
{
    uint8_t bytes[CR_SEGMENT_HEAD] = {0};
    cr_disk *d = r->w->config.disk;
    cr_file *f;
    size_t got;
    char name[CR_NAME_MAX];
    cr_segment_name(r->numbers[i], name);
    int32_t rc = d->open(d, name, &f);
    if (rc) return cr_wal_fail(r->w, rc, "opening", name, r->why);
    rc = d->read(f, 0, bytes, sizeof bytes, &got);
    d->close(f);
    if (rc) return cr_wal_fail(r->w, rc, "reading", name, r->why);
    int state = cr_segment_head_read(bytes, h);
    int newest = i + 1 == r->n;
    *unused = state != 0 && state != -2 && newest && r->w->mark.segment < r->numbers[i];
    if (*unused) return 0;
    if (state == -2)
        return REFUSE(r, "%s at offset 4: of another format version; this one reads version %d",
                      name, CR_WAL_VERSION);
    if (state || h->number != r->numbers[i])
        return REFUSE(r, "%s at offset 0: the segment's head is damaged", name);
    if (memcmp(h->cluster, r->w->config.cluster, 16) != 0 || h->id != r->w->config.id)
        return REFUSE(r, "%s at offset 24: a segment of another node's log", name);
    if (h->life > r->w->mark.life) { /* the newer slot of the mark was lost */
        r->w->mark.life = h->life;
        r->w->mark.nonces[h->life % CR_WAL_LIVES] = h->nonce;
    }
    return 0;
}

static int32_t check_names(reading *r)
{
    cr_wal *w = r->w;
    for (uint32_t i = 1; i < r->n; i++)
        if (r->numbers[i] != r->numbers[i - 1] + 1 && !QD_MUTANT(raft, WAL_MISSING_SEGMENT))
            return REFUSE(r, "segment %016llx.log is missing between others of the log",
                          (llu)r->numbers[i - 1] + 1);
    if ((r->n == 0 || w->mark.segment > r->numbers[r->n - 1]) && !QD_MUTANT(raft, WAL_MARK_IGNORED))
        return REFUSE(r,
                      "segment %016llx.log is missing: the log went on in it, acknowledged changes "
                      "are lost",
                      (llu)w->mark.segment);
    return 0;
}

static int32_t read_segments(reading *r)
{
    cr_wal *w = r->w;
    cr_disk *d = w->config.disk;
    cr_segment_head head = {0}, next = {0};
    int unused = 0;
    int32_t rc = check_names(r);
    if (rc == 0 && r->n) rc = read_head(r, r->n - 1, &next, &unused);
    if (rc || r->n == 0) return rc;
    if (unused) { /* the last one was begun, and nothing in it was durable */
        cr_segment_name(r->numbers[--r->n], r->name);
        (void)d->remove(d, r->name);
        rc = check_names(r);
        if (rc || r->n == 0) return rc;
    }
    rc = read_head(r, 0, &head, &unused);
    r->chain = head.before_chain;
    r->batch = head.batch - 1;
    for (uint32_t i = 0; rc == 0 && i < r->n; i++) {
        uint8_t *p = NULL;
        size_t n = 0;
        if (i + 1 < r->n) rc = read_head(r, i + 1, &next, &unused);
        if (rc) break;
        cr_segment_name(r->numbers[i], r->name);
        rc = load_file(r, r->name, &p, &n);
        if (rc) break;
        cr_segment_note(w, r->numbers[i], 0);
        if (QD_MUTANT(raft, WAL_MISSING_SEGMENT)) {
            r->chain = head.before_chain;
            r->batch = head.batch - 1;
        }
        rc = read_batches(r, p, n, r->numbers[i], i + 1 < r->n ? next.before_end : 0);
        cr_free(w->config.heap, p);
        if (rc == 0 && i + 1 < r->n && !QD_MUTANT(raft, WAL_MISSING_SEGMENT) &&
            (r->chain != next.before_chain || r->batch + 1 != next.batch))
            rc = REFUSE(r,
                        "%s does not lead to the segment behind it: one of them is of another "
                        "time",
                        r->name);
        head = next;
    }
    return rc;
}

/* --- all of it --- */

static int32_t judge(reading *r)
{
    cr_wal_state *s = &r->w->state;
    cr_wal_found *f = r->found;
    if (r->known > s->base + 1 && s->last > s->base && !QD_MUTANT(raft, WAL_MISSING_SEGMENT))
        return REFUSE(r, "entries %llu to %llu stood in a segment that is missing",
                      (llu)s->base + 1, (llu)r->known - 1);
    drop_upto(r, s->base);
    f->life = r->w->mark.life + 1;
    f->recoveries = s->recoveries;
    f->term = s->term;
    f->vote = s->vote;
    f->base = s->base;
    f->base_term = s->base_term;
    f->npeers = s->npeers;
    memcpy(f->peers, s->peers, sizeof s->peers);
    return 0;
}

/* What stands behind the mark was written, but who says that it is on the platter? It is written
 * once more, as a sync that failed may have left it looking clean, and synced. */
static int32_t settle_last(reading *r)
{
    cr_wal *w = r->w;
    cr_disk *d = w->config.disk;
    cr_file *f;
    uint8_t *p;
    size_t n;
    uint64_t number = r->n ? r->numbers[r->n - 1] : 0;
    uint64_t from = w->mark.segment == number ? w->mark.end : 0;
    if (r->n == 0 || from >= r->end || QD_MUTANT(raft, WAL_TAIL_UNSYNCED)) return 0;
    int32_t rc = load_file(r, r->name, &p, &n);
    if (rc) return rc;
    rc = d->open(d, r->name, &f);
    if (rc == 0) {
        if (n > r->end) n = r->end;
        if (n > from && !QD_MUTANT(raft, WAL_TAIL_BELIEVED))
            rc = d->write(f, from, p + from, n - from);
        if (rc == 0) rc = d->sync(f);
        d->close(f);
    }
    cr_free(w->config.heap, p);
    return rc ? cr_wal_fail(w, rc, "syncing", r->name, r->why) : 0;
}

/* What a sealed segment does not use goes back to the file system; no harm when it does not. */
static void cut_last(reading *r)
{
    cr_disk *d = r->w->config.disk;
    cr_file *f;
    if (r->n == 0 || d->open(d, r->name, &f)) return;
    (void)d->cut(f, r->end);
    d->close(f);
}

static int32_t open_all(reading *r)
{
    cr_wal *w = r->w;
    cr_disk *d = w->config.disk;
    int32_t rc = d->list(d, on_name, r);
    if (rc) return cr_wal_fail(w, rc, "listing", "the log's folder", r->why);
    if (*r->foreign)
        return REFUSE(r,
                      "it holds a log of an older version (%s), which this version does not read: "
                      "start the older version, take a snapshot of what matters or note the "
                      "settings, and begin with an empty folder",
                      r->foreign);
    /* what a first opening left that was interrupted says nothing yet */
    int fresh = !r->has_mark && (r->n == 0 || (r->n == 1 && w->config.create));
    if (fresh && !w->config.create) {
        snprintf(r->why, CR_WAL_WHY, "there is no log");
        return QD_E_NOTFOUND;
    }
    (void)d->remove(d, CR_SPARE_ASIDE);
    rc = read_mark(r, fresh);
    if (rc == 0 && w->mark.segment == 0 && w->config.create && r->n <= 1) fresh = 1;
    if (rc == 0 && fresh && r->n) {
        cr_segment_name(r->numbers[0], r->name);
        rc = d->remove(d, r->name);
        r->n = 0;
    }
    r->found->fresh = fresh;
    r->chain = cr_chain_begin(w->config.cluster, w->config.id);
    if (rc == 0 && !fresh) rc = read_segments(r);
    if (rc == 0) rc = judge(r);
    if (rc) return rc;
    w->first = r->n ? r->numbers[0] : 1;
    w->chain = r->chain;
    w->batch = w->synced = r->batch;
    w->at = r->end;
    memcpy(w->mark.cluster, w->config.cluster, 16);
    w->mark.id = w->config.id;
    w->mark.life = r->found->life;
    w->mark.nonces[w->mark.life % CR_WAL_LIVES] = w->config.nonce;
    memcpy(r->found->nonces, w->mark.nonces, sizeof w->mark.nonces);
    rc = settle_last(r);
    if (rc == 0) rc = cr_segment_begin(w, r->why);
    if (rc == 0) rc = cr_wal_settle(w, r->why);
    if (rc == 0) cut_last(r);
    return rc;
}

int32_t cr_wal_open(const cr_wal_config *config, cr_wal **out, cr_wal_found *found, char *why)
{
    cr_wal *w = cr_must(config->heap, sizeof *w);
    memset(w, 0, sizeof *w);
    memset(found, 0, sizeof *found);
    w->config = *config;
    w->out.heap = config->heap;
    reading r = {.w = w, .found = found, .why = why};
    int32_t rc = open_all(&r);
    cr_free(config->heap, r.numbers);
    if (rc)
        cr_wal_close(w);
    else
        *out = w;
    return rc;
}

void cr_wal_found_clear(const cr_heap *h, cr_wal_found *f)
{
    for (uint64_t i = 0; i < f->nentries; i++) cr_log_entry_drop(f->entries[i]);
    cr_free(h, f->entries);
    f->entries = NULL;
    f->nentries = 0;
}
