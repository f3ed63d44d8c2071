/* fielddata_t.c: a field's terms turned around in memory: as the column that stands on disk beside
 * them, and as the words of the documents; what is kept, cleared, left out; memory that is short.
 */
#include "segment/fielddata.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

typedef struct fixture {
    parts x;
    corpus c;
    qd_segment *s;
    qd_account account;
} fixture;

static void begin(fixture *f, bool copies, uint32_t words, uint32_t docs)
{
    parts_begin(&f->x, copies);
    corpus_begin(&f->c, &f->x, words);
    corpus_grow(&f->c, docs, 12);
    corpus_flush(&f->c, 0, f->c.docs, NULL, "seg-a");
    OK(&f->x, qd_segment_open(f->x.store, QD_STR("seg-a"), &f->x.account, &f->s, &f->x.err));
    qd_account_init(&f->account, "fielddata", NULL, 0);
}

static void end(fixture *f)
{
    qd_arena_reset(&f->x.arena);
    qd_segment_unref(f->s);
    assert_int_equal(qd_account_used(&f->account), 0);
    corpus_end(&f->c);
    parts_end(&f->x);
}

static const qd_column *column(fixture *f, const char *field, const qd_fielddata_filter *filter)
{
    const qd_column *c;
    uint32_t n = qd_segment_field_find(f->s, qd_str_c(field));
    OK(&f->x, qd_segment_fielddata(f->s, n, filter, &f->account, &f->x.arena, &c, &f->x.err));
    return c;
}

/* Readers of a whole column. */
static void readers(fixture *f, const qd_column *c, qd_column_reader **rd, qd_dict_reader **dict)
{
    qd_reads *r = parts_reads(&f->x);
    OK(&f->x, qd_column_plan(c, 0, f->c.docs, r, &f->x.arena, rd, &f->x.err));
    OK(&f->x, qd_dict_plan_all(c, r, &f->x.arena, dict, &f->x.err));
    OK(&f->x, qd_reads_fetch(r, &f->x.err));
}

static void it_equals_the_column_on_disk(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        fixture f;
        begin(&f, round % 2, round / 2 ? 3000 : 30, round / 2 ? 9000 : 100);
        uint32_t n = qd_segment_field_find(f.s, QD_STR("exact"));
        const qd_column *disk = qd_columns_get(qd_segment_columns(f.s), n),
                        *memory = column(&f, "exact", NULL);
        const qd_column_stats *a = qd_column_stats_get(disk), *b = qd_column_stats_get(memory);
        assert_int_equal(a->ordinals, b->ordinals);
        assert_int_equal(a->values, b->values);
        assert_int_equal(a->docs, b->docs);
        qd_column_reader *ra, *rb;
        qd_dict_reader *da, *db;
        readers(&f, disk, &ra, &da);
        readers(&f, memory, &rb, &db);
        for (uint32_t d = 0; d < f.c.docs; d++) {
            const int64_t *va, *vb;
            uint32_t na, nb;
            OK(&f.x, qd_column_values(ra, d, &va, &na, &f.x.err));
            OK(&f.x, qd_column_values(rb, d, &vb, &nb, &f.x.err));
            assert_int_equal(na, nb);
            if (na) assert_memory_equal(va, vb, na * sizeof *va);
        }
        for (uint32_t i = 0; i < a->ordinals; i++) {
            qd_str x, y;
            OK(&f.x, qd_dict_at(da, i, &x, &f.x.err));
            OK(&f.x, qd_dict_at(db, i, &y, &f.x.err));
            assert_true(qd_str_eq(x, y));
        }
        end(&f);
    }
}

/* Different words of a document of the first field, by the model. */
static uint32_t different(const corpus *c, uint32_t doc, uint8_t *seen)
{
    uint32_t n = 0;
    const corpus_field *f = &c->fields[0];
    memset(seen, 0, c->words);
    for (size_t i = 0; i < f->all.n; i++) {
        if (f->all.at[i].doc != doc) continue;
        n += !seen[f->all.at[i].word];
        seen[f->all.at[i].word] = 1;
    }
    return n;
}

static void analyzed_words_are_values(void **state)
{
    (void)state;
    fixture f;
    begin(&f, false, 200, 300);
    uint8_t seen[200];
    qd_column_reader *rd;
    qd_dict_reader *dict;
    readers(&f, column(&f, "body", NULL), &rd, &dict);
    for (uint32_t d = 0; d < f.c.docs; d++) {
        const int64_t *v;
        uint32_t n, words = different(&f.c, d, seen);
        OK(&f.x, qd_column_values(rd, d, &v, &n, &f.x.err));
        assert_int_equal(n, words);
        for (uint32_t i = 0; i < n; i++) {
            qd_str text;
            OK(&f.x, qd_dict_at(dict, (uint32_t)v[i], &text, &f.x.err));
            bool found = false;
            for (uint32_t w = 0; w < f.c.words && !found; w++)
                found = seen[w] && qd_str_eq(corpus_word(&f.c, w), text);
            assert_true(found);
        }
    }
    end(&f);
}

static void add(void *arg, const qd_field_info *f, int64_t bytes)
{
    (void)f;
    *(int64_t *)arg += bytes;
}

static void it_is_kept_until_it_is_cleared(void **state)
{
    (void)state;
    fixture f;
    begin(&f, false, 200, 300);
    const qd_column *first = column(&f, "body", NULL);
    assert_ptr_equal(column(&f, "body", NULL), first);
    (void)column(&f, "freq", NULL);
    int64_t all = 0, one = 0;
    qd_segment_fielddata_each(f.s, add, &all);
    assert_true(all > 0);
    qd_segment_fielddata_clear(f.s, QD_STR("freq"));
    qd_segment_fielddata_each(f.s, add, &one);
    assert_true(one > 0 && one < all);
    qd_segment_fielddata_clear(f.s, QD_STR(""));
    one = 0;
    qd_segment_fielddata_each(f.s, add, &one);
    assert_int_equal(one, 0);
    assert_true(qd_account_used(&f.account) >= all); /* who uses it has it still */
    assert_true(qd_column_stats_get(first)->values > 0);
    qd_arena_reset(&f.x.arena);
    assert_int_equal(qd_account_used(&f.account), 0);
    end(&f);
}

static void rare_and_frequent_terms_are_left_out(void **state)
{
    (void)state;
    fixture f;
    begin(&f, false, 200, 300);
    const qd_fielddata_filter some = {.min = 5, .max = 50}, small = {.min = 5, .min_docs = 1000},
                              none = {.min = 100000};
    uint32_t all = qd_column_stats_get(column(&f, "body", NULL))->ordinals;
    const qd_column *c = column(&f, "body", &some);
    assert_true(qd_column_stats_get(c)->ordinals < all);
    assert_true(qd_column_stats_get(c)->ordinals > 0);
    assert_int_equal(qd_column_stats_get(column(&f, "body", &small))->ordinals, all);
    assert_null(column(&f, "body", &none));
    end(&f);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    fixture f;
    const qd_column *c;
    begin(&f, false, 200, 300);
    uint32_t n = qd_segment_field_find(f.s, QD_STR("body"));
    atomic_store(&f.account.limit, 100000);
    int rc = qd_segment_fielddata(f.s, n, NULL, &f.account, &f.x.arena, &c, &f.x.err);
    assert_int_equal(rc, QD_E_BREAKER);
    assert_non_null(
        strstr(qd_err_reason(&f.x.err), "[fielddata] Data too large, data for [body] would be ["));
    qd_err_fini(&f.x.err);
    assert_int_equal(qd_account_used(&f.account), 0);
    atomic_store(&f.account.limit, 0);
    for (uint64_t i = 1; rc; i++) {
        (void)qd_mem_fail_at(i, false);
        rc = qd_segment_fielddata(f.s, n, NULL, &f.account, &f.x.arena, &c, &f.x.err);
        (void)qd_mem_fail_at(0, false);
        if (rc) assert_int_equal(rc, QD_E_NOMEM);
        qd_err_fini(&f.x.err);
        assert_true(i < 10000);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_equals_the_column_on_disk),
        cmocka_unit_test(analyzed_words_are_values),
        cmocka_unit_test(it_is_kept_until_it_is_cleared),
        cmocka_unit_test(rare_and_frequent_terms_are_left_out),
        cmocka_unit_test(memory_may_be_short),
    };
    return unit_run(tests);
}
