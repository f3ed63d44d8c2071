/*
 * engine_model.h: a shard over the tier that loses power, and a model of what was acknowledged.
 * Shared by the tests of this folder; see engine_t.c.
 */
#ifndef QD_TESTS_ENGINE_MODEL_H
#define QD_TESTS_ENGINE_MODEL_H

#include "base/log.h"
#include "base/str.h"
#include "engine/engine.h"
#include "lib/store_crash.h"
#include "runtime/sync.h"
#include "segment/merge.h"
#include "unit/unit.h"

#define IDS 40

typedef struct shadow {
    uint64_t version; /* of the last acknowledged operation; 0: none */
    int64_t seq_no;
    bool exists;
    int value;
    /* operations sent but not acknowledged may have happened */
    bool unsure;
    int unsure_value[16];
    bool unsure_delete[16];
    int unsure_n;
} shadow;

/* Merges that order documents by length: write_doc writes text of a length that follows from the
 * value. */
static inline void by_length(qd_engine_config *c)
{
    static int yes;
    c->write_doc_arg = &yes;
    c->settings.merge_order = QD_MERGE_LENGTH;
}

static inline int write_words(qd_buffer *b, qd_str source, qd_err *err)
{
    static const qd_field_info info = {
        .name = {"words", 5}, .index = QD_INDEX_POSITIONS, .norms = 1};
    static const char text[32 + QD_TERM_SLACK] = "abcdefghijklmnopqrstuvwxyz";
    uint32_t field, off[17], n = source.n > 9 ? (uint32_t)atoi(source.p + 9) * 7 % 16 + 1 : 1;
    uint16_t len[17];
    for (uint32_t i = 0; i < n; i++) {
        off[i] = i;
        len[i] = 1;
    }
    const qd_term_batch batch = {.text = text, .off = off, .len = len, .n = n};
    int rc = qd_buffer_field(b, &info, &field, err);
    return rc ? rc : qd_buffer_terms(b, field, &batch, err);
}

static inline int write_doc(void *arg, uint32_t slot, uint64_t unit, qd_buffer *b,
                            const qd_engine_op *op, qd_err *err)
{
    static const qd_field_info info = {.name = {"tag", 3}, .index = QD_INDEX_DOCS};
    uint32_t field;
    (void)slot;
    (void)unit;
    if (qd_str_is(op->source, "bad")) return qd_err_set(err, QD_E_DOC_PARSING, "bad document");
    int rc = qd_buffer_field(b, &info, &field, err);
    if (!rc) rc = qd_buffer_term(b, field, op->id, err);
    if (!rc && arg) rc = write_words(b, op->source, err);
    return rc ? rc : qd_buffer_source(b, op->source, err);
}

static inline qd_engine_config config(qd_store *s)
{
    qd_engine_config c = {
        .env = qd_env_system(),
        .log_store = s,
        .segment_store = s,
        .folder = QD_STR("indices/u/0"),
        .name = QD_STR("[test][0]"),
        .primary_term = 1,
        .slots = 2,
        .slot_bytes = 64 << 20,
        .write_doc = write_doc,
    };
    qd_engine_settings_default(&c.settings);
    c.settings.merge.segments_per_tier = 2;
    c.settings.merge.max_at_once = 3;
    return c;
}

static inline int op_put(qd_engine *e, int id, int value, bool delete, qd_engine_result *r,
                         qd_err *err)
{
    char name[16], source[64];
    int n = snprintf(name, sizeof name, "id%d", id),
        m = snprintf(source, sizeof source, "{\"value\":%d}", value);
    qd_engine_op op = {
        .delete = delete,
        .id = {name, (size_t)n},
        .source = {source, (size_t)m},
        .version = -1,
        .if_seq_no = QD_SEQ_NO_UNASSIGNED,
        .auto_id_ms = -1,
    };
    return qd_engine_apply(e, (uint32_t)id, &op, r, err);
}

static inline bool get(qd_engine *e, int id, bool realtime, qd_engine_doc *doc, int *value)
{
    char name[16];
    qd_arena a;
    qd_err err;
    int n = snprintf(name, sizeof name, "id%d", id);
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&err);
    int rc = qd_engine_get(e, (qd_str){name, (size_t)n}, realtime, true, &a, doc, &err);
    if (rc) fail_msg("get id%d: %s", id, qd_err_reason(&err));
    *value = doc->found ? atoi(doc->source.p + 9) : -1;
    qd_arena_fini(&a);
    return doc->found;
}

/* Live documents of the newest reader, and that none of them has the id of another. */
static inline uint32_t live_docs(qd_engine *e)
{
    qd_reader *r = qd_engine_reader(e);
    uint32_t n = r->docs_live;
    qd_reader_unref(r);
    return n;
}

static inline void check_one(qd_engine *e, int id, shadow *s, uint64_t seed)
{
    qd_engine_doc doc;
    int value;
    bool found = get(e, id, true, &doc, &value);
    bool ok = found == s->exists && (!found || value == s->value);
    for (int i = 0; i < s->unsure_n && !ok; i++) {
        ok = s->unsure_delete[i] ? !found : found && value == s->unsure_value[i];
    }
    if (!ok) {
        fail_msg("seed %llu: id%d found %d value %d, expected %d value %d (%d unsure)",
                 (unsigned long long)seed, id, found, value, s->exists, s->value, s->unsure_n);
    }
    s->exists = found;
    s->value = value;
    s->version = doc.version;
    s->seq_no = doc.seq_no;
    s->unsure_n = 0;
}

static inline void check_all(qd_engine *e, shadow *model, uint64_t seed)
{
    uint32_t expected = 0;
    qd_err err;
    qd_err_init(&err);
    for (int i = 0; i < IDS; i++) check_one(e, i, &model[i], seed);
    assert_int_equal(qd_engine_refresh(e, &err), 0);
    for (int i = 0; i < IDS; i++) {
        qd_engine_doc doc;
        int value;
        bool found = get(e, i, false, &doc, &value);
        expected += found;
        if (found != model[i].exists || (found && value != model[i].value)) {
            fail_msg("seed %llu: after the refresh id%d is %d/%d, expected %d/%d",
                     (unsigned long long)seed, i, found, value, model[i].exists, model[i].value);
        }
    }
    if (live_docs(e) != expected) {
        fail_msg("seed %llu: %u documents are live, %u expected", (unsigned long long)seed,
                 live_docs(e), expected);
    }
}

/* One random step. false: the engine or the disk has failed. */
static inline bool step(qd_engine *e, qd_prng *r, shadow *model, qd_err *err)
{
    uint64_t dice = qd_prng_below(r, 100);
    qd_engine_result res;
    bool did;
    int rc;
    if (dice < 80) {
        int id = (int)qd_prng_below(r, IDS), value = (int)qd_prng_below(r, 1000000);
        bool delete = qd_prng_below(r, 5) == 0;
        shadow *s = &model[id];
        assert_true(s->unsure_n < 16);
        s->unsure_delete[s->unsure_n] = delete;
        s->unsure_value[s->unsure_n++] = value;
        rc = op_put(e, id, value, delete, &res, err);
        if (!rc) rc = qd_engine_sync(e, &res.at, err);
        if (!rc) {
            assert_int_equal(res.found || (!delete &&!res.created), s->exists);
            *s = (shadow){
                .version = res.version, .seq_no = res.seq_no, .exists = !delete, .value = value};
        }
    } else if (dice < 90) {
        rc = qd_engine_refresh(e, err);
    } else if (dice < 95) {
        rc = qd_engine_flush(e, false, err);
    } else if (dice < 98) {
        rc = qd_engine_merge_step(e, &did, err);
    } else {
        rc = 0;
        assert_true(
            qd_engine_trim(e, &did)); /* at any moment: full buffers, too, keep what they have */
    }
    return rc == 0;
}

static inline uint64_t rounds(uint64_t normal)
{
    const char *n = getenv("SEEDS");
    return n ? strtoull(n, NULL, 10) : unit_rounds(normal);
}

#endif
