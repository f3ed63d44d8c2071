/*
 * leaf_column.c: terms and ranges of words and addresses that have a column and no index: each
 * entry of the column's dictionary is looked at, and the documents of those that are wanted are
 * marked. Slow, as Elasticsearch's queries over doc values are; it reads on its own, before the
 * run's fetch.
 */
#include "base/str.h"
#include "search/leaf/leaf_int.h"
#include "segment/terms.h"
#include <string.h>

static bool in_set(const qdi_node *x, qd_str t)
{
    if (qdi_plan_can(x, QDI_NODE_INTERVAL))
        return t.n == 16 && memcmp(t.p, x->u.range.lo16, 16) >= 0 &&
               memcmp(t.p, x->u.range.hi16, 16) <= 0;
    for (uint32_t lo = 0, hi = x->u.set.n; x->u.set.terms && lo < hi;) {
        uint32_t m = (lo + hi) / 2;
        int c = qd_str_cmp(x->u.set.terms[m], t);
        if (c == 0) return true;
        if (c < 0)
            lo = m + 1;
        else
            hi = m;
    }
    if (x->u.set.terms) return false;
    return qd_term_range_has(&x->u.set.range, t);
}

int qdi_column_bits(qdi_run *r, const qdi_node *x, uint32_t field, uint64_t *bits, qd_err *err)
{
    const qd_columns *cs = qd_segment_columns(r->leaf->segment);
    const qd_column *c = cs ? qd_columns_get(cs, field) : NULL;
    if (!c || qd_column_stats_get(c)->type != QD_COLUMN_ORDINAL) return 0;
    uint32_t n = qd_column_stats_get(c)->ordinals, run = 0;
    int rc = qdi_plan_spend(r->plan, qd_segment_field(r->leaf->segment, field)->name,
                            n + r->ndocs / 64, err);
    if (rc) return rc;
    qd_reads *reads = qd_reads_make(r->arena, r->plan->account);
    qd_dict_reader *dict;
    qd_column_reader *rd;
    if (!reads) return qd_err_nomem(err, "search");
    rc = qd_dict_plan_all(c, reads, r->arena, &dict, err);
    if (!rc) rc = qd_column_plan(c, 0, r->ndocs, reads, r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    for (uint32_t ord = 0; ord <= n && !rc; ord++) {
        qd_str t = {NULL, 0};
        if (ord % 1024 == 0) rc = qdi_run_tick(r);
        if (!rc && ord < n) rc = qd_dict_at(dict, ord, &t, err);
        if (!rc && ord < n && in_set(x, t)) {
            run++;
        } else if (!rc && run) { /* neighbours at once */
            rc = qd_column_match(rd, 0, r->ndocs, (int64_t)ord - run, (int64_t)ord - 1, bits, err);
            run = 0;
        }
    }
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    return rc;
}
