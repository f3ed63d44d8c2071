/*
 * toy_analysis.c: a char filter, a tokenizer and a token filter that return late on request. A text
 * with the word "stall" keeps run for the part's "ms" milliseconds, option "in" (open, close) the
 * call of that name. What it was given it uses once it has slept.
 *   toy_chars   leaves the text as it is
 *   toy_words   parts it at blanks
 *   toy_same    leaves the tokens as they are
 */
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>
#include <stdlib.h>
#include <time.h>

typedef struct part {
    long ms;
    int in_open, in_close;
} part;

static void nap(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t)) continue;
}

static int32_t part_open(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    part *p = (part *)calloc(1, sizeof *p);
    (void)self, (void)err;
    if (!p) return QD_E_NOMEM;
    for (uint32_t i = 0; i < config->noptions; i++) {
        const qd_pair *o = &config->options[i];
        if (qd_plug_is(o->key, "ms"))
            for (size_t k = 0; k < o->value.n; k++) p->ms = p->ms * 10 + (o->value.p[k] - '0');
        p->in_open |= qd_plug_is(o->key, "in") && qd_plug_is(o->value, "open");
        p->in_close |= qd_plug_is(o->key, "in") && qd_plug_is(o->value, "close");
    }
    if (p->in_open) nap(p->ms);
    if (config->json.n && config->json.p[0] != '{') exit(3); /* it is gone */
    *out = p;
    return 0;
}

static void part_close(void *at)
{
    part *p = (part *)at;
    if (p->in_close) nap(p->ms);
    free(p);
}

static void stall(const part *p, const char *text, size_t n)
{
    for (size_t i = 0; i + 5 <= n; i++)
        if (memcmp(text + i, "stall", 5) == 0) {
            nap(p->ms);
            return;
        }
}

static int32_t chars_run(const void *at, qd_str in, qd_text *out, qd_err *err)
{
    (void)err;
    stall((const part *)at, in.p, in.n);
    int32_t rc = out->grow(out, (uint32_t)in.n, 0);
    if (rc) return rc;
    if (in.n) memcpy(out->bytes, in.p, in.n);
    out->nbytes = (uint32_t)in.n;
    return 0;
}

static int32_t words_run(const void *at, qd_str in, qd_token_batch *out, qd_err *err)
{
    (void)err;
    stall((const part *)at, in.p, in.n);
    for (uint32_t i = 0, from = 0; i <= in.n; i++) {
        if (i < in.n && in.p[i] != ' ') continue;
        uint32_t n = i - from;
        int32_t rc = n ? out->grow(out, 1, n) : 0;
        if (rc) return rc;
        if (n) {
            memcpy(out->bytes + out->nbytes, in.p + from, n);
            qd_token t = {out->nbytes, n, from, i, 1, 1, QD_TOKEN_WORD, 0, 0};
            out->tokens[out->ntokens++] = t;
            out->nbytes += n;
        }
        from = i + 1;
    }
    out->end_offset = (uint32_t)in.n;
    return 0;
}

static int32_t same_run(const void *at, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    (void)out, (void)err;
    stall((const part *)at, in->bytes, in->nbytes);
    return 1;
}

static const qd_char_filter_vtable chars = {
    QD_VTABLE(qd_char_filter_vtable, CHAR_FILTER, QD_ANALYZER_NORMALIZER), part_open, chars_run,
    part_close};
static const qd_tokenizer_vtable words = {QD_VTABLE(qd_tokenizer_vtable, TOKENIZER, 0), part_open,
                                          words_run, part_close};
static const qd_token_filter_vtable same = {
    QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, QD_ANALYZER_NORMALIZER), part_open, same_run,
    part_close};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    int32_t rc = host->provide(self, QD_KIND_CHAR_FILTER, "toy_chars", &chars, err);
    if (!rc) rc = host->provide(self, QD_KIND_TOKENIZER, "toy_words", &words, err);
    return rc ? rc : host->provide(self, QD_KIND_TOKEN_FILTER, "toy_same", &same, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "toy-analysis", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("toy-analysis", "0.1.0", 0, 3, QD_NOTE_FOR(CHAR_FILTER), QD_NOTE_FOR(TOKENIZER),
               QD_NOTE_FOR(TOKEN_FILTER))
