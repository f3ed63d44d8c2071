/*
 * breaks.c: sentences joined while they fit into a fragment, long ones cut at words:
 * Elasticsearch's BoundedBreakIteratorScanner over ICU's break iterators, locale-free rules.
 */
#include "search/highlight/highlight_int.h"
#include <unicode/uchar.h>

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
    b->text = v;
    b->main_words = breaks == QD_HIGHLIGHT_WORDS;
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

/* Is `at` no boundary to Java's iterators? Their words go on over a dash between two letters, and a
 * sentence does not begin with a digit behind a full stop. */
static bool inside(const highlight_text *v, int32_t at, bool words)
{
    if (at <= 0 || at >= (int32_t)v->n) return false;
    if (words) {
        int32_t dash = v->u[at] == '-' ? at : v->u[at - 1] == '-' ? at - 1 : -1;
        return dash > 0 && dash + 1 < (int32_t)v->n && u_isalpha(v->u[dash - 1]) &&
               u_isalpha(v->u[dash + 1]);
    }
    if (!u_isdigit(v->u[at])) return false;
    while (at > 0 && u_isWhitespace(v->u[at - 1])) at--;
    return at > 0 && v->u[at - 1] == '.';
}

static int32_t following(const highlight_breaker *k, bool words, int32_t at, int32_t n)
{
    UBreakIterator *b = words ? k->words : k->main;
    int32_t x = at >= n ? UBRK_DONE : ubrk_following(b, at);
    while (x != UBRK_DONE && inside(k->text, x, words || k->main_words)) x = ubrk_next(b);
    return x == UBRK_DONE ? n : x;
}

static int32_t preceding(const highlight_breaker *k, bool words, int32_t at)
{
    UBreakIterator *b = words ? k->words : k->main;
    int32_t x = ubrk_preceding(b, at);
    while (x != UBRK_DONE && inside(k->text, x, words || k->main_words)) x = ubrk_previous(b);
    return x == UBRK_DONE ? 0 : x;
}

void qdi_breaker_at(highlight_breaker *b, uint32_t at, uint32_t n, uint32_t *from, uint32_t *to)
{
    int32_t offset = (int32_t)at + 1, end = (int32_t)n, max = (int32_t)b->max;
    if (offset > b->window_from && offset < b->window_to) {
        b->from = b->to;
        b->to = b->window_to;
    } else {
        b->window_from = b->from = preceding(b, false, offset);
        b->window_to = b->to = following(b, false, offset - 1, end);
        while (max && b->to < end && b->to - b->from < max) {
            int32_t next = following(b, false, b->to, end);
            if (next - b->from > max) break;
            b->window_to = b->to = next;
        }
    }
    if (max && b->to - b->from > max) {
        if (offset - max > b->from) {
            int32_t cut = preceding(b, true, offset - max);
            if (cut > b->from) b->from = cut;
        }
        int32_t left = max - (offset - b->from);
        if (left < 0) left = 0;
        if (offset + left < b->window_to) {
            int32_t cut = following(b, true, offset + left, end);
            b->to = cut < b->window_to ? cut : b->window_to;
        }
    }
    *from = (uint32_t)b->from;
    *to = (uint32_t)b->to;
}
