/*
 * patterns.c: prefix, term, wildcard, regexp and fuzzy automata, and the edit distance.
 */
#include "automaton/automaton.h"
#include "automaton/nfa_int.h"

/* Characters of s one behind the other. */
static qdi_fragment literal(qdi_nfa *n, qd_str s, bool fold)
{
    qdi_fragment f = qdi_fragment_begin(n);
    const char *p = s.p, *end = s.p + s.n;
    while (p < end && n->rc == 0) {
        uint32_t cp, next = qdi_nfa_state(n);
        p += qd_utf8_next(p, end, &cp);
        qdi_nfa_char(n, f.end, next, cp, fold);
        f.end = next;
    }
    return f;
}

static uint32_t budget(uint32_t states_max)
{
    return states_max ? states_max : QD_AUTOMATON_STATES_DEFAULT;
}

/* Terms and prefixes are lines: their size is bounded by their own, not by the budget. */
static uint32_t line_budget(qd_str s)
{
    return s.n > UINT32_MAX / 16 ? UINT32_MAX / 16
                                 : (uint32_t)s.n * 2 + QD_AUTOMATON_STATES_DEFAULT;
}

int qd_automaton_prefix(qd_str prefix, bool case_insensitive, qd_account *account,
                        qd_automaton **out, qd_err *err)
{
    qdi_nfa n = {.account = account};
    qdi_fragment f = literal(&n, prefix, case_insensitive);
    f = qdi_fragment_concat(&n, f, qdi_fragment_any_string(&n));
    int rc = qdi_automaton_finish(&n, f, line_budget(prefix), out, err);
    qdi_nfa_fini(&n);
    return rc;
}

int qd_automaton_term(qd_str term, bool case_insensitive, qd_account *account, qd_automaton **out,
                      qd_err *err)
{
    qdi_nfa n = {.account = account};
    int rc =
        qdi_automaton_finish(&n, literal(&n, term, case_insensitive), line_budget(term), out, err);
    qdi_nfa_fini(&n);
    return rc;
}

/* As Lucene's WildcardQuery: a backslash at the very end stands for itself. */
static qdi_fragment wildcard(qdi_nfa *n, qd_str pattern, bool fold)
{
    qdi_fragment f = qdi_fragment_begin(n);
    const char *p = pattern.p, *end = pattern.p + pattern.n;
    bool star = false; /* several in a row are one */
    while (p < end && n->rc == 0) {
        uint32_t cp;
        p += qd_utf8_next(p, end, &cp);
        if (cp == '*') {
            if (!star) f = qdi_fragment_concat(n, f, qdi_fragment_any_string(n));
            star = true;
            continue;
        }
        star = false;
        uint32_t next = qdi_nfa_state(n);
        if (cp == '?') {
            qdi_nfa_any(n, f.end, next);
        } else {
            if (cp == '\\' && p < end) p += qd_utf8_next(p, end, &cp);
            qdi_nfa_char(n, f.end, next, cp, fold);
        }
        f.end = next;
    }
    return f;
}

/* Turns the automaton's complaint into one that names the pattern, as Elasticsearch does. */
static int name_pattern(int rc, qd_str pattern, uint32_t states_max, qd_err *err)
{
    if (rc != QD_E_TOO_COMPLEX || !err) return rc;
    qd_err_fini(err);
    qd_err_init(err);
    return qd_err_set(err, rc, "Determinizing %.*s%s would require more than %u effort.",
                      (int)(pattern.n < 1000 ? pattern.n : 1000), pattern.p ? pattern.p : "",
                      pattern.n > 1000 ? "..." : "", states_max);
}

int qd_automaton_wildcard(qd_str pattern, bool case_insensitive, uint32_t states_max,
                          qd_account *account, qd_automaton **out, qd_err *err)
{
    qdi_nfa n = {.account = account};
    int rc = qdi_automaton_finish(&n, wildcard(&n, pattern, case_insensitive), budget(states_max),
                                  out, err);
    qdi_nfa_fini(&n);
    return name_pattern(rc, pattern, budget(states_max), err);
}

int qd_automaton_regexp(qd_str pattern, uint32_t flags, bool case_insensitive, uint32_t states_max,
                        qd_account *account, qd_automaton **out, qd_err *err)
{
    qdi_nfa n = {.account = account};
    qdi_fragment f;
    int rc = qdi_regexp_parse(&n, pattern, flags, case_insensitive, budget(states_max), &f, err);
    if (rc == 0) rc = qdi_automaton_finish(&n, f, budget(states_max), out, err);
    qdi_nfa_fini(&n);
    return name_pattern(rc, pattern, budget(states_max), err);
}

#define FUZZY_POINTS_MAX 4096u
#define FUZZY_STATES_MAX 100000u

/* The states of a Levenshtein automaton: (characters of the word read, edits made). */
typedef struct fuzzy {
    qdi_nfa *n;
    const uint32_t *cp;
    uint32_t count, edits;
    uint32_t *at; /* (count + 1) * (edits + 1) */
} fuzzy;

static uint32_t fuzzy_at(const fuzzy *z, uint32_t i, uint32_t e)
{
    return z->at[i * (z->edits + 1) + e];
}

static void fuzzy_edges(fuzzy *z, uint32_t i, uint32_t e, bool transpositions)
{
    qdi_nfa *n = z->n;
    uint32_t from = fuzzy_at(z, i, e);
    if (i < z->count) qdi_nfa_char(n, from, fuzzy_at(z, i + 1, e), z->cp[i], false);
    if (e == z->edits) return;
    qdi_nfa_any(n, from, fuzzy_at(z, i, e + 1)); /* one too many */
    if (i == z->count) return;
    qdi_nfa_any(n, from, fuzzy_at(z, i + 1, e + 1));     /* another one */
    qdi_nfa_epsilon(n, from, fuzzy_at(z, i + 1, e + 1)); /* left out */
    if (transpositions && i + 1 < z->count && z->cp[i] != z->cp[i + 1]) {
        uint32_t swap = qdi_nfa_state(n);
        qdi_nfa_char(n, from, swap, z->cp[i + 1], false);
        qdi_nfa_char(n, swap, fuzzy_at(z, i + 2, e + 1), z->cp[i], false);
    }
}

static int fuzzy_build(qdi_nfa *n, const uint32_t *cp, uint32_t count, uint32_t edits,
                       uint32_t prefix, bool transpositions, qdi_fragment *out)
{
    qdi_fragment f = qdi_fragment_begin(n);
    fuzzy z = {.n = n, .cp = cp + prefix, .count = count - prefix, .edits = edits};
    for (uint32_t i = 0; i < prefix; i++) {
        uint32_t next = qdi_nfa_state(n);
        qdi_nfa_char(n, f.end, next, cp[i], false);
        f.end = next;
    }
    size_t cells = ((size_t)z.count + 1) * (edits + 1);
    z.at = qd_alloc(n->account, cells * sizeof *z.at);
    if (!z.at) return QD_E_NOMEM;
    for (size_t i = 0; i < cells; i++) z.at[i] = qdi_nfa_state(n);
    uint32_t end = qdi_nfa_state(n);
    qdi_nfa_epsilon(n, f.end, z.at[0]);
    for (uint32_t i = 0; i <= z.count && n->rc == 0; i++)
        for (uint32_t e = 0; e <= edits; e++) fuzzy_edges(&z, i, e, transpositions);
    for (uint32_t e = 0; e <= edits && n->rc == 0; e++)
        qdi_nfa_epsilon(n, fuzzy_at(&z, z.count, e), end);
    qd_free(z.at);
    f.end = end;
    *out = f;
    return 0;
}

int qd_automaton_fuzzy(qd_str term, uint32_t edits, uint32_t prefix_length, bool transpositions,
                       qd_account *account, qd_automaton **out, qd_err *err)
{
    size_t count = qd_utf8_points(term);
    if (edits > 2) return qd_err_set(err, QD_E_ARG, "maxEdits must be between 0 and 2");
    if (count > FUZZY_POINTS_MAX)
        return qd_err_set(err, QD_E_TOO_COMPLEX, "a fuzzy term has %zu characters, at most %u",
                          count, FUZZY_POINTS_MAX);
    if (qdi_levenshtein_fits(term, edits))
        return qdi_levenshtein(term, edits, prefix_length < count ? prefix_length : (uint32_t)count,
                               transpositions, account, out, err);
    uint32_t *cp = qd_alloc(account, (count + 1) * sizeof *cp);
    if (!cp) return qd_err_nomem(err, "automaton");
    const char *p = term.p, *end = term.p + term.n;
    for (size_t i = 0; i < count; i++) p += qd_utf8_next(p, end, &cp[i]);
    qdi_nfa n = {.account = account};
    qdi_fragment f;
    uint32_t prefix = prefix_length < count ? prefix_length : (uint32_t)count;
    int rc = fuzzy_build(&n, cp, (uint32_t)count, edits, prefix, transpositions, &f);
    if (rc)
        rc = qd_err_nomem(err, "automaton");
    else
        rc = qdi_automaton_finish(&n, f, FUZZY_STATES_MAX, out, err);
    qdi_nfa_fini(&n);
    qd_free(cp);
    return rc;
}

/* Distances are wanted up to 2, so only a band of five cells around the diagonal matters: cell k of
 * row i is the distance of a's first i characters and b's first i + k - 2. */
#define BAND 2

uint32_t qd_edit_distance(qd_str a, qd_str b, bool transpositions, uint32_t max)
{
    size_t na = qd_utf8_points(a), nb = qd_utf8_points(b);
    const char *pa = a.p, *ea = a.p + a.n;
    uint32_t row[3][2 * BAND + 1], before_a = 0;
    if (max > BAND) max = BAND;
    if (na > nb + max || nb > na + max) return max + 1;
    for (uint32_t k = 0; k <= 2 * BAND; k++) row[0][k] = k >= BAND ? k - BAND : max + 1;
    /* b's characters around the diagonal: window[k] is the one with index i + k - BAND - 1. */
    const char *pb = b.p, *eb = b.p + b.n;
    uint32_t window[2 * BAND + 2] = {0};
    for (uint32_t k = BAND + 2; k < 2 * BAND + 2; k++)
        if (pb < eb) pb += qd_utf8_next(pb, eb, &window[k]);
    for (size_t i = 1; i <= na; i++) {
        uint32_t *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3], ca, least = 3;
        pa += qd_utf8_next(pa, ea, &ca);
        for (uint32_t k = 0; k < 2 * BAND + 1; k++) window[k] = window[k + 1];
        window[2 * BAND + 1] = 0;
        if (pb < eb) pb += qd_utf8_next(pb, eb, &window[2 * BAND + 1]);
        for (uint32_t k = 0; k <= 2 * BAND; k++) {
            now[k] = max + 1;
            if (i + k < BAND || i + k - BAND > nb) continue;
            size_t j = i + k - BAND;
            /* window[k + 1] is character j - 1 of b, window[k] the one before */
            uint32_t d = max + 1;
            if (j > 0) d = up[k] + (window[k + 1] != ca);
            if (k < 2 * BAND && up[k + 1] + 1 < d) d = up[k + 1] + 1;
            if (k > 0 && j > 0 && now[k - 1] + 1 < d) d = now[k - 1] + 1;
            if (transpositions && i > 1 && j > 1 && ca == window[k] && before_a == window[k + 1] &&
                up2[k] + 1 < d)
                d = up2[k] + 1;
            now[k] = d < max + 1 ? d : max + 1;
            if (now[k] < least) least = now[k];
        }
        if (least > max) return max + 1;
        before_a = ca;
    }
    uint32_t d = row[na % 3][nb + BAND - na];
    return d < max + 1 ? d : max + 1;
}
