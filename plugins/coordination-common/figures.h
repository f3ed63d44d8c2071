/*
 * figures.h: what an open store shows at /metrics, as quidditch_plugin_<plugin>_<name>.
 */
#ifndef COORDINATION_COMMON_FIGURES_H
#define COORDINATION_COMMON_FIGURES_H

#include <quidditch/abi.h>

struct qd_coord;

typedef enum cr_figure {
#define CR_ROW(id, name, type, help) CR_FIGURE_##id,
#include "figures.def"
#undef CR_ROW
    CR_FIGURES
} cr_figure;

/* The plugin's metrics, registered once; svc NULL: the host has none, and nothing is shown. */
typedef struct cr_figures {
    const qd_svc_metric *svc;
    qd_plugin_metric *metrics[CR_FIGURES];
} cr_figures;

/* Registers them. [init] */
void cr_figures_make(cr_figures *f, qd_self *self, const qd_svc_metric *svc);
/* Shows what the store's view says; leader: the one before the look. [loop] */
void cr_figures_show(const struct qd_coord *c, uint64_t leader);
/* The store is closed: gauges fall to 0, the counter stays. [any] */
void cr_figures_clear(const cr_figures *f);

#endif
