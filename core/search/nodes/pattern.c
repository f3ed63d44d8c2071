/* pattern.c: prefix, wildcard, regexp, fuzzy over a field's terms. */
#include "search/highlight/highlight_int.h"
#include "search/nodes/nodes_int.h"
#include "search/plan/plan_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_pattern *p = &n->u.pattern;
    (void)in_bool;
    qdi_put_field(to, p->field);
    if (p->kind == QD_PATTERN_REGEXP) qdi_put(to, "/");
    qdi_put_str(to, p->text);
    if (p->kind == QD_PATTERN_REGEXP) qdi_put(to, "/");
    if (p->kind == QD_PATTERN_PREFIX) qdi_put(to, "*");
    if (p->kind == QD_PATTERN_FUZZY) {
        qdi_put(to, "~");
        qdi_put_int(to, p->max_edits);
    }
    if (p->case_insensitive) qdi_put(to, " (ignore case)");
}

static void drop_automaton(void *arg)
{
    qd_automaton_free(arg);
}

static int make_pattern(qdi_gather *g, const qd_node_pattern *p, qd_err *err)
{
    qd_automaton *a = NULL;
    qd_account *acc = g->arena->account;
    int rc = 0;
    switch (p->kind) {
    case QD_PATTERN_PREFIX:
        rc = qd_automaton_prefix(p->text, p->case_insensitive, acc, &a, err);
        break;
    case QD_PATTERN_WILDCARD:
        rc = qd_automaton_wildcard(p->text, p->case_insensitive, p->max_states, acc, &a, err);
        break;
    case QD_PATTERN_REGEXP:
        rc = qd_automaton_regexp(p->text, p->regexp_flags, p->case_insensitive, p->max_states, acc,
                                 &a, err);
        break;
    case QD_PATTERN_FUZZY:
        rc = qd_automaton_fuzzy(p->text, p->max_edits, p->prefix_length, !p->no_transpositions, acc,
                                &a, err);
        break;
    }
    if (rc) return rc;
    if (qd_arena_on_reset(g->arena, drop_automaton, a)) return qd_err_nomem(err, "highlighting");
    g->h->patterns[g->h->npatterns++] = a;
    return 0;
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    qd_highlighter *h = g->h;
    if (!qdi_highlight_wants(g, n->u.pattern.field) || h->npatterns == QDI_HIGHLIGHT_LISTS_MAX)
        return 0;
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_PATTERN, (qd_str){NULL, 0}, h->npatterns, boost);
    if (!g->counting) return make_pattern(g, &n->u.pattern, g->err);
    h->npatterns++;
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    return qdi_expand_pattern(p, n, a.boost, a.scores, out, err);
}

const qd_node_type qdi_node_pattern = {
    .name = "pattern", .describe = describe, .matches = matches, .compile = compile};
