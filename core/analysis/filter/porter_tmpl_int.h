/*
 * porter_tmpl_int.h: Porter's stemmer as Lucene has it, over an array of CHAR; included by porter.c
 * once for bytes (ASCII terms) and once for UTF-16 units, since it counts in characters.
 *
 * Lucene departs from Porter's paper in two endings: "bli" (paper: "abli") and "logi" (not there).
 * Names: w is the word, k the index of its last character, j the last before an ending found.
 */
typedef struct PORTER(word) {
    CHAR *b;
    int k, j;
} PORTER(word);

static bool PORTER(cons)(const PORTER(word) * w, int i)
{
    switch (w->b[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return false;
    case 'y': {
        /* y is a consonant at the start and behind a vowel; a run of y alternates */
        int at = i;
        while (at > 0 && w->b[at - 1] == 'y') at--;
        bool first = at == 0 || !PORTER(cons)(w, at - 1);
        return first == !((i - at) & 1);
    }
    default:
        return true;
    }
}

/* The number of vowel-consonant sequences in w[0..j]. */
static int PORTER(m)(const PORTER(word) * w)
{
    int n = 0, i = 0;
    while (i <= w->j && PORTER(cons)(w, i)) i++;
    for (;;) {
        while (i <= w->j && !PORTER(cons)(w, i)) i++;
        if (i > w->j) return n;
        n++;
        while (i <= w->j && PORTER(cons)(w, i)) i++;
        if (i > w->j) return n;
    }
}

static bool PORTER(vowel)(const PORTER(word) * w)
{
    for (int i = 0; i <= w->j; i++)
        if (!PORTER(cons)(w, i)) return true;
    return false;
}

static bool PORTER(doubled)(const PORTER(word) * w, int i)
{
    return i >= 1 && w->b[i] == w->b[i - 1] && PORTER(cons)(w, i);
}

/* consonant, vowel, consonant other than w, x, y: "hop", not "snow" */
static bool PORTER(cvc)(const PORTER(word) * w, int i)
{
    if (i < 2 || !PORTER(cons)(w, i) || PORTER(cons)(w, i - 1) || !PORTER(cons)(w, i - 2))
        return false;
    return w->b[i] != 'w' && w->b[i] != 'x' && w->b[i] != 'y';
}

#ifndef PORTER_LIT
#define PORTER_LIT(s) (s), (int)sizeof(s) - 1
#endif

QD_INLINE bool PORTER(ends)(PORTER(word) * w, const char *s, int l)
{
    int o = w->k - l + 1;
    if (o < 0 || w->b[w->k] != (CHAR)s[l - 1]) return false;
    for (int i = l - 2; i >= 0; i--)
        if (w->b[o + i] != (CHAR)s[i]) return false;
    w->j = w->k - l;
    return true;
}

QD_INLINE void PORTER(set)(PORTER(word) * w, const char *s, int l)
{
    for (int i = 0; i < l; i++) w->b[w->j + 1 + i] = (CHAR)s[i];
    w->k = w->j + l;
}

static void PORTER(plural)(PORTER(word) * w)
{
    if (w->b[w->k] == 's') {
        if (PORTER(ends)(w, PORTER_LIT("sses")))
            w->k -= 2;
        else if (PORTER(ends)(w, PORTER_LIT("ies")))
            PORTER(set)(w, PORTER_LIT("i"));
        else if (w->b[w->k - 1] != 's')
            w->k--;
    }
    if (PORTER(ends)(w, PORTER_LIT("eed"))) {
        if (PORTER(m)(w) > 0) w->k--;
    } else if ((PORTER(ends)(w, PORTER_LIT("ed")) || PORTER(ends)(w, PORTER_LIT("ing"))) &&
               PORTER(vowel)(w)) {
        w->k = w->j;
        if (PORTER(ends)(w, PORTER_LIT("at")))
            PORTER(set)(w, PORTER_LIT("ate"));
        else if (PORTER(ends)(w, PORTER_LIT("bl")))
            PORTER(set)(w, PORTER_LIT("ble"));
        else if (PORTER(ends)(w, PORTER_LIT("iz")))
            PORTER(set)(w, PORTER_LIT("ize"));
        else if (PORTER(doubled)(w, w->k)) {
            CHAR c = w->b[w->k];
            if (c != 'l' && c != 's' && c != 'z') w->k--;
        } else if (PORTER(m)(w) == 1 && PORTER(cvc)(w, w->k)) {
            PORTER(set)(w, PORTER_LIT("e"));
        }
    }
    if (PORTER(ends)(w, PORTER_LIT("y")) && PORTER(vowel)(w)) w->b[w->k] = 'i';
}

/* Replaces the first ending of the list that fits, if m > 0. */
static void PORTER(replace)(PORTER(word) * w, const porter_rule *r)
{
    for (; r && r->from; r++)
        if (PORTER(ends)(w, r->from, (int)r->nfrom)) {
            if (PORTER(m)(w) > 0) PORTER(set)(w, r->to, (int)r->nto);
            return;
        }
}

static void PORTER(suffixes)(PORTER(word) * w)
{
    if (w->k > 0) PORTER(replace)(w, porter_double(w->b[w->k - 1]));
    PORTER(replace)(w, porter_single(w->b[w->k]));
}

static void PORTER(strip)(PORTER(word) * w)
{
    if (w->k == 0) return;
    bool found = false;
    for (const porter_rule *r = porter_last(w->b[w->k - 1]); r && r->from && !found; r++) {
        found = PORTER(ends)(w, r->from, (int)r->nfrom);
        if (found && r->from[0] == 'i' && r->from[1] == 'o') /* "ion" behind s or t only */
            found = w->j >= 0 && (w->b[w->j] == 's' || w->b[w->j] == 't');
    }
    if (found && PORTER(m)(w) > 1) w->k = w->j;
}

static void PORTER(tidy)(PORTER(word) * w)
{
    w->j = w->k;
    if (w->b[w->k] == 'e') {
        int m = PORTER(m)(w);
        if (m > 1 || (m == 1 && !PORTER(cvc)(w, w->k - 1))) w->k--;
    }
    if (w->b[w->k] == 'l' && PORTER(doubled)(w, w->k) && PORTER(m)(w) > 1) w->k--;
}

/* Stems b[0..n) in place; returns the new length, never more than n + 1. */
static int PORTER(stem)(CHAR *b, int n)
{
    PORTER(word) w = {b, n - 1, 0};
    if (n <= 2) return n;
    PORTER(plural)(&w);
    PORTER(suffixes)(&w);
    PORTER(strip)(&w);
    PORTER(tidy)(&w);
    return w.k + 1;
}
