/* respell.c: see respell_int.h. */
#include "analysis/language/respell_int.h"

/* What is read and what has been written; both lie in the word's room, so that the written part
 * never reaches the part that is still read. */
typedef struct desk {
    const char16_t *in;
    char16_t *out;
    int left, written;
    char16_t any; /* met by ? */
} desk;

/* Does the alternative w of len units stand next? *take: the units that it takes. */
static bool reads(desk *d, const char16_t *w, int len, int *take)
{
    *take = 0;
    for (int i = 0; i < len; i++) {
        if (w[i] == '$') return i == d->left;
        if (i == d->left) return false;
        if (w[i] == '?')
            d->any = d->in[i];
        else if (w[i] != d->in[i])
            return false;
        else
            ++*take;
    }
    return true;
}

static bool stands_behind(desk *d, const char16_t *w)
{
    if (!w) return true;
    if (*w == '^') return !d->written || !qd_unit_of(d->out[d->written - 1], w + 1);
    int len = 0;
    while (w[len]) len++;
    if (len > d->written) return false;
    for (int i = 0; i < len; i++) {
        char16_t is = d->out[d->written - len + i];
        if (w[i] == '?')
            d->any = is;
        else if (w[i] != is)
            return false;
    }
    return true;
}

/* Writes a row's spelling if the row fits; the units that it took, -1: it does not fit. */
static int row_try(const qd_spelling *r, desk *d)
{
    if (d->written < r->least || (r->most && d->written > r->most)) return -1;
    for (const char16_t *w = r->from; *w;) {
        int len = 0, take;
        while (w[len] && w[len] != ' ') len++;
        if (reads(d, w, len, &take) && stands_behind(d, r->behind)) {
            d->written -= r->cut;
            for (const char16_t *to = r->to; *to; to++)
                d->out[d->written++] = *to == '?' ? d->any : *to;
            return take;
        }
        w += len + (w[len] == ' ');
    }
    return -1;
}

int qd_respell(const qd_spelling *rows, size_t count, char16_t *b, int n)
{
    desk d = {.in = b + n + QD_UNITS_ROOM, .out = b, .left = n};
    memmove(b + n + QD_UNITS_ROOM, b, (size_t)n * sizeof *b);
    while (d.left) {
        int took = -1;
        for (size_t i = 0; took < 0 && i < count; i++) took = row_try(&rows[i], &d);
        if (took < 0) {
            d.out[d.written++] = *d.in;
            took = 1;
        }
        d.in += took;
        d.left -= took;
    }
    return d.written;
}
