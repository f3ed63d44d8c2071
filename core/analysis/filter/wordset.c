/* wordset.c: open addressing over XXH3, at most half full. */
#include "analysis/filter/wordset_int.h"
#include "base/hash.h"

static int rehash(qd_wordset *w, uint32_t slots)
{
    uint32_t *s = qd_calloc(NULL, (size_t)slots * sizeof *s);
    if (!s) return QD_E_NOMEM;
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t h = (uint32_t)qd_xxh3(w->words[i].p, w->words[i].n);
        while (s[h & (slots - 1)]) h++;
        s[h & (slots - 1)] = i + 1;
    }
    qd_free(w->slots);
    w->slots = s;
    w->mask = slots - 1;
    return 0;
}

int64_t qd_wordset_find(const qd_wordset *w, const char *p, size_t n)
{
    if (!w->n) return -1;
    for (uint32_t h = (uint32_t)qd_xxh3(p, n); w->slots[h & w->mask]; h++) {
        uint32_t i = w->slots[h & w->mask] - 1;
        if (w->words[i].n == n && memcmp(w->words[i].p, p, n) == 0) return i;
    }
    return -1;
}

int qd_wordset_add(qd_wordset *w, qd_str word)
{
    if (qd_wordset_find(w, word.p, word.n) >= 0) return 0;
    if (w->n == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 16;
        qd_str *words = qd_realloc(NULL, w->words, cap * sizeof *words);
        if (!words) return QD_E_NOMEM;
        w->words = words;
        w->cap = cap;
    }
    char *copy = qd_memdup(NULL, word.p, word.n);
    if (!copy) return QD_E_NOMEM;
    w->words[w->n++] = (qd_str){copy, word.n};
    int rc = 0;
    if (w->n * 2 > (w->slots ? w->mask + 1 : 0)) {
        if ((rc = rehash(w, w->slots ? (w->mask + 1) * 2 : 32))) {
            qd_free(copy);
            w->n--;
            return rc;
        }
    } else {
        uint32_t h = (uint32_t)qd_xxh3(copy, word.n);
        while (w->slots[h & w->mask]) h++;
        w->slots[h & w->mask] = w->n;
    }
    if (word.n) w->first[(unsigned char)*copy >> 6] |= 1ull << ((unsigned char)*copy & 63);
    w->lengths |= 1ull << (word.n < 63 ? word.n : 63);
    return 0;
}

void qd_wordset_fini(qd_wordset *w)
{
    for (uint32_t i = 0; i < w->n; i++) qd_free((char *)(uintptr_t)w->words[i].p);
    qd_free(w->words);
    qd_free(w->slots);
    memset(w, 0, sizeof *w);
}
