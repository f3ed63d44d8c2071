/*
 * docs_wire_fuzz.c: what nodes tell each other of documents. The first byte chooses the reader:
 * operations, their results, reads, what a read gave, marks of shards to refresh. Operations and
 * reads that are taken are written and read again.
 */
#include "action/documents/wire.h"

#define VERSION QD_RPC_NEWEST
#define ITEMS 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void operations(qd_str body, qd_arena *arena, qd_err *err)
{
    doc_wire_head h, again;
    doc_item *items, *back;
    if (qdi_wire_items_read(body, VERSION, arena, &h, &items, err)) return;
    qd_assert(h.n <= QDI_WIRE_ITEMS_MAX);
    uint32_t *pick = qd_arena_alloc(arena, (h.n + 1) * sizeof *pick);
    qd_writer w;
    for (uint32_t i = 0; i < h.n; i++) {
        pick[i] = i;
        items[i].concrete =
            items[i].index; /* what is written is the name that it was resolved to */
    }
    qd_writer_init(&w, NULL, (size_t)1 << 28, VERSION);
    qdi_wire_items(&w, &h, items, pick);
    int rc = qd_writer_end(&w, "operations", NULL);
    if (!rc) rc = qdi_wire_items_read(qd_writer_view(&w), VERSION, arena, &again, &back, NULL);
    qd_assert(rc == 0 && again.n == h.n && again.revision == h.revision);
    for (uint32_t i = 0; i < h.n; i++)
        qd_assert(back[i].op == items[i].op && back[i].version == items[i].version &&
                  back[i].source.n == items[i].source.n && back[i].id.n == items[i].id.n);
    qd_writer_fini(&w);
}

static void results(qd_str body, qd_arena *arena, qd_err *err)
{
    static const uint32_t pick[ITEMS] = {1, 0, 2};
    doc_item items[ITEMS];
    for (uint32_t i = 0; i < ITEMS; i++) qdi_item_init(&items[i]);
    int rc = qdi_wire_results_read(body, VERSION, arena, items, pick, 1 + (body.n & 1) * 2, err);
    (void)rc;
    for (uint32_t i = 0; i < ITEMS; i++) qdi_item_fini(&items[i]);
}

static void reads(qd_str body, qd_arena *arena, qd_err *err)
{
    doc_read *got, *back;
    uint64_t revision, again;
    uint32_t n, m;
    if (qdi_wire_gets_read(body, VERSION, arena, &revision, &got, &n, err)) return;
    uint32_t *pick = qd_arena_alloc(arena, (n + 1ul) * sizeof *pick);
    qd_writer w;
    for (uint32_t i = 0; i < n; i++) pick[i] = i;
    qd_writer_init(&w, NULL, (size_t)1 << 28, VERSION);
    qdi_wire_gets(&w, revision, got, pick, n);
    int rc = qd_writer_end(&w, "reads", NULL);
    if (!rc) rc = qdi_wire_gets_read(qd_writer_view(&w), VERSION, arena, &again, &back, &m, NULL);
    qd_assert(rc == 0 && m == n && again == revision);
    for (uint32_t i = 0; i < n; i++)
        qd_assert(back[i].shard == got[i].shard && back[i].id.n == got[i].id.n);
    qd_writer_fini(&w);
}

static void one_document(qd_str body, qd_arena *arena, qd_err *err)
{
    qd_body_reader r;
    qd_engine_doc doc = {0};
    qd_body_reader_init(&r, body, "document", VERSION);
    int rc = qdi_wire_got_read(&r, arena, &doc, err);
    qd_assert(rc == 0 || err->code);
}

static void marks(qd_str body, qd_err *err)
{
    doc_marks m = {0};
    int rc = qdi_wire_marks_read(body, VERSION, &m, err);
    (void)rc;
    qdi_marks_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_arena arena;
    qd_err err;
    if (!size) return 0;
    qd_str rest = {(const char *)data + 1, size - 1};
    qd_arena_init(&arena, NULL, 0);
    qd_err_init(&err);
    switch (data[0] % 5) {
    case 0:
        operations(rest, &arena, &err);
        break;
    case 1:
        results(rest, &arena, &err);
        break;
    case 2:
        reads(rest, &arena, &err);
        break;
    case 3:
        one_document(rest, &arena, &err);
        break;
    default:
        marks(rest, &err);
    }
    /* what another node says of a failed read is its own, and may be nothing */
    qd_assert(!err.code || data[0] % 5 == 3 || qd_err_reason(&err)[0]);
    qd_err_fini(&err);
    qd_arena_fini(&arena);
    return 0;
}
