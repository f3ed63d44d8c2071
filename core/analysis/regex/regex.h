/*
 * regex.h: regular expressions of Java's syntax over UTF-8, for the pattern tokenizer and
 * pattern_replace.
 *
 * Supported: literals, escapes, \Q..\E, classes with ranges, unions and &&, \d \w \s \h \v and
 * their opposites, \p{..} of general categories and POSIX names, groups (capturing, named, (?:),
 * (?ismx) alone or on a group), alternation, greedy and lazy quantifiers, ^ $ \A \z \Z \b \B.
 * Refused with a reason: look-around, back references, possessive and atomic parts, scripts and
 * blocks.
 *
 * Matches are those of a backtracking matcher (leftmost, first alternative), found by a simulation
 * of all threads in step, so that the time is bounded by text times program; over the budget of a
 * search QD_E_LIMIT is returned.
 */
#ifndef QD_ANALYSIS_REGEX_H
#define QD_ANALYSIS_REGEX_H

#include "base/err.h"
#include "base/str.h"

enum {
    QD_RE_CASE = 1, /* CASE_INSENSITIVE */
    QD_RE_MULTILINE = 2,
    QD_RE_DOTALL = 4,
    QD_RE_UNICODE_CASE = 8,
    QD_RE_COMMENTS = 16,
    QD_RE_LITERAL = 32,
    QD_RE_UNICODE_CLASS = 64, /* UNICODE_CHARACTER_CLASS: \w \d \s \b beyond ASCII */
};
#define QD_RE_GROUPS_MAX 32

typedef struct qd_regex qd_regex;

/* Reads Java's flags ("CASE_INSENSITIVE|DOTALL"); QD_E_ARG for an unknown one. */
QD_MUST_CHECK
int qd_regex_flags(qd_str names, uint32_t *flags, qd_err *err);
/* Compiles a pattern of at most 4,096 bytes. QD_E_ARG with reason and place. */
QD_MUST_CHECK
int qd_regex_compile(qd_str pattern, uint32_t flags, qd_regex **out, qd_err *err);
/* Frees it; NULL is fine. */
void qd_regex_free(qd_regex *r);
/* Capturing groups, without the whole match. */
uint32_t qd_regex_groups(const qd_regex *r);
/* Number of a named group, or -1. */
int qd_regex_group(const qd_regex *r, qd_str name);
/* Bytes of scratch that a search needs. */
size_t qd_regex_work(const qd_regex *r);
/* The first match at or behind byte `from`: 1 and caps[2*g], caps[2*g+1] for the first ngroups
 * groups (group 0 is the match; UINT32_MAX where a group took no part), 0 when there is none.
 * *budget is what steps are left over all searches of one text; QD_E_LIMIT when it runs out. */
QD_MUST_CHECK
int qd_regex_find(const qd_regex *r, void *work, qd_str text, size_t from, uint32_t ngroups,
                  uint32_t *caps, uint64_t *budget);

#endif
