/* keep.c: keep lets the words of a list through, keep_types the tokens of some types. */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"

typedef struct keep {
    qd_part head;
    qd_wordset words;
    bool ignore_case;
    uint64_t types; /* keep_types: bits of the types that stay */
} keep;

static int keep_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const keep *f = (const keep *)p;
    qd_drop d;
    int rc = 0;
    qd_drop_begin(&d);
    size_t n = s->b->t.n;
    for (size_t i = 0; !rc && i < n; i++) {
        bool stays = f->words.n ? qd_words_match(s, &f->words, f->ignore_case, i)
                                : f->types >> qd_tokens_type(&s->b->t, i) & 1;
        if (stays)
            qd_drop_keep(s, &d, i);
        else
            rc = qd_drop_token(s, &d, i);
    }
    qd_drop_end(s, &d);
    return rc;
}

static void keep_free(qd_part *p)
{
    qd_wordset_fini(&((keep *)p)->words);
    qd_part_release(p);
}

static const qd_part_ops keep_ops = {keep_run, keep_free, NULL};

int qd_make_keep(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool ignore;
    if (!qd_conf_find(c, "keep_words") == !qd_conf_find(c, "keep_words_path"))
        return qd_err_set(err, QD_E_ARG,
                          "keep requires exactly one of `keep_words` or `keep_words_path` to be "
                          "configured");
    int rc = qd_conf_bool(c, "keep_words_case", false, &ignore, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(keep), QD_STAGE_FILTER, &keep_ops, out, err);
    if (rc) return rc;
    keep *f = (keep *)*out;
    f->ignore_case = ignore;
    rc = qd_words_parse(c, "keep_words", NULL, ignore, &f->words, err);
    if (rc) keep_free(*out);
    return rc;
}

/* The bits of the types that the setting names. A name that no token has matches none. */
static bool types_read(const qd_part_conf *c, uint64_t *types)
{
    qd_str name;
    size_t k = 0;
    for (; qd_conf_list(c, "types", k, &name); k++)
        for (uint32_t i = 0; i < QD_TOKEN_TYPES; i++)
            if (qd_str_is(name, qd_token_type_name(i))) *types |= 1ull << i;
    return k > 0;
}

int qd_make_keep_types(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    uint64_t types = 0;
    qd_str mode = qd_conf_str(c, "mode", "include");
    if (!types_read(c, &types))
        return qd_err_set(err, QD_E_ARG, "keep_types requires `types` to be configured");
    if (!qd_str_ieq(mode, QD_STR("include")) && !qd_str_ieq(mode, QD_STR("exclude")))
        return qd_err_set(err, QD_E_ARG,
                          "`keep_types` tokenfilter mode can only be [include] or [exclude] but "
                          "was [%.*s].",
                          QD_STR_ARG(mode));
    int rc = qd_part_alloc(c, sizeof(keep), QD_STAGE_FILTER, &keep_ops, out, err);
    if (rc) return rc;
    (*out)->want = QD_ANALYZE_TYPES;
    ((keep *)*out)->types = qd_str_ieq(mode, QD_STR("include")) ? types : ~types;
    return 0;
}
