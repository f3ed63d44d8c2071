/*
 * sdk_batch.c: between our columns and the SDK's array of tokens. Costs a copy of a batch each way,
 * paid by chains with a part of a plugin only.
 */
#include "analysis/foreign_int.h"

int qd_batch_to_sdk(const qd_analysis *s, const qd_batch *b, qd_token_batch *to)
{
    const qd_tokens *t = &b->t;
    size_t bytes = 0;
    for (size_t i = 0; i < t->n; i++) bytes += t->term[i].to - t->term[i].from;
    if (t->n > UINT32_MAX / 2 || bytes > UINT32_MAX / 2) return QD_E_LIMIT;
    int rc = to->grow(to, (uint32_t)t->n, (uint32_t)bytes);
    if (rc) return rc;
    for (size_t i = 0; i < t->n; i++) {
        qd_span w = t->term[i];
        qd_span o = t->has & QD_TOKENS_OFFSETS ? t->offset[i] : (qd_span){0, 0};
        if (w.to > w.from) memcpy(to->bytes + to->nbytes, s->text + w.from, w.to - w.from);
        to->tokens[to->ntokens++] = (qd_token){
            .text = to->nbytes,
            .text_len = w.to - w.from,
            .start = o.from,
            .end = o.to,
            .position_inc = qd_tokens_inc(t, i),
            .position_len = qd_tokens_length(t, i),
            .type = (uint16_t)qd_tokens_type(t, i),
            .flags = (t->has & QD_TOKENS_KEYWORD) && t->keyword[i] ? QD_TOKEN_KEYWORD : 0,
        };
        to->nbytes += w.to - w.from;
    }
    to->end_offset = t->end_offset;
    to->end_inc = t->end_inc;
    return 0;
}

/* What a plugin wrote is checked before it is believed. */
static bool sane(const qd_token_batch *b)
{
    for (uint32_t i = 0; i < b->ntokens; i++) {
        const qd_token *t = &b->tokens[i];
        if (t->text > b->nbytes || t->text_len > b->nbytes - t->text || t->start > t->end ||
            t->position_len == 0 || t->position_len > 1u << 20 || t->position_inc > 1u << 30)
            return false;
    }
    return true;
}

int qd_batch_from_sdk(qd_analysis *s, qd_batch *b, const qd_token_batch *from)
{
    if (!sane(from)) return QD_E_PLUGIN;
    qd_tokens *t = &b->t;
    uint32_t has = QD_TOKENS_INC | QD_TOKENS_LENGTH | QD_TOKENS_KEYWORD;
    if (s->want & QD_ANALYZE_OFFSETS) has |= QD_TOKENS_OFFSETS;
    if (s->want & QD_ANALYZE_TYPES) has |= QD_TOKENS_TYPE;
    t->n = 0;
    t->has = has;
    int rc = qd_batch_reserve(s, b, from->ntokens);
    if (!rc) rc = qd_text_reserve(s, from->nbytes);
    if (rc) return rc;
    uint32_t base = (uint32_t)s->ntext;
    if (from->nbytes) memcpy(s->text + base, from->bytes, from->nbytes);
    s->ntext += from->nbytes;
    for (uint32_t i = 0; i < from->ntokens; i++) {
        const qd_token *x = &from->tokens[i];
        t->term[i] = (qd_span){base + x->text, base + x->text + x->text_len};
        t->inc[i] = x->position_inc;
        t->length[i] = x->position_len;
        t->keyword[i] = (x->flags & QD_TOKEN_KEYWORD) != 0;
        if (has & QD_TOKENS_OFFSETS) t->offset[i] = (qd_span){x->start, x->end};
        if (has & QD_TOKENS_TYPE)
            t->type[i] = x->type < QD_TOKEN_TYPE_OTHER ? (uint8_t)x->type : QD_TOKEN_WORD;
    }
    t->n = from->ntokens;
    t->end_inc = from->end_inc;
    t->end_offset = from->end_offset;
    s->shared = true; /* a plugin may let terms overlap */
    return 0;
}
