/* metrics.c: see metrics.h. */
#include "metrics.h"
#include "store.h"

static const struct {
    const char *name, *help;
    int32_t type;
} rows[CR_METRICS] = {
#define CR_ROW(id, name, type, help) [CR_METRIC_##id] = {name, help, QD_METRIC_##type},
#include "metrics.def"
#undef CR_ROW
};

void cr_metrics_make(cr_metrics *f, qd_self *self, const qd_svc_metric *svc)
{
    f->svc = svc;
    for (int i = 0; svc && i < CR_METRICS; i++)
        f->metrics[i] = svc->make(self, rows[i].type, rows[i].name, rows[i].help);
}

static void set(const cr_metrics *f, cr_metric i, uint64_t v)
{
    f->svc->set(f->metrics[i], (int64_t)v);
}

void cr_metrics_show(const qd_coord *c, uint64_t leader)
{
    const cr_metrics *f = &c->plugin->metrics;
    const cr_consensus_view *v = &c->view;
    if (!f->svc) return;
    set(f, CR_METRIC_TERM, v->term);
    set(f, CR_METRIC_COMMIT_INDEX, v->committed);
    set(f, CR_METRIC_APPLIED_INDEX, v->applied);
    set(f, CR_METRIC_DURABLE_INDEX, v->durable);
    set(f, CR_METRIC_SNAPSHOT_INDEX, v->snapshot);
    set(f, CR_METRIC_LEADS, v->leads != 0);
    set(f, CR_METRIC_LEADER_KNOWN, v->leader != 0);
    set(f, CR_METRIC_VOTERS, c->members ? c->members->voters : 0);
    set(f, CR_METRIC_FAILED, v->failed != 0);
    if (v->leader && v->leader != leader) f->svc->add(f->metrics[CR_METRIC_LEADER_CHANGES], 1);
}

void cr_metrics_clear(const cr_metrics *f)
{
    if (!f->svc) return;
    for (int i = 0; i < CR_METRICS; i++)
        if (rows[i].type == QD_METRIC_GAUGE) set(f, (cr_metric)i, 0);
}
