/*
 * reverse.c: the token filter `example_reverse`. It changes terms in place: a term turned around
 * has as many bytes as before, so no new batch is needed and run returns 1.
 */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_err *errs;

typedef struct reverse {
    uint32_t min_length; /* code points */
} reverse;

static int parse_number(qd_str s, uint32_t *out)
{
    uint32_t n = 0;
    if (s.n == 0 || s.n > 6) return 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return 0;
        n = n * 10 + (uint32_t)(s.p[i] - '0');
    }
    *out = n;
    return 1;
}

static int32_t open_filter(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    uint32_t min_length = 1;
    for (uint32_t i = 0; i < config->noptions; i++) {
        const qd_pair *o = &config->options[i];
        if (qd_plug_is(o->key, "type")) continue; /* how the settings name this filter */
        if (!qd_plug_is(o->key, "min_length"))
            return qd_plug_fail(errs, err, QD_E_ARG, "filter [%.*s]: unknown option [%.*s]",
                                (int)config->name.n, config->name.p, (int)o->key.n, o->key.p);
        if (!parse_number(o->value, &min_length))
            return qd_plug_fail(errs, err, QD_E_ARG,
                                "filter [%.*s]: min_length wants a number, found [%.*s]",
                                (int)config->name.n, config->name.p, (int)o->value.n, o->value.p);
    }
    reverse *r = (reverse *)mem->alloc(self, sizeof *r);
    if (!r) return QD_E_NOMEM;
    r->min_length = min_length;
    *out = r;
    return 0;
}

static void turn_bytes(char *p, size_t n)
{
    for (size_t i = 0, k = n; i + 1 < k; i++) {
        char c = p[i];
        p[i] = p[--k];
        p[k] = c;
    }
}

/* All bytes around, then the bytes of each character around again. */
static void turn_term(char *p, size_t n)
{
    turn_bytes(p, n);
    for (size_t i = 0; i < n;) {
        size_t from = i;
        while (i < n && ((uint8_t)p[i] & 0xc0) == 0x80) i++;
        if (i < n) i++;
        turn_bytes(p + from, i - from);
    }
}

static uint32_t code_points(const char *p, size_t n)
{
    uint32_t points = 0;
    for (size_t i = 0; i < n; i++) points += ((uint8_t)p[i] & 0xc0) != 0x80;
    return points;
}

static int32_t run_filter(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    const reverse *r = (const reverse *)filter;
    (void)out;
    (void)err;
    for (uint32_t i = 0; i < in->ntokens; i++) {
        const qd_token *t = &in->tokens[i];
        char *term = in->bytes + t->text;
        if (t->flags & QD_TOKEN_KEYWORD) continue;
        if (code_points(term, t->text_len) >= r->min_length) turn_term(term, t->text_len);
    }
    return 1;
}

static void close_filter(void *filter)
{
    mem->free(filter);
}

static const qd_token_filter_vtable vtable = {QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, 0),
                                              open_filter, run_filter, close_filter};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !errs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_TOKEN_FILTER, "example_reverse", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-reverse", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-reverse", "1.0.0", 0, 1, QD_NOTE_FOR(TOKEN_FILTER))
