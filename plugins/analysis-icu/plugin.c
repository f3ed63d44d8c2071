/* plugin.c: the plugin's parts by their names. */
#include "icu.h"

const qd_svc_mem *icu_mem;
const qd_svc_err *icu_errs;

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    icu_mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    icu_errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!icu_mem || !icu_errs) return qd_plug_no_service(host, self, err);
    int32_t rc = host->provide(self, QD_KIND_TOKENIZER, "icu_tokenizer", &icu_tokenizer, err);
    if (!rc) rc = host->provide(self, QD_KIND_TOKEN_FILTER, "icu_normalizer", &icu_normalizer, err);
    if (!rc) rc = host->provide(self, QD_KIND_TOKEN_FILTER, "icu_folding", &icu_folding, err);
    if (!rc) rc = host->provide(self, QD_KIND_TOKEN_FILTER, "icu_transform", &icu_transform, err);
    return rc;
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "analysis-icu", "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("analysis-icu", "0.1.0", 0, 2, QD_NOTE_FOR(TOKENIZER), QD_NOTE_FOR(TOKEN_FILTER))
