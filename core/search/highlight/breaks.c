/*
 * breaks.c: sentences joined while they fit into a fragment, long ones cut at words:
 * Elasticsearch's BoundedBreakIteratorScanner over ICU's break iterators, locale-free rules.
 */
#include "search/highlight/highlight_int.h"

static UBreakIterator *open_rules(UBreakIteratorType type, const highlight_text *v, qd_err *err)
{
    UErrorCode e = U_ZERO_ERROR;
    UBreakIterator *b = ubrk_open(type, "", v->u, (int32_t)v->n, &e);
    if (U_FAILURE(e)) {
        (void)qd_err_set(err, QD_E_INTERNAL, "break iterator: %s", u_errorName(e));
        return NULL;
    }
    return b;
}

int qdi_breaker_open(highlight_breaker *b, const highlight_text *v, qd_highlight_breaks breaks,
                     uint32_t max, qd_err *err)
{
    *b = (highlight_breaker){.max = max, .window_from = -1, .window_to = -1, .to = -1};
    b->main = open_rules(breaks == QD_HIGHLIGHT_WORDS ? UBRK_WORD : UBRK_SENTENCE, v, err);
    b->words = b->main ? open_rules(UBRK_WORD, v, err) : NULL;
    if (b->words) return 0;
    qdi_breaker_close(b);
    return err ? err->code : QD_E_INTERNAL;
}

void qdi_breaker_close(highlight_breaker *b)
{
    if (b->main) ubrk_close(b->main);
    if (b->words) ubrk_close(b->words);
    b->main = b->words = NULL;
}

static int32_t following(UBreakIterator *b, int32_t at, int32_t n)
{
    int32_t x = at >= n ? UBRK_DONE : ubrk_following(b, at);
    return x == UBRK_DONE ? n : x;
}

static int32_t preceding(UBreakIterator *b, int32_t at)
{
    int32_t x = ubrk_preceding(b, at);
    return x == UBRK_DONE ? 0 : x;
}

void qdi_breaker_at(highlight_breaker *b, uint32_t at, uint32_t n, uint32_t *from, uint32_t *to)
{
    int32_t offset = (int32_t)at + 1, end = (int32_t)n, max = (int32_t)b->max;
    if (offset > b->window_from && offset < b->window_to) {
        b->from = b->to;
        b->to = b->window_to;
    } else {
        b->window_from = b->from = preceding(b->main, offset);
        b->window_to = b->to = following(b->main, offset - 1, end);
        while (max && b->to < end && b->to - b->from < max) {
            int32_t next = following(b->main, b->to, end);
            if (next - b->from > max) break;
            b->window_to = b->to = next;
        }
    }
    if (max && b->to - b->from > max) {
        if (offset - max > b->from) {
            int32_t cut = preceding(b->words, offset - max);
            if (cut > b->from) b->from = cut;
        }
        int32_t left = max - (offset - b->from);
        if (left < 0) left = 0;
        if (offset + left < b->window_to) {
            int32_t cut = following(b->words, offset + left, end);
            b->to = cut < b->window_to ? cut : b->window_to;
        }
    }
    *from = (uint32_t)b->from;
    *to = (uint32_t)b->to;
}
