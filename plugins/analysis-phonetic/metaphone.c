/*
 * metaphone.c: Metaphone by the rules of L. Philips, Hanging on the Metaphone (Computer Language,
 * December 1990).
 */
#include "phonetic.h"
#include <string.h>

typedef struct reader {
    const char *w;
    size_t n, i;
    const char *sound; /* of the present letter; "": silent */
} reader;

/* The letter so many places away, 0 beyond the word. */
static char at(const reader *r, int away)
{
    size_t i = r->i + (size_t)away;
    return i < r->n ? r->w[i] : 0;
}

static bool vowel(char c)
{
    return ph_in(c, "AEIOU");
}

static bool front(char c)
{
    return ph_in(c, "EIY");
}

static bool follows(const reader *r, const char *s)
{
    size_t n = strlen(s);
    return r->n - r->i >= n && !memcmp(r->w + r->i, s, n);
}

static const char *sound_c(const reader *r)
{
    char next = at(r, 1);
    if (front(next)) return at(r, -1) == 'S' ? "" : follows(r, "CIA") ? "X" : "S";
    if (next != 'H') return "K";
    bool hard = at(r, -1) == 'S' || (!r->i && r->n > 2 && !vowel(at(r, 2)));
    return hard ? "K" : "X";
}

static const char *sound_g(const reader *r)
{
    char next = at(r, 1);
    if (next == 'H' && !vowel(at(r, 2))) return "";
    if (next == 'N' && r->i && (r->i + 2 == r->n || (follows(r, "GNED") && r->i + 4 == r->n)))
        return "";
    return front(next) && at(r, -1) != 'G' ? "J" : "K";
}

static const char *sound_h(const reader *r)
{
    return vowel(at(r, 1)) && !ph_in(at(r, -1), "CGPST") ? "H" : "";
}

static const char *sound_t(const reader *r)
{
    if (follows(r, "TIA") || follows(r, "TIO")) return "X";
    if (follows(r, "TCH")) return "";
    return at(r, 1) == 'H' ? "0" : "T";
}

static const char *sound_of(const reader *r)
{
    char next = at(r, 1);
    switch (r->w[r->i]) {
    case 'B':
        return at(r, -1) == 'M' && !next ? "" : "B";
    case 'C':
        return sound_c(r);
    case 'D':
        return next == 'G' && front(at(r, 2)) ? "J" : "T";
    case 'G':
        return at(r, -1) == 'D' && front(next) ? "" : sound_g(r);
    case 'H':
        return sound_h(r);
    case 'K':
        return at(r, -1) == 'C' ? "" : "K";
    case 'P':
        return next == 'H' ? "F" : "P";
    case 'Q':
        return "K";
    case 'S':
        return next == 'H' || follows(r, "SIO") || follows(r, "SIA") ? "X" : "S";
    case 'T':
        return sound_t(r);
    case 'V':
        return "F";
    case 'W':
        return vowel(next) ? "W" : "";
    case 'X':
        return "KS";
    case 'Y':
        return vowel(next) ? "Y" : "";
    case 'Z':
        return "S";
    default:
        return NULL; /* F J L M N R, and vowels: the letter itself */
    }
}

size_t ph_metaphone(const char *from, size_t n, size_t max, char *code)
{
    static const char *const silent[] = {"AE", "GN", "KN", "PN", "WR"};
    char w[PH_WORD_MAX];
    size_t k = 0, start = 0;
    memcpy(w, from, n);
    for (size_t i = 0; n > 1 && i < sizeof silent / sizeof *silent; i++)
        if (!memcmp(w, silent[i], 2)) start = 1;
    if (w[0] == 'X') w[0] = 'S';
    if (n > 1 && w[0] == 'W' && w[1] == 'H') w[start = 1] = 'W';
    reader r = {.w = w + start, .n = n - start};
    for (; r.i < r.n && k < max; r.i++) {
        char c = r.w[r.i];
        if (r.i && c == r.w[r.i - 1] && c != 'C') continue;
        if (vowel(c) && r.i) continue;
        const char *sound = sound_of(&r);
        if (!sound) code[k++] = c;
        for (; sound && *sound && k < max; sound++) code[k++] = *sound;
    }
    return k;
}
