/*
 * merge.c: suggestions of all shards as one: options of equal text are one, their frequencies are
 * summed; a phrase needs the greatest cutoff of all shards.
 */
#include "action/suggest/suggest_int.h"
#include "base/str.h"
#include <math.h>
#include <stdlib.h>

typedef struct option {
    qd_str text, highlighted;
    double score;
    int64_t freq;
} option;

typedef struct entry {
    const qd_json_node *first; /* the first shard's */
    option *at;
    uint32_t n;
    double cutoff;
} entry;

static double number(const qd_json_node *n)
{
    double d = 0;
    return n && qd_f64_parse(n->text, &d) == 0 ? d : 0;
}

static int by_score(const void *a, const void *b)
{
    const option *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->freq != y->freq) return x->freq > y->freq ? -1 : 1;
    return qd_str_cmp(x->text, y->text);
}

static int by_frequency(const void *a, const void *b)
{
    const option *x = a, *y = b;
    if (x->freq != y->freq) return x->freq > y->freq ? -1 : 1;
    return by_score(a, b);
}

static void add(entry *e, const qd_json_node *o)
{
    const qd_json_node *h = qd_json_get(o, "highlighted");
    option c = {qd_json_text(qd_json_get(o, "text")), h ? qd_json_text(h) : (qd_str){0},
                number(qd_json_get(o, "score")), (int64_t)number(qd_json_get(o, "freq"))};
    for (uint32_t i = 0; i < e->n; i++) {
        if (!qd_str_eq(e->at[i].text, c.text)) continue;
        e->at[i].freq += c.freq;
        if (c.score > e->at[i].score) e->at[i].score = c.score;
        return;
    }
    e->at[e->n++] = c;
}

/* The entry's options of all shards. */
static int gather(const qd_json_node *const *lists, uint32_t n, qd_arena *arena, entry *e,
                  qd_err *err)
{
    size_t all = 0;
    for (uint32_t i = 0; i < n; i++) {
        const qd_json_node *o = lists[i] ? qd_json_get(lists[i], "options") : NULL;
        all += o ? o->n : 0;
    }
    e->at = qd_arena_alloc(arena, (all + 1) * sizeof *e->at);
    if (!e->at) return qd_err_nomem(err, "suggestions");
    for (uint32_t i = 0; i < n; i++) {
        if (!lists[i]) continue;
        if (!e->first) e->first = lists[i];
        const qd_json_node *o = qd_json_get(lists[i], "options");
        double cutoff = number(qd_json_get(lists[i], "cutoff"));
        if (cutoff > e->cutoff) e->cutoff = cutoff;
        for (o = o ? o->first : NULL; o; o = o->next) add(e, o);
    }
    return 0;
}

static void write_entry(const qdi_suggestion *s, entry *e, qd_json_writer *w)
{
    bool term = s->kind == QDI_SUGGEST_TERM;
    uint32_t given = 0;
    if (e->n)
        qsort(e->at, e->n, sizeof *e->at, term && s->spell.by_frequency ? by_frequency : by_score);
    qd_json_object(w);
    qd_json_field_str(w, "text", qd_json_text(qd_json_get(e->first, "text")));
    qd_json_field_int(w, "offset", (int64_t)number(qd_json_get(e->first, "offset")));
    qd_json_field_int(w, "length", (int64_t)number(qd_json_get(e->first, "length")));
    qd_json_key_c(w, "options");
    qd_json_array(w);
    for (uint32_t i = 0; i < e->n && given < s->size; i++) {
        if (!term && e->at[i].score < (double)(float)e->cutoff) continue;
        given++;
        qd_json_object(w);
        qd_json_field_str(w, "text", e->at[i].text);
        if (e->at[i].highlighted.p) qd_json_field_str(w, "highlighted", e->at[i].highlighted);
        qd_json_key_c(w, "score");
        qd_json_float(w, (float)e->at[i].score);
        if (term) qd_json_field_int(w, "freq", e->at[i].freq);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static int write_one(const qdi_suggestion *s, const qd_json_node *const *roots, uint32_t n,
                     qd_arena *arena, qd_json_writer *w, qd_err *err)
{
    const qd_json_node **at = qd_arena_calloc(arena, ((size_t)n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(err, "suggestions");
    for (uint32_t i = 0; i < n; i++) {
        const qd_json_node *list = roots[i] ? qd_json_get_str(roots[i], s->name) : NULL;
        at[i] = list ? list->first : NULL;
    }
    for (;;) {
        entry e = {0};
        int rc = gather(at, n, arena, &e, err);
        if (rc || !e.first) return rc;
        write_entry(s, &e, w);
        for (uint32_t i = 0; i < n; i++)
            if (at[i]) at[i] = at[i]->next;
    }
}

int qdi_suggest_write(const qdi_suggest *s, const qd_str *shards, uint32_t n, bool typed_keys,
                      qd_arena *arena, qd_json_writer *w, qd_err *err)
{
    const qd_json_node **roots = qd_arena_calloc(arena, ((size_t)n + 1) * sizeof *roots);
    int rc = roots ? 0 : qd_err_nomem(err, "suggestions");
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_json_node *root = NULL;
        if (shards[i].n) rc = qd_json_parse(arena, shards[i], 0, &root, err);
        roots[i] = root;
    }
    qd_json_object(w);
    for (uint32_t i = 0; i < s->n && !rc; i++) {
        qd_str name = s->at[i].name;
        if (typed_keys)
            name = qd_arena_printf(arena, "%s#%.*s",
                                   s->at[i].kind == QDI_SUGGEST_TERM ? "term" : "phrase",
                                   QD_STR_ARG(name));
        if (!name.p && typed_keys) return qd_err_nomem(err, "suggestions");
        qd_json_key(w, name);
        qd_json_array(w);
        rc = write_one(&s->at[i], roots, n, arena, w, err);
        qd_json_array_end(w);
    }
    qd_json_object_end(w);
    return rc;
}
