/* @NAME@: a tokenizer. It cuts a text at ASCII white space: put your own rule into is_gap. */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>

static const qd_svc_err *errs;

static int32_t open_tokenizer(qd_self *self, const qd_analyzer_config *config, void **out,
                              qd_err *err)
{
    for (uint32_t i = 0; i < config->noptions; i++) /* "type" names the tokenizer itself */
        if (!qd_plug_is(config->options[i].key, "type"))
            return qd_plug_fail(errs, err, QD_E_ARG, "tokenizer [%.*s]: unknown option [%.*s]",
                                (int)config->name.n, config->name.p, (int)config->options[i].key.n,
                                config->options[i].key.p);
    *out = self;
    return 0;
}

static int is_gap(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* UTF-16 units that begin with this byte of UTF-8: offsets are counted in them. */
static uint32_t units_of(char c)
{
    return ((uint8_t)c & 0xc0) == 0x80 ? 0 : (uint8_t)c >= 0xf0 ? 2 : 1;
}

static int32_t add(qd_token_batch *out, qd_str term, uint32_t start, uint32_t end)
{
    int32_t rc = out->grow(out, 1, (uint32_t)term.n);
    if (rc) return rc;
    qd_token *t = &out->tokens[out->ntokens++];
    memset(t, 0, sizeof *t);
    memcpy(out->bytes + out->nbytes, term.p, term.n);
    t->text = out->nbytes;
    t->text_len = (uint32_t)term.n;
    t->start = start;
    t->end = end;
    t->position_inc = t->position_len = 1;
    t->type = QD_TOKEN_WORD;
    out->nbytes += (uint32_t)term.n;
    return 0;
}

static int32_t run_tokenizer(const void *tokenizer, qd_str in, qd_token_batch *out, qd_err *err)
{
    uint32_t units = 0;
    (void)tokenizer, (void)err;
    for (size_t i = 0; i < in.n;) {
        uint32_t start = units;
        size_t from = i;
        while (i < in.n && !is_gap(in.p[i])) units += units_of(in.p[i++]);
        qd_str term = {in.p + from, i - from};
        int32_t rc = term.n ? add(out, term, start, units) : 0;
        if (rc) return rc;
        if (i < in.n) units += units_of(in.p[i++]);
    }
    out->end_offset = units;
    return 0;
}

static void close_tokenizer(void *tokenizer)
{
    (void)tokenizer;
}

static const qd_tokenizer_vtable vtable = {QD_VTABLE(qd_tokenizer_vtable, TOKENIZER, 0),
                                           open_tokenizer, run_tokenizer, close_tokenizer};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!errs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_TOKENIZER, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(TOKENIZER))
