/* @NAME@: a token filter. It writes the ASCII letters of each term in lower case: put your own
 * here. */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>

static const qd_svc_err *errs;

static int32_t open_filter(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    for (uint32_t i = 0; i < config->noptions; i++) /* "type" names the filter itself */
        if (!qd_plug_is(config->options[i].key, "type"))
            return qd_plug_fail(errs, err, QD_E_ARG, "filter [%.*s]: unknown option [%.*s]",
                                (int)config->name.n, config->name.p, (int)config->options[i].key.n,
                                config->options[i].key.p);
    *out = self; /* nothing to remember; else memory of the mem service, freed by close_filter */
    return 0;
}

/* Terms that keep their length may be changed in place: then the result is 1. Otherwise write
 * `out`, making room with out->grow, and return 0. */
static int32_t run_filter(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    (void)filter, (void)out, (void)err;
    for (uint32_t i = 0; i < in->nbytes; i++)
        if (in->bytes[i] >= 'A' && in->bytes[i] <= 'Z') in->bytes[i] = (char)(in->bytes[i] + 32);
    return 1;
}

static void close_filter(void *filter)
{
    (void)filter;
}

static const qd_token_filter_vtable vtable = {
    QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, QD_ANALYZER_NORMALIZER), open_filter,
    run_filter, close_filter};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!errs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_TOKEN_FILTER, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(TOKEN_FILTER))
