/*
 * phonetic.h: encoders of the token filter `phonetic`: words that sound alike get one code. Each is
 * written from its published rules.
 */
#ifndef PHONETIC_H
#define PHONETIC_H

#include <stdbool.h>
#include <stddef.h>

enum { PH_WORD_MAX = 256, PH_CODE_MAX = 512 };

/* Codes w[0 .. n), letters A to Z, n > 0, in code (PH_CODE_MAX); max: the longest code of encoders
 * that have a choice. Returns the code's length. */
typedef size_t ph_encode(const char *w, size_t n, size_t max, char *code);

ph_encode ph_soundex, ph_refined_soundex, ph_cologne, ph_nysiis, ph_caverphone1, ph_caverphone2,
    ph_metaphone;

/* Is c one of the letters of set? */
bool ph_in(char c, const char *set);

#endif
