/*
 * soundex.c: codes of one digit a letter: Soundex (R. Russell and M. Odell; the rules of the US
 * census), its refined form with finer classes, and the Kölner Phonetik (H. Postel, 1969).
 */
#include "phonetic.h"
#include <string.h>

bool ph_in(char c, const char *set)
{
    return c && strchr(set, c);
}

/* H and W do not part letters of one class, vowels do. */
size_t ph_soundex(const char *w, size_t n, size_t max, char *code)
{
    static const char classes[] = "01230120022455012623010202"; /* of A to Z */
    size_t k = 1;
    char last = classes[w[0] - 'A'];
    (void)max;
    code[0] = w[0];
    memset(code + 1, '0', 3);
    for (size_t i = 1; i < n && k < 4; i++) {
        if (w[i] == 'H' || w[i] == 'W') continue;
        char c = classes[w[i] - 'A'];
        if (c != '0' && c != last) code[k++] = c;
        last = c;
    }
    return 4;
}

size_t ph_refined_soundex(const char *w, size_t n, size_t max, char *code)
{
    static const char classes[] = "01360240043788015936020505";
    size_t k = 1;
    char last = 0;
    (void)max;
    code[0] = w[0];
    for (size_t i = 0; i < n && k < PH_CODE_MAX; i++) {
        char c = classes[w[i] - 'A'];
        if (c != last) code[k++] = c;
        last = c;
    }
    return k;
}

/* The digits of letter i of Cologne's table; "" for H. */
static const char *cologne_digits(const char *w, size_t n, size_t i)
{
    char before = i ? w[i - 1] : 0, next = i + 1 < n ? w[i + 1] : 0;
    switch (w[i]) {
    case 'H':
        return "";
    case 'B':
        return "1";
    case 'P':
        return next == 'H' ? "3" : "1";
    case 'D':
    case 'T':
        return ph_in(next, "CSZ") ? "8" : "2";
    case 'F':
    case 'V':
    case 'W':
        return "3";
    case 'G':
    case 'K':
    case 'Q':
        return "4";
    case 'C':
        if (!i) return ph_in(next, "AHKLOQRUX") ? "4" : "8";
        return !ph_in(before, "SZ") && ph_in(next, "AHKOQUX") ? "4" : "8";
    case 'X':
        return ph_in(before, "CKQ") ? "8" : "48";
    case 'L':
        return "5";
    case 'M':
    case 'N':
        return "6";
    case 'R':
        return "7";
    case 'S':
    case 'Z':
        return "8";
    default:
        return "0";
    }
}

/* Runs of one digit count once; then zeros behind the first go. */
size_t ph_cologne(const char *w, size_t n, size_t max, char *code)
{
    size_t k = 0;
    char last = 0;
    (void)max;
    for (size_t i = 0; i < n; i++)
        for (const char *d = cologne_digits(w, n, i); *d && k < PH_CODE_MAX; d++) {
            if (*d != last && (*d != '0' || !k)) code[k++] = *d;
            last = *d;
        }
    return k;
}
