/*
 * path.c: path_hierarchy: a path's ancestors, or with `reverse` its tails, all at one position. The
 * terms are ranges of one text.
 */
#include "analysis/builtin_int.h"

typedef struct path {
    qd_part head;
    uint32_t delimiter, replacement;
    int64_t skip;
    bool reverse;
} path;

/* Where a token may end: behind the source, and behind the terms' text. */
typedef struct edge {
    uint32_t source, text;
} edge;

/* The source with its delimiters replaced as the text area. Edges are before each delimiter (behind
 * it when reverse) and at the end, in the work area; *n of them. */
static int edges_find(const path *p, qd_analysis *s, size_t *n)
{
    size_t room = s->nsrc / qd_u8_size(p->delimiter) + 3;
    int rc = qd_work_reserve(s, room * sizeof(edge));
    if (!rc) rc = qd_text_reserve(s, s->nsrc + room * 4);
    if (rc) return rc;
    edge *e = s->work;
    const char *end = s->src + s->nsrc;
    if (p->reverse) e[(*n)++] = (edge){0, 0};
    s->ntext = 0;
    for (const char *q = s->src; q < end;) {
        uint32_t cp, len = qd_u8_next(q, end, &cp);
        bool cut = cp == p->delimiter;
        /* a path's first character begins it, though it be a delimiter */
        if (cut && !p->reverse && q > s->src)
            e[(*n)++] = (edge){(uint32_t)(q - s->src), (uint32_t)s->ntext};
        if (cut) {
            s->ntext += qd_u8_put(s->text + s->ntext, p->replacement);
        } else {
            memcpy(s->text + s->ntext, q, len);
            s->ntext += len;
        }
        q += len;
        if (cut && p->reverse) e[(*n)++] = (edge){(uint32_t)(q - s->src), (uint32_t)s->ntext};
    }
    if (s->nsrc && (!p->reverse || e[*n - 1].source < s->nsrc))
        e[(*n)++] = (edge){(uint32_t)s->nsrc, (uint32_t)s->ntext};
    return 0;
}

static int emit(qd_analysis *s, edge from, edge to)
{
    qd_tokens *t = &s->b->t;
    if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1)) return QD_E_NOMEM;
    t->term[t->n] = (qd_span){from.text, to.text};
    t->inc[t->n] = t->n == 0;
    if (t->has & QD_TOKENS_OFFSETS) t->offset[t->n] = (qd_span){from.source, to.source};
    t->n++;
    return 0;
}

static int path_run(const qd_part *part, qd_analysis *s, qd_err *err)
{
    (void)err;
    const path *p = (const path *)part;
    size_t n = 0, skip = (size_t)p->skip;
    int rc = edges_find(p, s, &n);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc && s->want & QD_ANALYZE_OFFSETS) rc = qd_batch_need(s, s->b, QD_TOKENS_OFFSETS);
    const edge *e = s->work;
    if (p->reverse) {
        for (size_t i = 0; !rc && i + skip + 1 < n; i++) rc = emit(s, e[i], e[n - 1 - skip]);
    } else {
        edge start = skip && skip <= n ? e[skip - 1] : (edge){0, 0};
        for (size_t i = skip; !rc && i < n; i++) rc = emit(s, start, e[i]);
    }
    s->shared = true;
    if (!(s->b->t.has & QD_TOKENS_TYPE)) s->b->t.common_type = QD_TOKEN_WORD;
    return rc;
}

static const qd_part_ops path_ops = {path_run, qd_part_release, NULL};

static int one_char(const qd_part_conf *c, const char *key, uint32_t def, uint32_t *out,
                    qd_err *err)
{
    qd_str v = qd_conf_str(c, key, NULL);
    *out = def;
    if (!v.p) return 0;
    if (v.n && qd_u8_next(v.p, v.p + v.n, out) == v.n && *out <= 0xFFFF) return 0;
    return qd_err_set(err, QD_E_ARG, "%s must be a one char value", key);
}

int qd_make_path_hierarchy(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    uint32_t delimiter, replacement;
    int64_t buffer, skip;
    bool reverse;
    int rc = one_char(c, "delimiter", '/', &delimiter, err);
    if (!rc) rc = one_char(c, "replacement", delimiter, &replacement, err);
    if (!rc) rc = qd_conf_int(c, "buffer_size", 1024, &buffer, err);
    if (!rc) rc = qd_conf_int(c, "skip", 0, &skip, err);
    if (!rc) rc = qd_conf_bool(c, "reverse", false, &reverse, err);
    if (rc) return rc;
    if (buffer <= 0) return qd_err_set(err, QD_E_ARG, "bufferSize cannot be negative");
    if (skip < 0) return qd_err_set(err, QD_E_ARG, "skip cannot be negative");
    rc = qd_part_alloc(c, sizeof(path), QD_STAGE_TOKENIZER, &path_ops, out, err);
    if (rc) return rc;
    path *p = (path *)*out;
    p->delimiter = delimiter;
    p->replacement = replacement;
    p->skip = skip;
    p->reverse = reverse;
    return 0;
}
