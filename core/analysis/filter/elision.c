/*
 * elision.c: articles before an apostrophe (l'avion, dell'arte) go; the rest of the term stays.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"

typedef struct elision {
    qd_part head;
    qd_wordset articles;
    bool ignore_case;
} elision;

/* The length of what stands before the first apostrophe, with the apostrophe; 0: none. */
static size_t before_apostrophe(const char *p, size_t n, size_t *article)
{
    for (size_t i = 0; i < n; i++) {
        bool curly = i + 3 <= n && !memcmp(p + i, "\xE2\x80\x99", 3);
        *article = i;
        if (p[i] == '\'' || curly) return i + (curly ? 3 : 1);
    }
    return 0;
}

static int elision_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const elision *f = (const elision *)p;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        size_t article, cut = before_apostrophe(qd_term_ptr(s, i), qd_term_len(s, i), &article);
        if (!cut) continue;
        qd_span whole = t->term[i];
        t->term[i].to = whole.from + (uint32_t)article;
        bool found = qd_words_match(s, &f->articles, f->ignore_case, i);
        t->term[i] = (qd_span){whole.from + (found ? (uint32_t)cut : 0), whole.to};
    }
    return 0;
}

static void elision_free(qd_part *p)
{
    qd_wordset_fini(&((elision *)p)->articles);
    qd_part_release(p);
}

static const qd_part_ops elision_ops = {elision_run, elision_free, NULL};

int qd_make_elision(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    static const qd_str french = {"l,m,t,qu,n,s,j,d,c,jusqu,quoiqu,lorsqu,puisqu", 45};
    const qd_analysis_setting plain[] = {{QD_STR("articles"), &french, 1, false}};
    qd_part_conf prebuilt = {.name = c->name, .settings = plain, .n = 1};
    bool ignore;
    int rc = qd_conf_bool(c, "articles_case", c->prebuilt, &ignore, err);
    if (rc) return rc;
    if (!c->prebuilt && !qd_conf_find(c, "articles") && !qd_conf_find(c, "articles_path"))
        return qd_err_set(err, QD_E_ARG,
                          "elision filter requires [articles] or [articles_path] setting");
    rc = qd_part_alloc(c, sizeof(elision), QD_STAGE_FILTER, &elision_ops, out, err);
    if (rc) return rc;
    elision *f = (elision *)*out;
    f->ignore_case = ignore;
    f->head.normalizes = true;
    if ((rc = qd_words_parse(c->prebuilt ? &prebuilt : c, "articles", NULL, ignore, &f->articles,
                             err)))
        elision_free(*out);
    return rc;
}
