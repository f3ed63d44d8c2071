/* emit.c: see emit_int.h. */
#include "analysis/filter/emit_int.h"
#include "base/utf8.h"

int qd_emit_begin(qd_emit *e, qd_analysis *s, uint32_t need)
{
    *e = (qd_emit){s, s->spare};
    for (uint32_t bit = 1; bit <= QD_TOKENS_KEYWORD; bit <<= 1)
        if (need & bit && qd_batch_need(s, s->b, bit)) return QD_E_NOMEM;
    return qd_batch_like(s, s->spare, s->b, s->b->t.n + 1);
}

int qd_emit_room(qd_emit *e)
{
    return e->to->t.n < e->to->cap[QD_COL_TERM] ? 0 : qd_batch_reserve(e->s, e->to, e->to->t.n + 1);
}

int qd_emit_copy(qd_emit *e, size_t i)
{
    int rc = qd_emit_room(e);
    if (!rc) qd_batch_copy(e->to, e->to->t.n++, e->s->b, i);
    return rc;
}

int qd_emit_like(qd_emit *e, size_t i, qd_span term, uint32_t inc)
{
    int rc = qd_emit_copy(e, i);
    if (rc) return rc;
    e->to->t.term[e->to->t.n - 1] = term;
    if (e->to->t.has & QD_TOKENS_INC) e->to->t.inc[e->to->t.n - 1] = inc;
    return 0;
}

int qd_emit_put(qd_emit *e, const qd_emit_token *x)
{
    int rc = qd_emit_room(e);
    if (rc) return rc;
    qd_tokens *t = &e->to->t;
    size_t k = t->n++;
    t->term[k] = x->term;
    if (t->has & QD_TOKENS_OFFSETS) t->offset[k] = x->offset;
    if (t->has & QD_TOKENS_INC) t->inc[k] = x->inc;
    if (t->has & QD_TOKENS_LENGTH) t->length[k] = x->length;
    if (t->has & QD_TOKENS_TYPE) t->type[k] = x->type;
    if (t->has & QD_TOKENS_KEYWORD) t->keyword[k] = x->keyword;
    return 0;
}

qd_emit_token qd_emit_get(const qd_emit *e, size_t i)
{
    const qd_tokens *t = &e->s->b->t;
    return (qd_emit_token){
        .term = t->term[i],
        .offset = t->has & QD_TOKENS_OFFSETS ? t->offset[i] : (qd_span){0, 0},
        .inc = qd_tokens_inc(t, i),
        .length = qd_tokens_length(t, i),
        .type = (uint8_t)qd_tokens_type(t, i),
        .keyword = t->has & QD_TOKENS_KEYWORD ? t->keyword[i] : 0,
    };
}

int qd_emit_end(qd_emit *e)
{
    qd_analysis_swap(e->s);
    e->s->shared = true;
    return 0;
}

uint32_t qd_offset_length(const qd_analysis *s, qd_span term)
{
    uint32_t n = term.to - term.from;
    return s->offsets_done ? (uint32_t)qd_utf8_utf16((qd_str){s->text + term.from, n}) : n;
}

/* Pairs (from U+10000 on) sort below U+E000 as units. */
static uint32_t unit_order(uint32_t cp)
{
    return cp > 0xFFFF ? cp - 0x10000 + 0xD800 : cp >= 0xE000 ? cp + 0x200000 : cp;
}

int qd_units_compare(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i]) i++;
    if (i == n) return a.n < b.n ? -1 : a.n > b.n;
    while (i > 0 && !qd_u8_start(a.p[i])) i--;
    uint32_t x, y;
    (void)qd_u8_next(a.p + i, a.p + a.n, &x);
    (void)qd_u8_next(b.p + i, b.p + b.n, &y);
    x = unit_order(x);
    y = unit_order(y);
    return x < y ? -1 : x > y;
}
