/* terms_t.c: look-ups of absent terms, walks over ranges, prefixes and automata, against a sorted
 * list of the words. */
#include "automaton/automaton.h"
#include "base/utf8.h"
#include "segment/postings.h"
#include "segment/terms.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

typedef struct list {
    qd_str *words; /* sorted, different */
    uint32_t n;
} list;

static int by_bytes(const void *a, const void *b)
{
    return qd_str_cmp(*(const qd_str *)a, *(const qd_str *)b);
}

static list words_of(const corpus *c, const corpus_field *f)
{
    list l = {qd_alloc(&c->x->account, (f->all.n + 1) * sizeof(qd_str)), 0};
    uint8_t *seen = qd_calloc(&c->x->account, c->words);
    for (size_t i = 0; i < f->all.n; i++)
        if (!seen[f->all.at[i].word]) {
            seen[f->all.at[i].word] = 1;
            l.words[l.n++] = corpus_word(c, f->all.at[i].word);
        }
    qd_free(seen);
    qsort(l.words, l.n, sizeof *l.words, by_bytes);
    return l;
}

/* Does w begin with the prefix, end with the suffix and hold the inner texts between, taking any
 * way there is? */
static bool has_parts(const qd_str *inner, uint32_t n, qd_str suffix, qd_str w)
{
    if (n == 0) return qd_str_ends(w, suffix);
    for (size_t i = 0; i + inner->n <= w.n; i++)
        if (memcmp(w.p + i, inner->p, inner->n) == 0 &&
            has_parts(inner + 1, n - 1, suffix, qd_str_sub(w, i + inner->n, w.n)))
            return true;
    return false;
}

static bool wanted(const qd_term_range *r, qd_str w)
{
    if (r->suffix.n + r->ninner > 0 &&
        (!qd_str_starts(w, r->prefix) ||
         !has_parts(r->inner, r->ninner, r->suffix, qd_str_sub(w, r->prefix.n, w.n))))
        return false;
    int c = qd_str_cmp(w, r->from);
    if (c < 0 || (c == 0 && r->from_exclusive)) return false;
    c = r->has_to ? qd_str_cmp(w, r->to) : -1;
    if (c > 0 || (c == 0 && !r->to_inclusive)) return false;
    return qd_str_starts(w, r->prefix) && (!r->automaton || qd_automaton_match(r->automaton, w));
}

static uint32_t compare(parts *x, qd_segment *s, uint32_t field, const list *l,
                        const qd_term_range *r)
{
    qd_term_iter *it;
    qd_str text;
    uint32_t given = 0;
    OK(x, qd_term_iter_open(s, field, r, &x->arena, &it, &x->err));
    for (uint32_t i = 0; i < l->n; i++) {
        if (!wanted(r, l->words[i])) continue;
        qd_term t;
        int rc = qd_term_iter_step(it, &text, i % 3 ? &t : NULL, &x->err);
        assert_int_equal(rc, 1);
        if (!qd_str_eq(text, l->words[i]))
            print_error("got [%.*s], wanted [%.*s]\n", QD_STR_ARG(text), QD_STR_ARG(l->words[i]));
        assert_true(qd_str_eq(text, l->words[i]));
        if (i % 3) {
            qd_term again;
            OK(x, qd_term_get(s, field, text, &again, &x->err));
            assert_memory_equal(&again, &t, sizeof t);
        }
        given++;
    }
    assert_int_equal(qd_term_iter_step(it, &text, NULL, &x->err), 0);
    qd_arena_reset(&x->arena);
    return given;
}

typedef struct fixture {
    parts x;
    corpus c;
    qd_segment *s;
    uint32_t field;
    list l;
} fixture;

static void begin(fixture *f, uint32_t words)
{
    parts_begin(&f->x, true);
    corpus_begin(&f->c, &f->x, words);
    corpus_grow(&f->c, words / 2 + 10, 12);
    corpus_flush(&f->c, 0, f->c.docs, NULL, "seg-a");
    OK(&f->x, qd_segment_open(f->x.store, QD_STR("seg-a"), &f->x.account, &f->s, &f->x.err));
    f->field = qd_segment_field_find(f->s, QD_STR("body"));
    f->l = words_of(&f->c, &f->c.fields[0]);
}

static void end(fixture *f)
{
    qd_free(f->l.words);
    qd_segment_unref(f->s);
    corpus_end(&f->c);
    parts_end(&f->x);
}

static qd_str some_word(fixture *f, char *room)
{
    qd_str w = f->l.words[parts_random(&f->x, f->l.n)];
    size_t n = parts_random(&f->x, 3) ? w.n : parts_random(&f->x, w.n + 1);
    memcpy(room, w.p, n);
    if (n && parts_random(&f->x, 3) == 0) room[n - 1] = (char)(room[n - 1] + 1);
    return (qd_str){room, n};
}

static void ranges_and_prefixes(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 6000);
    char a[512], b[512];
    uint64_t given = 0;
    given += compare(&f.x, f.s, f.field, &f.l, &(qd_term_range){.has_to = false});
    for (unsigned round = 0; round < 150; round++) {
        qd_term_range r = {
            .from_exclusive = round & 1, .has_to = round & 2, .to_inclusive = round & 4};
        if (round % 5) r.from = some_word(&f, a);
        r.to = some_word(&f, b);
        if (round % 7 == 0) {
            r.prefix = some_word(&f, b);
            r.prefix.n = r.prefix.n < 3 ? r.prefix.n : parts_random(&f.x, 3);
            r.has_to = false;
            if (round % 14) r.from.n = 0;
        }
        given += compare(&f.x, f.s, f.field, &f.l, &r);
    }
    assert_true(given > 10000);
    end(&f);
}

static void absent_terms_are_not_found(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 3000);
    char a[512];
    for (unsigned round = 0; round < 5000; round++) {
        qd_str w = some_word(&f, a);
        bool there = bsearch(&w, f.l.words, f.l.n, sizeof w, by_bytes) != NULL;
        qd_term t;
        assert_int_equal(qd_term_get(f.s, f.field, w, &t, &f.x.err), there ? 0 : QD_E_NOTFOUND);
        assert_int_equal(f.x.err.code, 0);
    }
    qd_term t;
    assert_int_equal(qd_term_get(f.s, 1000, QD_STR("x"), &t, &f.x.err), QD_E_NOTFOUND);
    end(&f);
}

/* The documents of a term, by its view. */
static void set_by_view(fixture *f, const qd_term *t, uint64_t *bits)
{
    qd_reads *r = parts_reads(&f->x);
    qd_postings p;
    uint32_t docs[192];
    OK(&f->x, qd_postings_plan(f->s, t, QD_INDEX_DOCS, r, &p, &f->x.err));
    OK(&f->x, qd_reads_fetch(r, &f->x.err));
    OK(&f->x, qd_postings_open(&p, r, &f->x.err));
    for (uint32_t b = 0; b < p.nblk; b++)
        for (uint32_t i = 0, n = qd_postings_docs(&p, b, docs); i < n; i++)
            bits[docs[i] >> 6] |= 1ull << (docs[i] & 63);
    qd_reads_release(r);
}

/* Some of the small terms, in order or not, as a bitmap at once. */
static void small_terms_as_a_bitmap(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 6000);
    size_t words = (qd_segment_docs(f.s) + 63) / 64;
    uint64_t *want = qd_calloc(&f.x.account, words * 8), *got = qd_calloc(&f.x.account, words * 8);
    qd_small_terms *x = qd_calloc(&f.x.account, sizeof *x);
    uint64_t taken = 0, flushed = 0, left_out = 0;
    for (unsigned round = 0; round < 60; round++) {
        qd_reads *r = parts_reads(&f.x);
        /* from there on documents may be left out */
        size_t below = round % 2 ? words : (size_t)parts_random(&f.x, words);
        uint32_t doc = round % 2 ? UINT32_MAX : (uint32_t)below * 64;
        memset(want, 0, words * 8);
        memset(got, 0, words * 8);
        uint64_t most = 1 + parts_random(&f.x, f.l.n);
        for (uint32_t i = 0; i < most; i += 1 + (uint32_t)parts_random(&f.x, 1u << round % 8)) {
            qd_term t;
            uint64_t w = round % 3 ? i : parts_random(&f.x, f.l.n);
            OK(&f.x, qd_term_get(f.s, f.field, f.l.words[w], &t, &f.x.err));
            if (t.df < 2 || t.df > QD_BLOCK) continue;
            set_by_view(&f, &t, want);
            taken++;
            if (qd_small_terms_add(x, &t)) continue;
            OK(&f.x, qd_small_terms_flush(x, f.s, r, doc, got, &f.x.err));
            assert_true(qd_small_terms_add(x, &t));
            flushed++;
        }
        OK(&f.x, qd_small_terms_flush(x, f.s, r, doc, got, &f.x.err));
        assert_int_equal(x->n, 0);
        assert_memory_equal(got, want, below * 8);
        for (size_t w = below; w < words; w++) {
            assert_int_equal(got[w] & ~want[w], 0);
            left_out += got[w] != want[w];
        }
        qd_arena_reset(&f.x.arena);
    }
    assert_true(taken > 5000 && flushed > 10 && left_out > 200);
    qd_free(want);
    qd_free(got);
    qd_free(x);
    end(&f);
}

static void automata(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 6000);
    static const char *const wildcards[] = {"*",         "a*",     "*7",  "?b*",
                                            "*-tail_*5", "pp*_1?", "zzz", "3*4*5*"};
    static const char *const regexps[] = {"[0-9]{3}.*", "(a|b)c?.*_[1-5]+", ".*",
                                          "ppp+1.*",    "[^a-f]*",          "1234|5678"};
    uint64_t given = 0;
    for (unsigned i = 0; i < QD_COUNT_OF(wildcards) + QD_COUNT_OF(regexps) + 60; i++) {
        qd_automaton *a = NULL;
        char room[512];
        if (i < QD_COUNT_OF(wildcards))
            OK(&f.x,
               qd_automaton_wildcard(qd_str_c(wildcards[i]), false, 0, &f.x.account, &a, &f.x.err));
        else if (i < QD_COUNT_OF(wildcards) + QD_COUNT_OF(regexps))
            OK(&f.x, qd_automaton_regexp(qd_str_c(regexps[i - QD_COUNT_OF(wildcards)]),
                                         QD_REGEXP_ALL, false, 0, &f.x.account, &a, &f.x.err));
        else {
            qd_str w = some_word(&f, room);
            while (w.n > 20 || (w.n && (w.p[w.n - 1] & 0x80))) w.n--; /* valid UTF-8 */
            OK(&f.x, qd_automaton_fuzzy(w, 1 + i % 2, i % 3, true, &f.x.account, &a, &f.x.err));
        }
        qd_term_range r = {.automaton = a};
        given += compare(&f.x, f.s, f.field, &f.l, &r);
        r.from = some_word(&f, room);
        given += compare(&f.x, f.s, f.field, &f.l, &r);
        qd_automaton_free(a);
    }
    assert_true(given > 5000);
    end(&f);
}

/* Beginnings, ends and pieces of words, of the same one or of several. */
static void parts_of_words(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 6000);
    static char room[4][512];
    uint64_t given = 0, several = 0;
    for (unsigned round = 0; round < 600; round++) {
        qd_str w = some_word(&f, room[0]), other = round % 4 ? w : some_word(&f, room[1]), inner[2];
        size_t a = parts_random(&f.x, round % 4 == 1 ? w.n + 1 : 2),
               z = parts_random(&f.x, round % 2 ? 4 : 12);
        qd_term_range r = {.prefix = qd_str_sub(w, 0, a), .inner = inner};
        r.suffix = qd_str_sub(other, other.n > z ? other.n - z : 0, other.n);
        r.ninner = round % 5 ? (uint32_t)parts_random(&f.x, 3) : 0;
        for (uint32_t i = 0, at = 0; i < r.ninner; i++) {
            at += (uint32_t)parts_random(&f.x, 4);
            inner[i] = qd_str_sub(other, at, at + 1 + parts_random(&f.x, 3));
            at += (uint32_t)inner[i].n;
        }
        if (round % 7 == 0) r.from = some_word(&f, room[2]);
        if (round % 8 == 0) {
            r.has_to = true;
            r.to = some_word(&f, room[3]);
        }
        uint64_t n = compare(&f.x, f.s, f.field, &f.l, &r);
        for (uint32_t i = 0; i < f.l.n; i += 7)
            assert_int_equal(qd_term_range_has(&r, f.l.words[i]), wanted(&r, f.l.words[i]));
        given += n;
        several += n > 1 && r.suffix.n > 1;
    }
    assert_true(given > 20000 && several > 30);
    end(&f);
}

/* Bytes of a pattern of one character or QD_TERM_ANY at its beginning, and of the text's there that
 * it matches; 0: it does not. */
static size_t one_char(qd_str pattern, qd_str text, size_t *took)
{
    uint32_t c;
    size_t n = text.n ? qd_utf8_next(text.p, text.p + text.n, &c) : 0;
    *took = n;
    if (!n) return 0;
    if (pattern.p[0] == QD_TERM_ANY) return 1;
    return pattern.n >= n && memcmp(pattern.p, text.p, n) == 0 ? n : 0;
}

/* Is text the patterns one behind the other, with anything between them? By the set of places that
 * can be come to. */
static bool slow_match(const qd_str *p, uint32_t n, qd_str text)
{
    bool at[513] = {true};
    size_t took;
    for (uint32_t i = 0; i < n; i++) {
        for (size_t t = 0; i && t < text.n; t += took) {
            one_char(QD_STR("\xff"), qd_str_sub(text, t, text.n), &took);
            at[t + took] |= at[t];
        }
        for (size_t c = 0, k = 0; c < p[i].n; c += k) {
            qd_str left = qd_str_sub(p[i], c, p[i].n);
            k = 1;
            bool next[513] = {false};
            for (size_t t = 0; t < text.n; t++) {
                size_t bytes = at[t] ? one_char(left, qd_str_sub(text, t, text.n), &took) : 0;
                if (!bytes) continue;
                next[t + took] = true;
                k = bytes;
            }
            memcpy(at, next, sizeof at);
        }
    }
    return at[text.n];
}

/* A piece of a word, some of its characters any. */
static qd_str holed(fixture *f, qd_str w, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < w.n;) {
        uint32_t c;
        size_t k = qd_utf8_next(w.p + i, w.p + w.n, &c);
        bool any = parts_random(&f->x, 3) == 0;
        if (any) to[n] = QD_TERM_ANY;
        if (!any) memcpy(to + n, w.p + i, k);
        n += any ? 1 : k;
        i += k;
    }
    return (qd_str){to, n};
}

/* The first n characters of a text, or the others. */
static qd_str chars(qd_str w, uint64_t n, bool others)
{
    size_t at = 0;
    uint32_t c;
    for (; n && at < w.n; n--) at += qd_utf8_next(w.p + at, w.p + w.n, &c);
    return others ? qd_str_sub(w, at, w.n) : qd_str_sub(w, 0, at);
}

/* The same with characters that may be any, and an automaton of the beginning or none. */
static void parts_with_any_characters(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 6000);
    static char room[4][512];
    uint64_t given = 0;
    for (unsigned round = 0; round < 400; round++) {
        qd_str w = some_word(&f, (char[512]){0}), all[4];
        if (!qd_utf8_valid(w, NULL)) continue;
        qd_str left = w;
        uint32_t n = 0;
        for (; n < 3; n++) { /* head, two between */
            all[n] = holed(&f, chars(left, parts_random(&f.x, n ? 3 : 4), false), room[n]);
            left = chars(left, parts_random(&f.x, 6), true);
        }
        all[n++] = holed(&f, chars(left, parts_random(&f.x, 4), true), room[3]);
        qd_term_range r = {.head = all[0], .suffix = all[3]};
        qd_str inner[2];
        for (uint32_t i = 1; i < 3; i++)
            if (all[i].n) inner[r.ninner++] = all[i];
        r.inner = inner;
        const char *any = memchr(all[0].p, QD_TERM_ANY, all[0].n);
        r.prefix = (qd_str){all[0].p, any ? (size_t)(any - all[0].p) : all[0].n};
        qd_term_iter *it;
        qd_str text;
        uint32_t at = 0;
        int rc;
        OK(&f.x, qd_term_iter_open(f.s, f.field, &r, &f.x.arena, &it, &f.x.err));
        while ((rc = qd_term_iter_step(it, &text, NULL, &f.x.err)) == 1) {
            while (!slow_match(all, 4, f.l.words[at])) at++;
            assert_true(qd_str_eq(text, f.l.words[at++]));
            given++;
        }
        assert_int_equal(rc, 0);
        for (; at < f.l.n; at++) assert_false(slow_match(all, 4, f.l.words[at]));
        qd_arena_reset(&f.x.arena);
    }
    assert_true(given > 20000);
    end(&f);
}

/* An ending beside an automaton changes nothing that the automaton does not say. */
static void an_ending_beside_an_automaton(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 6000);
    static const char *const patterns[][2] = {{"?*7", "7"},
                                              {"a?*-tail_*5", "5"},
                                              {"p?*_1?2", "2"},
                                              {"*-t??l_1*1", "1"},
                                              {"?b*il_?0", "0"}};
    uint64_t given = 0;
    for (unsigned i = 0; i < QD_COUNT_OF(patterns); i++) {
        qd_automaton *a = NULL;
        OK(&f.x,
           qd_automaton_wildcard(qd_str_c(patterns[i][0]), false, 0, &f.x.account, &a, &f.x.err));
        qd_term_range r = {.automaton = a, .suffix = qd_str_c(patterns[i][1])};
        uint64_t n = compare(&f.x, f.s, f.field, &f.l, &r);
        r.suffix.n = 0;
        assert_int_equal(compare(&f.x, f.s, f.field, &f.l, &r), n);
        given += n;
        qd_automaton_free(a);
    }
    assert_true(given > 300);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_and_prefixes),
        cmocka_unit_test(parts_of_words),
        cmocka_unit_test(parts_with_any_characters),
        cmocka_unit_test(an_ending_beside_an_automaton),
        cmocka_unit_test(absent_terms_are_not_found),
        cmocka_unit_test(small_terms_as_a_bitmap),
        cmocka_unit_test(automata),
    };
    return unit_run(tests);
}
