/* pattern.c: prefix, wildcard, regexp, fuzzy over a field's terms. */
#include "search/highlight/highlight_int.h"
#include "search/nodes/nodes_int.h"
#include "search/plan/plan_int.h"

void qdi_put_pattern(qd_buf *to, const qd_node_pattern *p)
{
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

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put_pattern(to, &n->u.pattern);
}

int qdi_pattern_matches(qdi_gather *g, const qd_node_pattern *p, float boost)
{
    qd_highlighter *h = g->h;
    if (!qdi_highlight_wants(g, p->field) || h->npatterns == QDI_HIGHLIGHT_LISTS_MAX) return 0;
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_PATTERN, (qd_str){NULL, 0}, h->npatterns, boost);
    int rc = g->counting ? 0
                         : qdi_pattern_automaton(p, p->text, g->arena, g->arena->account,
                                                 &h->patterns[h->npatterns], g->err);
    h->npatterns += !rc;
    return rc;
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    return qdi_pattern_matches(g, &n->u.pattern, boost);
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    return qdi_expand_pattern(p, n, a.boost, a.scores, out, err);
}

const qd_node_type qdi_node_pattern = {
    .name = "pattern", .describe = describe, .matches = matches, .compile = compile};
