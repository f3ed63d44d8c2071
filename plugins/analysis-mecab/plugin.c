/* plugin.c: the plugin's parts by their names. */
#include "mecab_int.h"

const qd_svc_mem *mecab_mem;
const qd_svc_err *mecab_errs;

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mecab_mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    mecab_errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mecab_mem || !mecab_errs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_TOKENIZER, "mecab_tokenizer", &mecab_tokenizer, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "analysis-mecab", "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("analysis-mecab", "0.1.0", 0, 1, QD_NOTE_FOR(TOKENIZER))
