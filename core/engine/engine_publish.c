/*
 * engine_publish.c: what a primary shows, as a list of files for other copies. See replica.h.
 *
 * A publication counts a reference on every file that it names, as a commit point does; whoever
 * drops the last one removes the file.
 */
#include "base/bits.h"
#include "base/hash.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <stdio.h>
#include <string.h>

#define WIRE_MAGIC 0x50524451u /* "QDRP" */
#define WIRE_HEAD 64u
#define WIRE_SEGMENT 64u

typedef struct held {
    qd_publication p; /* first */
    _Atomic uint32_t refs;
    qd_engine *e; /* NULL: decoded, holds no files */
    engine_pairs pairs;
} held;

static held *make(qd_account *account, uint32_t n, qd_err *err)
{
    held *h = qd_calloc(account, sizeof *h);
    if (h) h->p.segments = qd_calloc(account, ((size_t)n + 1) * sizeof *h->p.segments);
    if (!h || !h->p.segments) {
        qd_free(h);
        (void)qd_err_nomem(err, "publication");
        return NULL;
    }
    h->p.n = n;
    atomic_store(&h->refs, 1);
    return h;
}

static void describe(held *h)
{
    qd_assert(h->pairs.n == h->p.n);
    for (size_t i = 0; i < h->pairs.n; i++) {
        engine_pair p = h->pairs.at[i];
        qd_assert(p.segment->refs > 0 && (!p.file || p.file->owner == p.segment));
        const qd_file *f = qd_segment_file(p.segment->segment);
        qd_publication_segment *s = &h->p.segments[i];
        s->docs = s->live = qd_segment_docs(p.segment->segment);
        memcpy(s->id, qd_segment_id(p.segment->segment), 16);
        s->bytes = qd_file_bytes(f);
        s->hash = qd_file_hash(f);
        if (!p.file) continue;
        s->live = p.file->count;
        s->live_generation = p.file->generation;
        s->live_bytes = p.file->bytes;
        s->live_hash = p.file->hash;
    }
}

int qd_engine_publication(qd_engine *e, qd_publication **out, qd_err *err)
{
    QD_CHECK(e, ENGINE_MAGIC);
    engine_snapshot s;
    qd_engine_checkpoints at;
    int rc = qdi_engine_alive(e, err);
    if (rc) return rc;
    if (atomic_load(&e->mode) != QD_ENGINE_PRIMARY) {
        return qd_err_set(err, QD_E_NOT_PRIMARY, "%s is not the primary (any longer)", e->name);
    }
    if ((rc = qdi_engine_snapshot(e, false, &s, err))) return rc;
    held *h = make(e->account, (uint32_t)s.pairs.n, err);
    if (!h) {
        qdi_engine_snapshot_fini(e, &s);
        return QD_E_NOMEM;
    }
    qd_engine_checkpoints_get(e, &at);
    h->e = e;
    h->pairs = s.pairs;
    h->p.primary_term = s.published_term;
    h->p.generation = s.published_generation;
    h->p.max_seq_no = s.shown;
    h->p.global_checkpoint = at.global > s.shown ? at.global : s.shown;
    qd_engine_history(e, h->p.history);
    describe(h);
    *out = &h->p;
    return 0;
}

qd_publication *qd_publication_ref(qd_publication *p)
{
    uint32_t refs = atomic_fetch_add(&((held *)(void *)p)->refs, 1);
    qd_assert(refs > 0);
    return p;
}

void qd_publication_unref(qd_publication *p)
{
    held *h = (held *)(void *)p;
    if (!p) return;
    uint32_t refs = atomic_fetch_sub(&h->refs, 1);
    qd_assert(refs > 0);
    if (refs != 1) return;
    qd_assert(h->e || h->pairs.n == 0); /* one that was decoded holds no files */
    for (size_t i = 0; i < h->pairs.n; i++) qdi_engine_pair_drop(h->e, h->pairs.at[i]);
    qd_vec_fini(&h->pairs);
    qd_free(h->p.segments);
    qd_free(h);
}

int qd_publication_compare(const qd_publication *a, const qd_publication *b)
{
    if (a->primary_term != b->primary_term) return a->primary_term < b->primary_term ? -1 : 1;
    if (a->generation != b->generation) return a->generation < b->generation ? -1 : 1;
    return 0;
}

uint32_t qd_publication_files(const qd_publication *p)
{
    uint32_t n = p->n;
    for (uint32_t i = 0; i < p->n; i++) n += p->segments[i].live_generation > 0;
    return n;
}

/* Segments come first, in their order, then the live documents of those that have some. */
static const qd_publication_segment *file_of(const qd_publication *p, uint32_t file,
                                             uint32_t *segment, bool *live)
{
    *live = file >= p->n;
    *segment = file;
    if (!*live) return &p->segments[file];
    uint32_t k = file - p->n;
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->segments[i].live_generation == 0 || k-- > 0) continue;
        *segment = i;
        return &p->segments[i];
    }
    qd_assert(!"a file of the publication");
    return NULL;
}

void qd_publication_file_at(const qd_publication *p, uint32_t file, qd_publication_file *out)
{
    uint32_t segment;
    const qd_publication_segment *s = file_of(p, file, &segment, &out->live);
    out->bytes = out->live ? s->live_bytes : s->bytes;
    out->hash = out->live ? s->live_hash : s->hash;
    if (out->live) {
        char live[QD_LIVE_NAME_BYTES];
        qd_str name = qd_live_name(s->id, s->live_generation, live);
        qd_assert(name.n < sizeof out->name);
        memcpy(out->name, name.p, name.n);
        out->name[name.n] = 0;
        return;
    }
    memcpy(out->name, "seg-", 4);
    for (int i = 0; i < 16; i++) snprintf(out->name + 4 + 2 * i, 3, "%02x", s->id[i]);
}

int qd_publication_read(qd_publication *p, uint32_t file, uint64_t offset, void *buf, size_t n,
                        size_t *got, qd_err *err)
{
    held *h = (held *)(void *)p;
    bool live;
    uint32_t segment;
    const qd_publication_segment *s = file_of(p, file, &segment, &live);
    qd_assert(h->e && segment < h->pairs.n); /* a held one */
    if (!live) {
        qd_segment *open = h->pairs.at[segment].segment->segment;
        return qd_file_bytes_at(qd_segment_file(open), offset, buf, n, got, err);
    }
    char name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_file *f;
    int rc = qd_file_open(h->e->segment_store,
                          qdi_engine_live_name(h->e, s->id, s->live_generation, name), NULL,
                          h->e->account, &f, err);
    if (rc) return rc;
    rc = qd_file_bytes_at(f, offset, buf, n, got, err);
    qd_file_unref(f);
    return rc;
}

/* --- wire: head, segments, XXH3-64 of all before -----------------------------------------------
 */

int qd_publication_encode(const qd_publication *p, qd_buf *out, qd_err *err)
{
    size_t n = WIRE_HEAD + (size_t)p->n * WIRE_SEGMENT + 8;
    uint8_t *b = (uint8_t *)qd_buf_reserve(out, n), *at = b + WIRE_HEAD;
    if (!b) return qd_err_nomem(err, "encoded publication");
    memset(b, 0, n);
    qd_put_u32le(b, WIRE_MAGIC);
    qd_put_u32le(b + 4, p->n);
    qd_put_u64le(b + 8, p->primary_term);
    qd_put_u64le(b + 16, p->generation);
    qd_put_u64le(b + 24, (uint64_t)p->max_seq_no);
    qd_put_u64le(b + 32, (uint64_t)p->global_checkpoint);
    memcpy(b + 40, p->history, 16);
    for (uint32_t i = 0; i < p->n; i++, at += WIRE_SEGMENT) {
        const qd_publication_segment *s = &p->segments[i];
        memcpy(at, s->id, 16);
        qd_put_u32le(at + 16, s->docs);
        qd_put_u32le(at + 20, s->live);
        qd_put_u64le(at + 24, s->bytes);
        qd_put_u64le(at + 32, s->hash);
        qd_put_u64le(at + 40, s->live_generation);
        qd_put_u64le(at + 48, s->live_bytes);
        qd_put_u64le(at + 56, s->live_hash);
    }
    qd_assert(at + 8 == b + n);
    qd_put_u64le(at, qd_xxh3(b, n - 8));
    out->n += n;
    return 0;
}

static bool sound(const qd_publication *p)
{
    if (!qd_seq_no_sound(p->max_seq_no) || !qd_seq_no_sound(p->global_checkpoint) ||
        p->global_checkpoint < p->max_seq_no || p->primary_term > INT64_MAX ||
        p->generation > INT64_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        const qd_publication_segment *s = &p->segments[i];
        /* the bytes, too: a file is fetched by offsets that travel in the place of numbers */
        if (s->live > s->docs || s->bytes > QD_SEQ_NO_LIMIT || s->live_bytes > QD_SEQ_NO_LIMIT ||
            s->live_generation > INT64_MAX || (s->live_generation == 0 && s->live != s->docs)) {
            return false;
        }
    }
    return true;
}

int qd_publication_decode(qd_str in, qd_account *account, qd_publication **out, qd_err *err)
{
    const uint8_t *b = (const uint8_t *)in.p, *at = b + WIRE_HEAD;
    uint32_t n = in.n >= WIRE_HEAD ? qd_get_u32le(b + 4) : 0;
    if (in.n < WIRE_HEAD + 8 || qd_get_u32le(b) != WIRE_MAGIC || n > QD_COMMIT_SEGMENTS_MAX ||
        in.n != WIRE_HEAD + (size_t)n * WIRE_SEGMENT + 8 ||
        qd_get_u64le(b + in.n - 8) != qd_xxh3(b, in.n - 8)) {
        return qd_err_set(err, QD_E_CORRUPT,
                          "publication of %zu bytes: length or checksum do not match", in.n);
    }
    held *h = make(account, n, err);
    if (!h) return QD_E_NOMEM;
    h->p.primary_term = qd_get_u64le(b + 8);
    h->p.generation = qd_get_u64le(b + 16);
    h->p.max_seq_no = (int64_t)qd_get_u64le(b + 24);
    h->p.global_checkpoint = (int64_t)qd_get_u64le(b + 32);
    memcpy(h->p.history, b + 40, 16);
    for (uint32_t i = 0; i < n; i++, at += WIRE_SEGMENT) {
        qd_publication_segment *s = &h->p.segments[i];
        memcpy(s->id, at, 16);
        s->docs = qd_get_u32le(at + 16);
        s->live = qd_get_u32le(at + 20);
        s->bytes = qd_get_u64le(at + 24);
        s->hash = qd_get_u64le(at + 32);
        s->live_generation = qd_get_u64le(at + 40);
        s->live_bytes = qd_get_u64le(at + 48);
        s->live_hash = qd_get_u64le(at + 56);
    }
    int rc =
        sound(&h->p) ? 0 : qd_err_set(err, QD_E_CORRUPT, "publication: a number is out of range");
    if (!rc)
        rc = qd_commit_ids_once(h->p.segments, sizeof *h->p.segments, n, account, "publication",
                                err);
    if (rc) {
        qd_publication_unref(&h->p);
        return rc;
    }
    *out = &h->p;
    return 0;
}

void qd_engine_published(qd_engine *e, uint64_t *term, uint64_t *generation, int64_t *max_seq_no)
{
    qd_mutex_lock(&e->publish_lock);
    bool none = atomic_load(&e->reset_generation) != 0;
    if (term) *term = none ? 0 : e->published_term;
    if (generation) *generation = none ? 0 : e->published_generation;
    if (max_seq_no) *max_seq_no = none ? QD_SEQ_NO_NONE : e->shown_seq_no;
    qd_mutex_unlock(&e->publish_lock);
}
