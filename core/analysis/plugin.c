/*
 * plugin.c: our parts registered through the SDK's vtables, one for each type of builtin.c.
 *
 * Chains of ours make built-in parts natively; these serve whoever asks by the contract (the
 * conformance kit, plugins that wrap a part). A run copies the batch in and out of a scratch of its
 * own. A synonym filter has no chain in front here: its rules are parted at white space.
 */
#include "analysis/builtin_int.h"
#include "analysis/foreign_int.h"
#include "analysis/offsets_int.h"
#include <quidditch/plugin.h>

/* Settings from pairs: equal keys in a row are a list. */
static int open_part(const qd_part_type *type, const qd_analyzer_config *config, qd_part **out,
                     qd_err *err)
{
    uint32_t n = config->noptions;
    qd_analysis_setting *set = qd_calloc(NULL, (n + 1) * sizeof *set);
    qd_str *values = qd_alloc(NULL, (n + 1) * sizeof *values);
    qd_part_conf c = {.name = config->name,
                      .settings = set,
                      .max_ngram_diff = INT32_MAX,
                      .max_shingle_diff = INT32_MAX};
    int rc = set && values ? 0 : qd_err_nomem(err, "analysis part");
    for (uint32_t i = 0; !rc && i < n; i++) {
        values[i] = config->options[i].value;
        if (c.n && qd_str_eq(set[c.n - 1].key, config->options[i].key)) {
            set[c.n - 1].nvalues++;
            set[c.n - 1].list = true;
        } else {
            set[c.n++] = (qd_analysis_setting){config->options[i].key, values + i, 1, false};
        }
    }
    uint64_t asked = 0;
    c.prebuilt = c.n == 0;
    c.asked = &asked;
    if (!rc) rc = type->make(&c, out, err);
    for (size_t i = 0; !rc && i < c.n && i < 64; i++)
        if (!(asked >> i & 1)) {
            qd_part_unref(*out);
            rc = qd_err_set(err, QD_E_ARG, "unknown option [%.*s]", QD_STR_ARG(set[i].key));
        }
    qd_free(set);
    qd_free(values);
    if (rc || !(*out)->ops->in_chain) return rc;
    qd_part_conf plain = {.name = config->name};
    qd_part *words, *bound, *open = *out;
    rc = qd_make_whitespace(&plain, &words, err);
    if (!rc) {
        rc = open->ops->in_chain(open, &words, 1, &bound, err);
        qd_part_unref(words);
    }
    qd_part_unref(open);
    if (!rc) *out = bound;
    return rc;
}

static void close_part(void *part)
{
    qd_part_unref(part);
}

/* A scratch with an empty value. */
static qd_analysis *scratch_make(qd_str in)
{
    qd_analysis *s = qd_analysis_make(NULL, 0);
    if (!s) return NULL;
    s->want = QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES;
    s->value = in;
    s->src = in.p ? in.p : "";
    s->nsrc = in.n;
    if (!qd_text_reserve(s, 1) && !qd_batch_reserve(s, s->b, 1)) return s;
    qd_analysis_free(s);
    return NULL;
}

static int32_t run_tokenizer(const void *part, qd_str in, qd_token_batch *out, qd_err *err)
{
    const qd_part *p = part;
    qd_analysis *s = scratch_make(in);
    if (!s) return qd_err_nomem(err, "analysis");
    int rc = p->ops->run(p, s, err);
    if (!rc) rc = qd_offsets_finish(s);
    if (!rc) rc = qd_batch_to_sdk(s, s->b, out);
    qd_analysis_free(s);
    return rc;
}

static int32_t run_filter(const void *part, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    const qd_part *p = part;
    qd_analysis *s = scratch_make((qd_str){NULL, 0});
    if (!s) return qd_err_nomem(err, "analysis");
    s->offsets_done = true;
    int rc = qd_batch_from_sdk(s, s->b, in);
    if (!rc) rc = p->ops->run(p, s, err);
    if (!rc) rc = qd_batch_to_sdk(s, s->b, out);
    qd_analysis_free(s);
    return rc;
}

static int32_t run_chars(const void *part, qd_str in, qd_text *out, qd_err *err)
{
    const qd_part *p = part;
    qd_analysis *s = scratch_make(in);
    if (!s) return qd_err_nomem(err, "analysis");
    int rc = p->ops->run(p, s, err);
    const qd_filtered *f = s->nfiltered ? &s->filtered[0] : NULL;
    if (!rc) rc = out->grow(out, (uint32_t)s->nsrc, f ? (uint32_t)f->fix.n : 0);
    if (!rc) {
        if (s->nsrc) memcpy(out->bytes + out->nbytes, s->src, s->nsrc);
        out->nbytes += (uint32_t)s->nsrc;
        for (size_t i = 0; f && i < f->fix.n; i++)
            out->fixes[out->nfixes++] = (qd_text_fix){f->fix.at[i].at, f->fix.at[i].diff};
    }
    qd_analysis_free(s);
    return rc;
}

/* The SDK's open has no closure: each place of the table of types has a function of its own. */
#define OPEN(i)                                                                                    \
    static int32_t open_##i(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)   \
    {                                                                                              \
        qd_part *p;                                                                                \
        (void)self;                                                                                \
        int rc = open_part(qd_part_type_at(i), c, &p, err);                                        \
        if (!rc) *out = p;                                                                         \
        return rc;                                                                                 \
    }
/* A list of numbers is moved by every run of clang-format. */
/* clang-format off */
#define PLACES(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) \
    X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) \
    X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) \
    X(47) X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) \
    X(62) X(63) X(64) X(65) X(66) X(67) X(68) X(69) X(70) X(71) X(72) X(73) X(74) X(75) X(76) \
    X(77) X(78) X(79) X(80) X(81) X(82) X(83) X(84) X(85) X(86) X(87) X(88) X(89) X(90) X(91) \
    X(92) X(93) X(94) X(95) X(96) X(97) X(98) X(99) X(100) X(101) X(102) X(103) X(104) X(105) \
    X(106) X(107) X(108) X(109) X(110) X(111)
/* clang-format on */
PLACES(OPEN)
#define OPEN_AT(i) open_##i,
static int32_t (*const opens[])(qd_self *, const qd_analyzer_config *, void **,
                                qd_err *) = {PLACES(OPEN_AT)};

static union {
    qd_char_filter_vtable chars;
    qd_tokenizer_vtable tokenizer;
    qd_token_filter_vtable filter;
} vtables[QD_COUNT_OF(opens)];

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    const qd_part_type *t;
    for (size_t i = 0; (t = qd_part_type_at(i)); i++) {
        qd_assert(i < QD_COUNT_OF(opens));
        uint64_t flags = t->flags;
        uint32_t kind = QD_KIND_TOKEN_FILTER;
        if (t->kind == QD_STAGE_CHAR_FILTER) {
            kind = QD_KIND_CHAR_FILTER;
            vtables[i].chars =
                (qd_char_filter_vtable){QD_VTABLE(qd_char_filter_vtable, CHAR_FILTER, flags),
                                        opens[i], run_chars, close_part};
        } else if (t->kind == QD_STAGE_TOKENIZER) {
            kind = QD_KIND_TOKENIZER;
            vtables[i].tokenizer =
                (qd_tokenizer_vtable){QD_VTABLE(qd_tokenizer_vtable, TOKENIZER, flags), opens[i],
                                      run_tokenizer, close_part};
        } else {
            vtables[i].filter =
                (qd_token_filter_vtable){QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, flags),
                                         opens[i], run_filter, close_part};
        }
        int32_t rc = host->provide(self, kind, t->name, &vtables[i], err);
        if (rc) return rc;
    }
    return 0;
}

static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0),       .name = "analysis", .version = QD_VERSION,
    .license = "Apache-2.0", .build_id = "",     .init = init,
};

const qd_plugin *qd_analysis_plugin(void)
{
    return &plugin;
}
