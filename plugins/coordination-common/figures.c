/* figures.c: see figures.h. */
#include "figures.h"
#include "store.h"

static const struct {
    const char *name, *help;
    int32_t type;
} rows[CR_FIGURES] = {
#define CR_ROW(id, name, type, help) [CR_FIGURE_##id] = {name, help, QD_METRIC_##type},
#include "figures.def"
#undef CR_ROW
};

void cr_figures_make(cr_figures *f, qd_self *self, const qd_svc_metric *svc)
{
    f->svc = svc;
    for (int i = 0; svc && i < CR_FIGURES; i++)
        f->metrics[i] = svc->make(self, rows[i].type, rows[i].name, rows[i].help);
}

static void set(const cr_figures *f, cr_figure i, uint64_t v)
{
    f->svc->set(f->metrics[i], (int64_t)v);
}

void cr_figures_show(const qd_coord *c, uint64_t leader)
{
    const cr_figures *f = &c->plugin->figures;
    const cr_consensus_view *v = &c->view;
    if (!f->svc) return;
    set(f, CR_FIGURE_TERM, v->term);
    set(f, CR_FIGURE_COMMIT_INDEX, v->committed);
    set(f, CR_FIGURE_APPLIED_INDEX, v->applied);
    set(f, CR_FIGURE_DURABLE_INDEX, v->durable);
    set(f, CR_FIGURE_SNAPSHOT_INDEX, v->snapshot);
    set(f, CR_FIGURE_LEADS, v->leads != 0);
    set(f, CR_FIGURE_LEADER_KNOWN, v->leader != 0);
    set(f, CR_FIGURE_VOTERS, c->members ? c->members->voters : 0);
    set(f, CR_FIGURE_FAILED, v->failed != 0);
    if (v->leader && v->leader != leader) f->svc->add(f->metrics[CR_FIGURE_LEADER_CHANGES], 1);
}

void cr_figures_clear(const cr_figures *f)
{
    if (!f->svc) return;
    for (int i = 0; i < CR_FIGURES; i++)
        if (rows[i].type == QD_METRIC_GAUGE) set(f, (cr_figure)i, 0);
}
