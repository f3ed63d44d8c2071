/* @NAME@: a char filter. It takes soft hyphens (U+00AD) out of a text: put your own rule into
 * run_filter. */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>

static const qd_svc_err *errs;

static int32_t open_filter(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    for (uint32_t i = 0; i < config->noptions; i++) /* "type" names the filter itself */
        if (!qd_plug_is(config->options[i].key, "type"))
            return qd_plug_fail(errs, err, QD_E_ARG, "char filter [%.*s]: unknown option [%.*s]",
                                (int)config->name.n, config->name.p, (int)config->options[i].key.n,
                                config->options[i].key.p);
    *out = self;
    return 0;
}

/* Where something was taken out, a correction tells how far the text behind it moved. */
static int32_t run_filter(const void *filter, qd_str in, qd_text *out, qd_err *err)
{
    uint32_t units = 0;
    int32_t diff = 0;
    (void)filter, (void)err;
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = (uint8_t)in.p[i];
        int32_t rc = out->grow(out, 1, 1);
        if (rc) return rc;
        if (c == 0xc2 && i + 1 < in.n && (uint8_t)in.p[i + 1] == 0xad) {
            i++;
            diff++; /* one UTF-16 unit less */
            if (out->nfixes == 0 || out->fixes[out->nfixes - 1].offset != units)
                out->fixes[out->nfixes++].offset = units;
            out->fixes[out->nfixes - 1].diff = diff;
            continue;
        }
        out->bytes[out->nbytes++] = (char)c;
        units += (c & 0xc0) == 0x80 ? 0 : c >= 0xf0 ? 2 : 1;
    }
    return 0;
}

static void close_filter(void *filter)
{
    (void)filter;
}

static const qd_char_filter_vtable vtable = {QD_VTABLE(qd_char_filter_vtable, CHAR_FILTER, 0),
                                             open_filter, run_filter, close_filter};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!errs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_CHAR_FILTER, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(CHAR_FILTER))
