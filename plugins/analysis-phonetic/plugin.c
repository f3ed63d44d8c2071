/*
 * plugin.c: the token filter `phonetic`: terms as codes, or codes beside terms (replace: false).
 */
#include "phonetic.h"
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>
#include <string.h>

static const qd_svc_mem *mem;
static const qd_svc_err *errs;

typedef struct filter {
    ph_encode *encode;
    size_t max;
    bool replace;
} filter;

static const struct {
    const char *name;
    ph_encode *encode; /* NULL: known, not supported */
} encoders[] = {
    {"metaphone", ph_metaphone},
    {"soundex", ph_soundex},
    {"refined_soundex", ph_refined_soundex},
    {"refinedSoundex", ph_refined_soundex},
    {"caverphone1", ph_caverphone1},
    {"caverphone2", ph_caverphone2},
    {"caverphone", ph_caverphone2},
    {"cologne", ph_cologne},
    {"nysiis", ph_nysiis},
    {"double_metaphone", NULL},
    {"doubleMetaphone", NULL},
    {"koelnerphonetik", NULL},
    {"haasephonetik", NULL},
    {"beider_morse", NULL},
    {"beidermorse", NULL},
    {"daitch_mokotoff", NULL},
};

#define FAIL(...) qd_plug_fail(errs, err, QD_E_ARG, __VA_ARGS__)
#define STR(s) (int)(s).n, (s).p

static int32_t encoder_find(qd_str filter_name, qd_str name, filter *f, qd_err *err)
{
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders; i++) {
        if (!qd_plug_is(name, encoders[i].name)) continue;
        f->encode = encoders[i].encode;
        if (f->encode) return 0;
        return FAIL("encoder [%.*s] of filter [%.*s] is not supported by this version: use "
                    "[metaphone], [cologne] or another one",
                    STR(name), STR(filter_name));
    }
    return FAIL("unknown encoder [%.*s] for phonetic token filter", STR(name));
}

static int32_t option(qd_str name, const qd_pair *o, filter *f, qd_err *err)
{
    if (qd_plug_is(o->key, "type")) return 0;
    if (qd_plug_is(o->key, "encoder")) return encoder_find(name, o->value, f, err);
    if (qd_plug_is(o->key, "replace")) {
        f->replace = qd_plug_is(o->value, "true");
        if (f->replace || qd_plug_is(o->value, "false")) return 0;
        return FAIL("Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                    STR(o->value));
    }
    if (qd_plug_is(o->key, "max_code_len")) {
        f->max = 0;
        for (size_t i = 0; i < o->value.n && f->max <= PH_WORD_MAX; i++) {
            char c = o->value.p[i];
            if (c < '0' || c > '9') return FAIL("max_code_len of [%.*s] is no number", STR(name));
            f->max = f->max * 10 + (size_t)(c - '0');
        }
        if (f->max && f->max <= PH_WORD_MAX) return 0;
        return FAIL("max_code_len of [%.*s] must be between 1 and %d", STR(name), PH_WORD_MAX);
    }
    return FAIL("filter [%.*s]: unknown option [%.*s]", STR(name), STR(o->key));
}

static int32_t open_filter(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    filter f = {.encode = ph_metaphone, .replace = true};
    for (uint32_t i = 0; i < c->noptions; i++) {
        int32_t rc = option(c->name, &c->options[i], &f, err);
        if (rc) return rc;
    }
    if (f.max && f.encode != ph_metaphone)
        return FAIL("filter [%.*s]: max_code_len is an option of the encoder [metaphone] alone",
                    STR(c->name));
    if (!f.max) f.max = 4;
    filter *made = (filter *)mem->alloc(self, sizeof f);
    if (!made) return QD_E_NOMEM;
    *made = f;
    *out = made;
    return 0;
}

/* The letters of a term as capitals, without other characters of ASCII and with German letters as
 * their base; 0: it has others, or none, or too many. */
static size_t letters_of(const char *p, size_t n, bool german, char *w)
{
    static const char umlauts[][3] = {"\xA4\x41", "\x84\x41", "\xB6\x4F", "\x96\x4F",
                                      "\xBC\x55", "\x9C\x55", "\x9F\x53"}; /* behind C3 */
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i], base = 0;
        if ((c & 0x80) && (!german || c != '\xC3' || i + 1 == n)) return 0;
        if (c & 0x80) {
            i++;
            for (size_t u = 0; u < sizeof umlauts / sizeof *umlauts; u++)
                if (umlauts[u][0] == p[i]) base = umlauts[u][1];
            if (!base) return 0;
        } else if ((c | 32) >= 'a' && (c | 32) <= 'z') {
            base = (char)(c & ~32);
        }
        if (!base) continue;
        if (k == PH_WORD_MAX) return 0;
        w[k++] = base;
    }
    return k;
}

static int32_t put(qd_token_batch *out, const qd_token *from, const char *p, size_t n, uint32_t inc)
{
    int32_t rc = out->grow(out, 1, (uint32_t)n);
    if (rc) return rc;
    qd_token *t = &out->tokens[out->ntokens++];
    *t = *from;
    t->text = out->nbytes;
    t->text_len = (uint32_t)n;
    t->position_inc = inc;
    memcpy(out->bytes + out->nbytes, p, n);
    out->nbytes += (uint32_t)n;
    return 0;
}

static int32_t run_filter(const void *self, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    const filter *f = (const filter *)self;
    int32_t rc = 0;
    (void)err;
    for (uint32_t i = 0; !rc && i < in->ntokens; i++) {
        const qd_token *t = &in->tokens[i];
        const char *p = in->bytes + t->text;
        char w[PH_WORD_MAX], code[PH_CODE_MAX];
        size_t n = letters_of(p, t->text_len, f->encode == ph_cologne, w);
        size_t k = n ? f->encode(w, n, f->max, code) : 0;
        bool other = k && (k != t->text_len || memcmp(code, p, k) != 0);
        if (other) rc = put(out, t, code, k, t->position_inc);
        if (!rc && (!other || !f->replace))
            rc = put(out, t, p, t->text_len, other ? 0 : t->position_inc);
    }
    out->end_offset = in->end_offset;
    out->end_inc = in->end_inc;
    return rc;
}

static void close_filter(void *self)
{
    mem->free(self);
}

static const qd_token_filter_vtable vtable = {QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, 0),
                                              open_filter, run_filter, close_filter};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !errs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_TOKEN_FILTER, "phonetic", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "analysis-phonetic", "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("analysis-phonetic", "0.1.0", 0, 1, QD_NOTE_FOR(TOKEN_FILTER))
