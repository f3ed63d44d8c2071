/*
 * automaton_fuzz.c: patterns of any bytes: regular expressions, wildcards, prefixes, fuzzy terms.
 * Input: a byte that picks the kind and its options, a byte of the text's length, the text, then
 * the pattern. Whatever is accepted must answer alike by steps, by its prefix and by its length
 * bound.
 */
#include "automaton/automaton.h"
#include "base/str.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int make(uint8_t kind, qd_str p, qd_account *account, qd_automaton **a, qd_err *err)
{
    switch (kind & 7) {
    case 0:
        return qd_automaton_prefix(p, kind & 8, account, a, err);
    case 1:
        return qd_automaton_term(p, kind & 8, account, a, err);
    case 2:
        return qd_automaton_wildcard(p, kind & 8, 0, account, a, err);
    case 3:
        return qd_automaton_fuzzy(p, kind >> 4 & 3, kind >> 6, kind & 8, account, a, err);
    case 4:
        return qd_automaton_regexp(p, kind >> 3, kind & 8, 500, account, a, err);
    default:
        return qd_automaton_regexp(p, QD_REGEXP_ALL, kind & 8, 2000, account, a, err);
    }
}

/* What is known of the automaton must agree with what it does on s. */
static void hold_against(const qd_automaton *a, qd_str s)
{
    uint32_t state = a->start;
    bool all = false, valid = qd_utf8_valid(s, NULL);
    for (size_t i = 0; i < s.n && state != QD_AUTOMATON_DEAD; i++) {
        int next = qd_automaton_next_byte(a, state, (uint8_t)s.p[i]);
        uint32_t to = qd_automaton_step(a, state, (uint8_t)s.p[i]);
        qd_assert(to < a->states && (next == (uint8_t)s.p[i]) == (to != QD_AUTOMATON_DEAD));
        all |= (a->flags[state] & QD_AUTOMATON_ALL) != 0;
        state = to;
    }
    bool match = qd_automaton_match(a, s);
    qd_assert(match == qd_automaton_accepts(a, state));
    if (all && valid) qd_assert(match);
    if (match) qd_assert(qd_str_starts(s, a->prefix) && (!a->finite || s.n <= a->longest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096) return 0;
    qd_account account;
    qd_err err;
    qd_automaton *a = NULL;
    qd_account_init(&account, "fuzz", NULL, 0);
    qd_err_init(&err);
    size_t n = data[1] < size - 2 ? data[1] : size - 2;
    qd_str text = {(const char *)data + 2, n};
    qd_str pattern = {(const char *)data + 2 + n, size - 2 - n};
    int rc = make(data[0], pattern, &account, &a, &err);
    qd_assert(rc == 0 || rc == QD_E_ARG || rc == QD_E_TOO_COMPLEX);
    qd_assert(rc == 0 || qd_err_reason(&err)[0]);
    if (rc == 0) {
        hold_against(a, text);
        hold_against(a, pattern);
        hold_against(a, a->prefix);
        if ((data[0] & 7) == 3 && qd_utf8_valid(pattern, NULL) && qd_utf8_valid(text, NULL) &&
            data[0] >> 6 == 0)
            qd_assert(qd_automaton_match(a, text) ==
                      (qd_edit_distance(pattern, text, data[0] & 8, data[0] >> 4 & 3) <=
                       (data[0] >> 4u & 3u)));
    }
    qd_automaton_free(a);
    qd_err_fini(&err);
    qd_assert(qd_account_used(&account) == 0);
    return 0;
}
