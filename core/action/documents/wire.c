/* wire.c: see wire.h. */
#include "action/documents/wire.h"
#include <string.h>

#define ID_MAX 4096u /* longer ones are refused by the engine, with its own words */
#define NAME_MAX_BYTES 1024u
#define SOURCE_MAX ((size_t)1 << 31)

enum { /* bits of an operation */
       BIT_EMPTY_ID = 1,
       BIT_AUTO_ID = 2,
       BIT_VERSION = 4,
       BIT_WANT_SOURCE = 8,
       BITS_ALL = 15
};

/* A number of an operation, -1: none, -2: none was given. */
static int64_t seq_no_of(qd_body_reader *r)
{
    int64_t n = qd_read_zigzag(r, "_seq_no");
    if (n == QD_SEQ_NO_UNASSIGNED || qd_seq_no_sound(n)) return n;
    qd_body_reader_fail(r, "_seq_no", "is out of range");
    return QD_SEQ_NO_UNASSIGNED;
}

static const char *const results[] = {"created", "updated", "deleted", "not_found", "noop"};

static void write_item(qd_writer *w, const doc_item *i)
{
    qd_write_u8(w, (uint8_t)i->op);
    qd_write_u8(w, (uint8_t)((i->empty_id ? BIT_EMPTY_ID : 0) | (i->auto_id ? BIT_AUTO_ID : 0) |
                             (i->has_version ? BIT_VERSION : 0) |
                             (i->want_source ? BIT_WANT_SOURCE : 0)));
    qd_write_str(w, i->concrete);
    qd_write_c(w, i->index_uuid);
    qd_write_varint(w, i->shard);
    qd_write_str(w, i->id);
    qd_write_str(w, i->routing);
    qd_write_str(w, i->source);
    qd_write_u8(w, (uint8_t)i->version_type);
    qd_write_zigzag(w, i->version);
    qd_write_zigzag(w, i->if_seq_no);
    qd_write_zigzag(w, i->if_primary_term);
    qd_write_zigzag(w, i->retry_on_conflict);
}

void qdi_wire_items(qd_writer *w, const doc_wire_head *h, const doc_item *items,
                    const uint32_t *pick)
{
    qd_write_u64(w, h->revision);
    qd_write_zigzag(w, h->timeout_ms);
    qd_write_zigzag(w, h->active);
    qd_write_array(w, h->n);
    for (uint32_t k = 0; k < h->n; k++) write_item(w, &items[pick[k]]);
}

static void read_item(qd_body_reader *r, doc_item *i)
{
    qdi_item_init(i);
    uint8_t op = qd_read_u8(r, "operation"), bits = qd_read_u8(r, "bits of an operation");
    if (op > DOC_DELETE) qd_body_reader_fail(r, "operation", "is not known");
    if (bits & ~BITS_ALL) qd_body_reader_fail(r, "bits of an operation", "are not known");
    i->op = (doc_op)(op & 3);
    i->empty_id = bits & BIT_EMPTY_ID;
    i->auto_id = bits & BIT_AUTO_ID;
    i->has_version = bits & BIT_VERSION;
    i->want_source = bits & BIT_WANT_SOURCE;
    i->index = qd_read_str(r, "index", NAME_MAX_BYTES);
    qd_read_text(r, "uuid of the index", i->index_uuid, sizeof i->index_uuid);
    i->shard = (uint32_t)qd_read_varint_max(r, "shard", UINT32_MAX);
    i->id = qd_read_str(r, "id", SOURCE_MAX);
    i->routing = qd_read_str(r, "routing", SOURCE_MAX);
    i->source = qd_read_str(r, "source", SOURCE_MAX);
    uint8_t type = qd_read_u8(r, "version type");
    if (type > QD_VERSION_EXTERNAL_GTE) qd_body_reader_fail(r, "version type", "is not known");
    i->version_type = (qd_version_type)type;
    i->version = qd_read_zigzag(r, "version");
    i->if_seq_no = qd_read_zigzag(r, "if_seq_no");
    i->if_primary_term = qd_read_zigzag(r, "if_primary_term");
    i->retry_on_conflict = qd_read_zigzag(r, "retry_on_conflict");
    i->concrete = i->index;
    i->placed = true;
}

int qdi_wire_items_read(qd_str body, uint16_t version, qd_arena *arena, doc_wire_head *h,
                        doc_item **items, qd_err *err)
{
    qd_body_reader r;
    qd_body_reader_init(&r, body, "write of documents", version);
    h->revision = qd_read_u64(&r, "revision");
    h->timeout_ms = qd_read_zigzag(&r, "timeout");
    h->active = qd_read_zigzag(&r, "wait_for_active_shards");
    h->n = (uint32_t)qd_read_array(&r, "operations", QDI_WIRE_ITEMS_MAX, 13);
    *items = qd_arena_alloc(arena, (h->n + 1) * sizeof **items);
    if (!*items) return qd_err_nomem(err, "operations");
    for (uint32_t k = 0; k < h->n; k++) read_item(&r, &(*items)[k]);
    return qd_body_reader_check(&r, err);
}

static uint8_t result_number(const char *text)
{
    uint8_t k = 0;
    while (k < QD_COUNT_OF(results) - 1 && strcmp(results[k], text) != 0) k++;
    return k;
}

static void write_result(qd_writer *w, const doc_item *i)
{
    qd_err none;
    qd_write_bool(w, i->rc != 0);
    if (i->rc) {
        qd_err_init(&none);
        if (!i->err) (void)qd_err_set(&none, i->rc, "out of memory: details of the failure");
        qd_write_err(w, i->err ? i->err : &none);
        qd_err_fini(&none);
        return;
    }
    qd_write_varint(w, (uint64_t)i->status);
    qd_write_u8(w, result_number(i->result));
    qd_write_zigzag(w, i->done.seq_no);
    qd_write_varint(w, i->done.primary_term);
    qd_write_varint(w, i->done.version);
    qd_write_varint(w, i->copies);
    qd_write_varint(w, i->copies_good);
    qd_write_varint(w, i->copies_failed);
    qd_write_bool(w, i->touched_shard);
    bool source = i->want_source && i->got_source.p;
    qd_write_bool(w, source);
    if (source) qd_write_str(w, i->got_source);
}

void qdi_wire_results(qd_writer *w, const doc_item *items, uint32_t n)
{
    qd_write_array(w, n);
    for (uint32_t k = 0; k < n; k++) write_result(w, &items[k]);
}

static void read_failure(qd_body_reader *r, doc_item *i, qd_arena *arena)
{
    qd_err err;
    qd_err_init(&err);
    qd_read_err(r, &err);
    if (!qd_body_reader_bad(r)) qdi_item_fail(i, arena, &err);
    qd_err_fini(&err);
}

static void read_result(qd_body_reader *r, doc_item *i, qd_arena *arena)
{
    i->rc = 0;
    if (qd_read_bool(r, "failed")) {
        read_failure(r, i, arena);
        return;
    }
    i->status = (int)qd_read_varint_max(r, "status", 599);
    uint8_t result = qd_read_u8(r, "result");
    if (result >= QD_COUNT_OF(results)) {
        qd_body_reader_fail(r, "result", "is not known");
        return;
    }
    i->result = results[result];
    i->done.seq_no = seq_no_of(r);
    i->done.primary_term = qd_read_varint(r, "_primary_term");
    i->done.version = qd_read_varint(r, "_version");
    i->copies = (uint32_t)qd_read_varint_max(r, "copies", UINT32_MAX);
    i->copies_good = (uint32_t)qd_read_varint_max(r, "copies that have it", UINT32_MAX);
    i->copies_failed = (uint32_t)qd_read_varint_max(r, "copies that failed", UINT32_MAX);
    i->touched_shard = qd_read_bool(r, "written");
    if (qd_read_bool(r, "has a source")) {
        i->got_source = qd_read_str_copy(r, "source", SOURCE_MAX, arena);
    }
}

int qdi_wire_results_read(qd_str body, uint16_t version, qd_arena *arena, doc_item *items,
                          const uint32_t *pick, uint32_t n, qd_err *err)
{
    qd_body_reader r;
    qd_body_reader_init(&r, body, "results of a write", version);
    size_t got = qd_read_array(&r, "results", QDI_WIRE_ITEMS_MAX, 2);
    if (got != n) qd_body_reader_fail(&r, "results", "are not as many as were asked for");
    for (uint32_t k = 0; k < n && !qd_body_reader_bad(&r); k++)
        read_result(&r, &items[pick[k]], arena);
    return qd_body_reader_check(&r, err);
}

/* --- reads --- */

void qdi_wire_gets(qd_writer *w, uint64_t revision, const doc_read *reads, const uint32_t *pick,
                   uint32_t n)
{
    qd_write_u64(w, revision);
    qd_write_array(w, n);
    for (uint32_t k = 0; k < n; k++) {
        const doc_read *g = &reads[pick[k]];
        qd_write_c(w, g->uuid);
        qd_write_varint(w, g->shard);
        qd_write_str(w, g->id);
        qd_write_bool(w, g->realtime);
        qd_write_bool(w, g->refresh);
        qd_write_bool(w, g->want_source);
    }
}

int qdi_wire_gets_read(qd_str body, uint16_t version, qd_arena *arena, uint64_t *revision,
                       doc_read **reads, uint32_t *n, qd_err *err)
{
    qd_body_reader r;
    qd_body_reader_init(&r, body, "read of documents", version);
    *revision = qd_read_u64(&r, "revision");
    *n = (uint32_t)qd_read_array(&r, "documents", QDI_WIRE_ITEMS_MAX, 6);
    *reads = qd_arena_calloc(arena, (*n + 1) * sizeof **reads);
    if (!*reads) return qd_err_nomem(err, "documents to read");
    for (uint32_t k = 0; k < *n; k++) {
        doc_read *g = &(*reads)[k];
        qd_read_text(&r, "uuid of the index", g->uuid, sizeof g->uuid);
        g->shard = (uint32_t)qd_read_varint_max(&r, "shard", UINT32_MAX);
        g->id = qd_read_str(&r, "id", ID_MAX);
        g->realtime = qd_read_bool(&r, "realtime");
        g->refresh = qd_read_bool(&r, "refresh");
        g->want_source = qd_read_bool(&r, "with source");
    }
    return qd_body_reader_check(&r, err);
}

void qdi_wire_got(qd_writer *w, int rc, const qd_engine_doc *doc, const qd_err *err)
{
    qd_write_bool(w, rc != 0);
    if (rc) {
        qd_write_err(w, err);
        return;
    }
    qd_write_bool(w, doc->found);
    if (!doc->found) return;
    qd_write_varint(w, doc->version);
    qd_write_varint(w, doc->primary_term);
    qd_write_zigzag(w, doc->seq_no);
    qd_write_bool(w, doc->source_stored);
    qd_write_str(w, doc->source);
    qd_write_str(w, doc->routing);
}

int qdi_wire_got_read(qd_body_reader *r, qd_arena *arena, qd_engine_doc *doc, qd_err *err)
{
    *doc = (qd_engine_doc){0};
    if (qd_read_bool(r, "failed")) {
        qd_err why;
        qd_err_init(&why);
        qd_read_err(r, &why);
        int rc = why.code;
        if (rc && err) qd_err_copy(err, &why);
        qd_err_fini(&why);
        return qd_body_reader_bad(r) ? qd_body_reader_check(r, err) : rc;
    }
    doc->found = qd_read_bool(r, "found");
    if (doc->found) {
        doc->version = qd_read_varint(r, "_version");
        doc->primary_term = qd_read_varint(r, "_primary_term");
        doc->seq_no = seq_no_of(r);
        doc->source_stored = qd_read_bool(r, "source is stored");
        doc->source = qd_read_str_copy(r, "source", SOURCE_MAX, arena);
        doc->routing = qd_read_str_copy(r, "routing", SOURCE_MAX, arena);
    }
    return qd_body_reader_check(r, err);
}

/* --- refreshes --- */

void qdi_wire_marks(qd_writer *w, bool wait, const doc_mark *marks, const uint32_t *pick,
                    uint32_t n)
{
    qd_write_bool(w, wait);
    qd_write_array(w, n);
    for (uint32_t k = 0; k < n; k++) {
        const doc_mark *m = &marks[pick[k]];
        qd_write_c(w, m->uuid);
        qd_write_varint(w, m->shard);
        qd_write_zigzag(w, m->max_seq_no);
    }
}

int qdi_wire_marks_read(qd_str body, uint16_t version, doc_marks *out, qd_err *err)
{
    qd_body_reader r;
    qd_body_reader_init(&r, body, "refresh of shards", version);
    out->refresh = qd_read_bool(&r, "wait") ? DOC_REFRESH_WAIT : DOC_REFRESH_NOW;
    size_t n = qd_read_array(&r, "shards", QDI_WIRE_ITEMS_MAX, 3);
    for (size_t k = 0; k < n && !qd_body_reader_bad(&r); k++) {
        doc_mark m = {0};
        qd_read_text(&r, "uuid of the index", m.uuid, sizeof m.uuid);
        m.shard = (uint32_t)qd_read_varint_max(&r, "shard", UINT32_MAX);
        m.max_seq_no = seq_no_of(&r);
        if (qd_vec_push(&out->at, NULL, m)) return qd_err_nomem(err, "shards to refresh");
    }
    return qd_body_reader_check(&r, err);
}
