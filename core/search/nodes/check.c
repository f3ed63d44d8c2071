/*
 * check.c: documents of which a value in a column passes a test, all with the score boost. Windows
 * ask it last, for what the clauses beside it left; an entry of the column's dictionary is tested
 * at most once a segment, charged to the search's budget of terms, and the task is looked at in
 * between.
 */
#include "search/highlight/highlight_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "segment/segment.h"
#include "segment/terms.h"

#define TICK 256u /* tests between two looks at the task */

/* Of the plan. */
typedef struct check {
    qdi_field *field;
    qd_automaton *automaton;
    qd_term_range terms;
    const qd_node_check *from;
} check;

enum { UNKNOWN, FAILS, PASSES };

/* Of a segment. */
typedef struct checking {
    const check *c;
    qd_column_reader *rd;
    qd_dict_reader *dict;
    uint8_t *known; /* by ordinal */
    uint32_t tested;
} checking;

static void put_hex(qd_buf *to, qd_str s)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        (void)qd_buf_char(to, digits[c >> 4]);
        (void)qd_buf_char(to, digits[c & 15]);
    }
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    static const char *const names[] = {"intersects", "contains", "within"};
    const qd_node_check *c = &n->u.check;
    (void)in_bool;
    if (c->pattern) {
        qdi_put_pattern(to, c->pattern);
        return;
    }
    qdi_put_field(to, c->field);
    if (c->lo.p) {
        qdi_put(to, names[c->relation]);
        qdi_put(to, "[");
        put_hex(to, c->lo);
        qdi_put(to, " TO ");
        put_hex(to, c->hi);
        qdi_put(to, "]");
        return;
    }
    qdi_put(to, c->terms->from_inclusive ? "[" : "{");
    qdi_put_str(to, c->terms->has_from ? c->terms->from : QD_STR("*"));
    qdi_put(to, " TO ");
    qdi_put_str(to, c->terms->has_to ? c->terms->to : QD_STR("*"));
    qdi_put(to, c->terms->to_inclusive ? "]" : "}");
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    (void)depth;
    return qd_segment_field_find(leaf->segment, n->u.check.field) != QD_FIELD_NONE;
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    return n->u.check.pattern ? qdi_pattern_matches(g, n->u.check.pattern, boost) : 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_check, n, a.boost, a.scores, err);
    check *c = qd_arena_calloc(p->arena, sizeof *c);
    if (!x || !c) return qd_err_nomem(err, "query plan");
    *out = x;
    x->u.own = c;
    c->from = &n->u.check;
    c->field = qdi_plan_field(p, n->u.check.field, err);
    if (!c->field) return QD_E_NOMEM;
    const qd_node_pattern *pattern = c->from->pattern;
    const qd_node_range *r = c->from->terms;
    if (r)
        c->terms = (qd_term_range){.from = r->has_from ? r->from : (qd_str){"", 0},
                                   .from_exclusive = r->has_from && !r->from_inclusive,
                                   .to = r->to,
                                   .has_to = r->has_to,
                                   .to_inclusive = r->to_inclusive};
    return pattern ? qdi_pattern_automaton(pattern, pattern->text, p->arena, p->account,
                                           &c->automaton, err)
                   : 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const check *c = x->u.own;
    uint32_t f = c->field->number[r->leaf->index];
    const qd_columns *set = qd_segment_columns(r->leaf->segment);
    const qd_column *column = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    if (!column || qd_column_stats_get(column)->type != QD_COLUMN_ORDINAL) return 0;
    const qd_column_stats *st = qd_column_stats_get(column);
    if (!st->docs) return 0;
    if (c->from->exact_alone && !st->multi) {
        l->type = &qdi_node_match_all;
        l->cost = r->ndocs;
        return 0;
    }
    checking *k = qd_arena_calloc(r->arena, sizeof *k);
    if (k) k->known = qdi_scratch_calloc(r->scratch, st->ordinals + 1ul);
    if (!k || !k->known) return qd_err_nomem(err, "search");
    k->c = c;
    int rc = qd_column_plan(column, 0, r->ndocs, r->reads, r->arena, &k->rd, err);
    if (!rc) rc = qd_dict_plan_all(column, r->reads, r->arena, &k->dict, err);
    l->type = &qdi_node_check;
    l->u.own = k;
    l->cost = r->ndocs + 1ull; /* behind all that narrows */
    return rc;
}

/* Ends of a value against those of the query. */
static bool interval_passes(const qd_node_check *c, qd_str v)
{
    size_t n = c->lo.n;
    if (v.n != 2 * n) return false;
    const char *lo = v.p, *hi = v.p + n;
    switch (c->relation) {
    case QD_INTERVAL_CONTAINS:
        return memcmp(lo, c->lo.p, n) <= 0 && memcmp(hi, c->hi.p, n) >= 0;
    case QD_INTERVAL_WITHIN:
        return memcmp(lo, c->lo.p, n) >= 0 && memcmp(hi, c->hi.p, n) <= 0;
    default:
        return memcmp(lo, c->hi.p, n) <= 0 && memcmp(hi, c->lo.p, n) >= 0;
    }
}

/* Tests an entry of the dictionary: PASSES, FAILS or an error. */
static int test(qdi_run *r, checking *k, uint32_t ord, qd_err *err)
{
    const check *c = k->c;
    qd_str v;
    int rc = qd_dict_at(k->dict, ord, &v, err);
    if (!rc && ++k->tested % TICK == 0) {
        rc = qdi_run_tick(r);
        if (!rc) rc = qdi_plan_spend(r->plan, c->field->name, TICK, err);
    }
    if (rc) return rc;
    bool yes = c->automaton    ? qd_automaton_match(c->automaton, v)
               : c->from->lo.p ? interval_passes(c->from, v)
                               : qd_term_range_has(&c->terms, v);
    return k->known[ord] = yes ? PASSES : FAILS;
}

static int doc_passes(qdi_run *r, void *arg, uint32_t doc, bool *yes, qd_err *err)
{
    checking *k = arg;
    const int64_t *ords;
    uint32_t n;
    *yes = false;
    int rc = qd_column_values(k->rd, doc, &ords, &n, err);
    for (uint32_t i = 0; i < n && !rc && !*yes; i++) {
        int found = k->known[ords[i]];
        if (found == UNKNOWN) found = test(r, k, (uint32_t)ords[i], err);
        if (found < 0) return found;
        *yes = found == PASSES;
    }
    return rc;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    return qdi_fill_tested(r, l, w, cand, doc_passes, out, acc, err);
}

const qd_node_type qdi_node_check = {.name = "check",
                                     .flags = QDI_NODE_FLAT,
                                     .describe = describe,
                                     .may_match = may_match,
                                     .matches = matches,
                                     .compile = compile,
                                     .plan = plan,
                                     .next = qdi_next_any,
                                     .bound = qdi_bound_boost,
                                     .fill = fill};
