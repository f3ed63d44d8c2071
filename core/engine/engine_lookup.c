/*
 * engine_lookup.c: documents by id, in a reader or by the version map.
 */
#include "base/str.h"
#include "engine/doc_sources.h"
#include "engine/document.h"
#include "engine/engine_int.h"
#include "segment/columns.h"
#include "segment/ids.h"
#include "segment/stored.h"
#include <string.h>

#define LOOKUP_ARENA_MAX ((size_t)1 << 32)

/* Plans one column of one document; *out is NULL where the segment lacks it. */
static int plan_column(const qd_segment *s, const char *name, const uint32_t *doc, qd_reads *r,
                       qd_arena *arena, qd_column_reader **out, qd_err *err)
{
    *out = NULL;
    uint32_t field = qd_segment_field_find(s, qd_str_c(name));
    if (field == QD_FIELD_NONE) return 0;
    const qd_column *c = qd_columns_get(qd_segment_columns(s), field);
    return c ? qd_column_plan_docs(c, doc, 1, r, arena, out, err) : 0;
}

static int number_of(qd_column_reader *rd, uint32_t doc, uint64_t *out, qd_err *err)
{
    const int64_t *v;
    uint32_t n = 0;
    int rc = rd ? qd_column_values(rd, doc, &v, &n, err) : 0;
    *out = !rc && n ? (uint64_t)v[0] : 0;
    return rc;
}

static int keep(qd_arena *arena, qd_str s, qd_str *out, qd_err *err)
{
    *out = qd_arena_str(arena, s);
    return out->p ? 0 : qd_err_nomem(err, "document");
}

/* A source as it is shown: of document doc of s, or, with s NULL, as it was sent. */
static int make_source(qd_engine *e, qd_segment *s, uint32_t doc, qd_arena *arena, qd_str *text,
                       qd_err *err)
{
    qd_mapping *m = e->source_mapping(e->write_doc_arg);
    qd_arena scratch;
    qd_buf b;
    qd_arena_init(&scratch, e->account, 0);
    qd_buf_init(&b, e->account, (size_t)2 << 30);
    int rc = s ? qd_sources_make(m, s, &doc, 1, text, arena, &scratch, err)
               : qd_synthetic_source(m, *text, false, e->account, &b, err);
    if (!rc && !s) rc = keep(arena, qd_buf_view(&b), text, err);
    qd_buf_fini(&b);
    qd_arena_fini(&scratch);
    qd_mapping_unref(m);
    return rc;
}

/* Fetches what is kept of document doc of a segment. */
static int read_hit(qd_engine *e, qd_segment *s, uint32_t doc, bool source, qd_arena *arena,
                    engine_hit *out, qd_err *err)
{
    qd_column_reader *version, *seq_no, *term, *routing = NULL, *apart = NULL;
    qd_stored_scratch scratch = {.account = e->account};
    const qd_stored *stored = source ? qd_segment_stored(s) : NULL;
    uint32_t slot = 0;
    qd_assert(doc < qd_segment_docs(s)); /* the table of ids was asked, which checks it */
    qd_reads *r = qd_reads_make(arena, e->account);
    if (!r) return qd_err_nomem(err, "look-up of a document");
    int rc = plan_column(s, "_version", &doc, r, arena, &version, err);
    if (!rc) rc = plan_column(s, "_seq_no", &doc, r, arena, &seq_no, err);
    if (!rc) rc = plan_column(s, "_primary_term", &doc, r, arena, &term, err);
    if (!rc && source) rc = plan_column(s, "_routing", &doc, r, arena, &routing, err);
    if (!rc && source) rc = plan_column(s, QD_FIELD_NAME_STORED, &doc, r, arena, &apart, err);
    if (!rc && stored) rc = qd_stored_plan(stored, doc, r, &slot, err);
    if (!rc) rc = qd_reads_fetch(r, err);
    if (!rc) rc = number_of(version, doc, &out->version, err);
    if (!rc) rc = number_of(seq_no, doc, &out->seq_no, err);
    if (!rc) rc = number_of(term, doc, &out->primary_term, err);
    qd_str text;
    bool some = false;
    if (!rc && routing) rc = qd_column_bytes(routing, doc, &text, &some, err);
    if (!rc && some) rc = keep(arena, text, &out->routing, err);
    some = false;
    if (!rc && apart) rc = qd_column_bytes(apart, doc, &text, &some, err);
    if (!rc && some) rc = keep(arena, text, &out->stored, err);
    if (!rc && stored) {
        rc = qd_stored_get(stored, doc, r, slot, &scratch, &text, err);
        out->source_stored = !rc && text.n > 0;
        if (!rc) rc = keep(arena, text, &out->source, err);
        if (!rc && e->source_mapping) rc = make_source(e, s, doc, arena, &out->source, err);
    }
    qd_stored_scratch_fini(&scratch);
    qd_reads_release(r);
    return rc;
}

int qdi_engine_lookup(qd_engine *e, const qd_reader *r, qd_str id, bool source, qd_arena *arena,
                      engine_hit *out, qd_err *err)
{
    uint64_t hash = qd_ids_hash(id);
    *out = (engine_hit){0};
    for (uint32_t i = r ? r->n : 0; i-- > 0;) { /* newest first: most updates hit young segments */
        const qd_reader_leaf *l = &r->leaf[i];
        const qd_ids *ids = qd_segment_ids(l->segment);
        uint32_t doc = QD_IDS_ABSENT;
        if (!ids) continue;
        int rc = qd_ids_lookup(ids, &id, &hash, 1, &doc, arena, err);
        if (rc) return rc;
        if (doc == QD_IDS_ABSENT || !qd_live_has(l->live, doc)) continue;
        qd_assert(i == 0 || l->unit != r->leaf[i - 1].unit); /* it names the leaf */
        out->found = true;
        out->unit = l->unit;
        out->doc = doc;
        return read_hit(e, l->segment, doc, source, arena, out, err);
    }
    return 0;
}

static int from_reader(qd_engine *e, qd_str id, bool want_source, qd_arena *arena,
                       qd_engine_doc *out, qd_err *err)
{
    engine_hit hit;
    qd_reader *r = qd_engine_reader(e);
    int rc = qdi_engine_lookup(e, r, id, want_source, arena, &hit, err);
    qd_reader_unref(r);
    if (rc) return rc;
    *out = (qd_engine_doc){
        .found = hit.found,
        .version = hit.version,
        .primary_term = hit.primary_term,
        .seq_no = (int64_t)hit.seq_no,
        .source = hit.source,
        .routing = hit.routing,
        .stored = hit.stored,
        .source_stored = hit.source_stored,
    };
    return 0;
}

static int from_translog(qd_engine *e, const qd_version_value *v, bool want_source, qd_arena *arena,
                         qd_engine_doc *out, qd_err *err)
{
    qd_translog_op op;
    *out = (qd_engine_doc){
        .found = true,
        .version = v->version,
        .primary_term = v->primary_term,
        .seq_no = (int64_t)v->seq_no,
    };
    int rc = qd_engine_sync(e, &v->at, err); /* never shows what a power loss could take back */
    if (rc || !want_source) return rc;
    if ((rc = qd_translog_read(e->translog, &v->at, arena, &op, err))) return rc;
    /* the map names the place of the operation that it tells of */
    qd_invariant(op.seq_no == v->seq_no && op.primary_term == v->primary_term);
    qd_invariant(op.version == v->version && op.type == QD_TRANSLOG_INDEX);
    out->source = op.source;
    out->routing = op.routing;
    out->source_stored = out->as_sent = true;
    return e->source_mapping ? make_source(e, NULL, 0, arena, &out->source, err) : 0;
}

static int realtime(qd_engine *e, qd_str id, bool want_source, qd_arena *arena, qd_engine_doc *out,
                    qd_err *err)
{
    for (int attempt = 0;; attempt++) {
        qd_version_value v;
        if (!qd_version_map_find(e->versions, id, &v))
            return from_reader(e, id, want_source, arena, out, err);
        if (v.deleted) {
            *out = (qd_engine_doc){
                .version = v.version, .seq_no = (int64_t)v.seq_no, .primary_term = v.primary_term};
            return qd_engine_sync(e, &v.at, err);
        }
        qd_assert(attempt <= 1); /* once a flush has come between, it is in the reader */
        qd_err gone;
        qd_err_init(&gone);
        int rc = from_translog(e, &v, want_source, arena, out, &gone);
        /* a flush came between: the document is in the reader now */
        if (rc == QD_E_NOTFOUND && attempt == 0) {
            qd_err_fini(&gone);
            continue;
        }
        if (rc) qd_err_copy(err, &gone);
        qd_err_fini(&gone);
        return rc;
    }
}

int qd_engine_get(qd_engine *e, qd_str id, bool real, bool want_source, qd_arena *arena,
                  qd_engine_doc *out, qd_err *err)
{
    uint64_t start = qd_env_mono_ns(e->env);
    *out = (qd_engine_doc){0};
    if (real && atomic_load_explicit(&e->mode, memory_order_relaxed) != QD_ENGINE_PRIMARY) {
        return qd_err_set(err, QD_E_NOT_PRIMARY, "%s is not the primary (any longer)", e->name);
    }
    int rc = id.n == 0 || id.n > QD_TRANSLOG_ID_MAX ? 0 /* cannot exist */
             : real                                 ? realtime(e, id, want_source, arena, out, err)
                    : from_reader(e, id, want_source, arena, out, err);
    atomic_fetch_add(&e->stats.get_total, 1);
    atomic_fetch_add(&e->stats.get_found, !rc && out->found);
    atomic_fetch_add(&e->stats.get_ns, qd_env_mono_ns(e->env) - start);
    return rc;
}
