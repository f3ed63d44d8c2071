/* budget_corpus.c: see budget_corpus.h. */
#include "bench/budget_corpus.h"
#include <stdarg.h>
#include <stdio.h>

#define OCTAVES 13u         /* words: 2^13, each octave of ranks as frequent as the others */
#define T0 1700000000000ull /* of the first document */
#define STEP 45000u         /* milliseconds to the next one, at most */
#define AGENTS 40u
#define ROWS 20000u /* queries ask for times and sizes of this many documents */

typedef struct random {
    uint64_t s;
} random;
static uint32_t below(random *r, uint32_t n)
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ (z >> 31)) % n);
}
/* A rank by Zipf's law, more or less. */
static uint32_t rank(random *r)
{
    uint32_t o = below(r, OCTAVES);
    return (1u << o) - 1 + below(r, 1u << o);
}
/* The word that often follows another. */
static uint32_t follower(uint32_t w)
{
    return (w * 5 + 3) & 1023;
}

typedef struct text {
    char *p;
    size_t n, cap;
} text;
__attribute__((format(printf, 2, 3))) static void add(text *t, const char *form, ...)
{
    va_list ap;
    va_start(ap, form);
    t->n += (size_t)vsnprintf(t->p + t->n, t->cap - t->n, form, ap);
    va_end(ap);
}
/* Syllables: consonant and vowel; neighbours in rank are no neighbours in the alphabet. */
static void word(text *t, uint32_t w)
{
    uint32_t x = (w * 2654435761u) % 16777213u, syllables = w < 31 ? 2 : w < 2000 ? 3 : 4;
    for (uint32_t i = 0; i < syllables; i++, x /= 80)
        add(t, "%c%c", "bcdfghklmnprstvz"[x % 16], "aeiou"[x / 16 % 5]);
    if (w >= 31) add(t, "%c", 'a' + (char)(w % 26));
}

size_t budget_document(uint32_t i, char *out, size_t cap)
{
    text t = {out, 0, cap};
    random r = {.s = (i + 1) * 0xd1342543de82ef95ull};
    uint32_t words = 20 + below(&r, 60), last = 0;
    add(&t, "{\"title\":\"Document %u \\u00fcber ", i);
    word(&t, rank(&r));
    add(&t, "\",\"body\":\"");
    for (uint32_t k = 0; k < words; k++) {
        last = k && below(&r, 6) == 0 ? follower(last) : rank(&r);
        word(&t, last);
        add(&t, "%s", k + 1 == words ? "" : below(&r, 12) ? " " : ",\\n");
    }
    uint32_t agent = below(&r, AGENTS) * below(&r, AGENTS) / AGENTS;
    uint32_t status = below(&r, 10), magnitude = below(&r, 20);
    add(&t, "\",\"agent\":\"agent/%u.%u\",\"status\":%u,\"bytes\":%u", agent, agent % 7,
        status ? 200 : 400 + below(&r, 5), below(&r, 1u << magnitude));
    add(&t, ",\"time\":%llu", T0 + (unsigned long long)i * STEP + below(&r, STEP));
    add(&t, ",\"price\":%u.%02u}", below(&r, 500), below(&r, 100));
    return t.n;
}

/* --- queries: the words of a class come from a band of ranks, the same for each number --- */

static uint32_t band(uint32_t i, uint32_t from, uint32_t to)
{
    random r = {.s = i * 7919u + from};
    return from + below(&r, to - from);
}
/* Frequent, medium and rare words by turns. */
static uint32_t mixed(uint32_t i)
{
    return i % 3 == 0 ? band(i, 0, 8) : i % 3 == 1 ? band(i, 30, 300) : band(i, 600, 4000);
}
static size_t matching(uint32_t i, char *out, size_t cap, const char *clause, uint32_t words,
                       const char *rest)
{
    text t = {out, 0, cap};
    add(&t, "{\"query\":{\"%s\":{\"body\":{\"query\":\"", clause);
    for (uint32_t k = 0; k < words; k++) {
        add(&t, k ? " " : "");
        word(&t, mixed(i + k));
    }
    add(&t, "\"%s}}}}", rest);
    return t.n;
}
static size_t term(uint32_t i, char *out, size_t cap)
{
    return matching(i, out, cap, "match", 1, "");
}
static size_t and (uint32_t i, char *out, size_t cap)
{
    return matching(i, out, cap, "match", 2 + i % 2, ",\"operator\":\"and\"");
}
static size_t or (uint32_t i, char *out, size_t cap)
{
    return matching(i, out, cap, "match", 2 + i % 4, "");
}
static size_t pair(uint32_t i, char *out, size_t cap, const char *rest)
{
    text t = {out, 0, cap};
    uint32_t w = band(i, 0, 60);
    add(&t, "{\"query\":{\"match_phrase\":{\"body\":{\"query\":\"");
    word(&t, w);
    add(&t, " ");
    word(&t, follower(w));
    add(&t, "\"%s}}}}", rest);
    return t.n;
}
static size_t phrase(uint32_t i, char *out, size_t cap)
{
    return pair(i, out, cap, "");
}
static size_t sloppy(uint32_t i, char *out, size_t cap)
{
    return pair(i, out, cap, ",\"slop\":2");
}
/* A clause over part of a word: all but its last `less` letters, then `tail`. */
static size_t part(uint32_t i, char *out, size_t cap, const char *clause, uint32_t less,
                   const char *tail)
{
    text t = {out, 0, cap};
    add(&t, "{\"query\":{\"%s\":{\"body\":{\"value\":\"", clause);
    word(&t, band(i, 31, 2000));
    t.n -= less;
    add(&t, "%s\"}}}}", tail);
    return t.n;
}
static size_t prefix(uint32_t i, char *out, size_t cap)
{
    return part(i, out, cap, "prefix", 4 + i % 2, "");
}
static size_t wildcard(uint32_t i, char *out, size_t cap)
{
    return part(i, out, cap, "wildcard", 4, i % 2 ? "*a?" : "?*n");
}
static size_t wildcard_plain(uint32_t i, char *out, size_t cap)
{
    return part(i, out, cap, "wildcard", 4, i % 2 ? "*n" : "*a*o");
}
static size_t fuzzy(uint32_t i, char *out, size_t cap)
{
    return part(i, out, cap, "fuzzy", 1, i % 2 ? "q" : "");
}
static void between(text *t, uint32_t i, uint32_t share)
{
    uint32_t n = ROWS / share, from = band(i, 0, ROWS - n);
    add(t, "{\"range\":{\"time\":{\"gte\":%llu,\"lt\":%llu}}}",
        T0 + (unsigned long long)from * STEP, T0 + (unsigned long long)(from + n) * STEP);
}
static void larger(text *t, uint32_t i)
{
    add(t, "{\"range\":{\"bytes\":{\"gte\":%u,\"lt\":%u}}}", 1u << i % 8, 1u << (12 + i % 6));
}
static size_t range(uint32_t i, char *out, size_t cap)
{
    text t = {out, 0, cap};
    add(&t, "{\"query\":");
    i % 2 ? between(&t, i, 5) : larger(&t, i);
    add(&t, "}");
    return t.n;
}
static size_t filtered(uint32_t i, char *out, size_t cap)
{
    text t = {out, 0, cap};
    add(&t, "{\"query\":{\"bool\":{\"must\":{\"match\":{\"body\":\"");
    word(&t, mixed(i));
    add(&t, "\"}},\"filter\":[{\"term\":{\"status\":200}},");
    i % 2 ? between(&t, i, 3) : larger(&t, i);
    add(&t, "]}}}");
    return t.n;
}
static size_t sort(uint32_t i, char *out, size_t cap)
{
    text t = {out, 0, cap};
    add(&t, "{\"query\":{\"match\":{\"body\":\"");
    word(&t, band(i, 0, 30));
    add(&t, "\"}},\"sort\":[{\"%s\":{\"order\":\"%s\"}}]}", i % 2 ? "bytes" : "time",
        i % 4 < 2 ? "asc" : "desc");
    return t.n;
}
/* Over all documents, and under filters of a third of them. */
static size_t aggs(uint32_t i, char *out, size_t cap, const char *what)
{
    text t = {out, 0, cap};
    add(&t, "{");
    if (i % 2) {
        add(&t, "\"query\":");
        i % 4 == 1 ? between(&t, i, 3) : larger(&t, i);
        add(&t, ",");
    }
    add(&t, "\"aggs\":{\"a\":%s}}", what);
    return t.n;
}
static size_t terms(uint32_t i, char *out, size_t cap)
{
    return aggs(i, out, cap, "{\"terms\":{\"field\":\"agent\"}}");
}
static size_t histogram(uint32_t i, char *out, size_t cap)
{
    return aggs(i, out, cap, "{\"date_histogram\":{\"field\":\"time\",\"fixed_interval\":\"1h\"}}");
}
static size_t stats(uint32_t i, char *out, size_t cap)
{
    return aggs(i, out, cap,
                i % 3 ? "{\"stats\":{\"field\":\"bytes\"}}" : "{\"stats\":{\"field\":\"price\"}}");
}
static size_t terms_avg(uint32_t i, char *out, size_t cap)
{
    return aggs(
        i, out, cap,
        "{\"terms\":{\"field\":\"agent\"},\"aggs\":{\"b\":{\"avg\":{\"field\":\"price\"}}}}");
}

const budget_class budget_classes[] = {
    {"term", BUDGET_TOP, term},
    {"and", BUDGET_TOP, and},
    {"or", BUDGET_TOP, or },
    {"phrase", BUDGET_TOP, phrase},
    {"sloppy_phrase", BUDGET_TOP, sloppy},
    {"count_and", BUDGET_COUNT, and},
    {"count_or", BUDGET_COUNT, or },
    {"prefix", BUDGET_TOP, prefix},
    {"wildcard", BUDGET_TOP, wildcard},
    {"wildcard_plain", BUDGET_TOP, wildcard_plain},
    {"fuzzy", BUDGET_TOP, fuzzy},
    {"range", BUDGET_TOP, range},
    {"count_range", BUDGET_COUNT, range},
    {"filter", BUDGET_TOP, filtered},
    {"sort", BUDGET_SORT, sort},
    {"aggs_terms", BUDGET_AGGS, terms},
    {"aggs_date_histogram", BUDGET_AGGS, histogram},
    {"aggs_stats", BUDGET_AGGS, stats},
    {"aggs_terms_avg", BUDGET_AGGS, terms_avg},
};
const uint32_t budget_nclasses = sizeof budget_classes / sizeof *budget_classes;
