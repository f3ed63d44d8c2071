/*
 * wildcard.c: what can be seen of a wildcard pattern without an automaton: the text before its
 * first `*`, the one behind its last, and those between, each with its `?`. Terms are matched by
 * comparing bytes, their last ones first (core/segment/terms/term_parts.c). What begins with a text
 * of `?` in it keeps an automaton of that beginning, which leaves out blocks of the dictionary; a
 * pattern without `*` is only that.
 */
#include "base/utf8.h"
#include "search/plan/plan_int.h"
#include <string.h>

#define PLAIN_MAX 256u /* bytes of a pattern; longer ones answer to the budget of states */

/* Cuts the pattern at its stars into part[0..*parts], `?` become QD_TERM_ANY. Gives the bytes of
 * the pattern before its first star. */
static size_t cut(qd_str text, char *to, qd_str *part, uint32_t *parts)
{
    size_t first = text.n;
    *parts = 0;
    part[0] = (qd_str){to, 0};
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '*') {
            if (*parts == 0) first = i;
            part[++*parts] = (qd_str){to, 0};
            continue;
        }
        if (c == '?')
            c = QD_TERM_ANY;
        else if (c == '\\' && i + 1 < text.n)
            c = text.p[++i];
        *to++ = c;
        part[*parts].n++;
    }
    return first;
}

int qdi_wildcard_range(qd_arena *arena, const qd_node_pattern *n, qd_term_range *out,
                       qd_str *automaton)
{
    qd_str text = n->text;
    uint32_t parts, inner = 0;
    *automaton = text.n ? text : QD_STR("");
    if (n->case_insensitive || text.n > PLAIN_MAX || !qd_utf8_valid(text, NULL)) return 0;
    if (n->max_states && n->max_states < QD_AUTOMATON_STATES_DEFAULT) return 0;
    char *to = qd_arena_bytes(arena, 2 * text.n + 1);
    qd_str *part = qd_arena_alloc(arena, (text.n + 1) * sizeof *part);
    if (!to || !part) return QD_E_NOMEM;
    size_t first = cut(text, to, part, &parts);
    if (parts == 0) { /* the automaton's; its end is looked at before */
        const char *any = memrchr(part[0].p, QD_TERM_ANY, part[0].n);
        if (!any) return 0;
        size_t head = (size_t)(any + 1 - part[0].p);
        out->suffix = (qd_str){any + 1, part[0].n - head};
        return 0;
    }
    *automaton = (qd_str){NULL, 0};
    qd_str head = part[0];
    out->suffix = part[parts];
    for (uint32_t i = 1; i < parts; i++)
        if (part[i].n) part[inner++] = part[i];
    out->inner = part;
    out->ninner = inner;
    if (memchr(head.p, QD_TERM_ANY, head.n)) {
        if (inner || out->suffix.n) out->head = head; /* who follows must know where it ends */
        *automaton = (qd_str){to + text.n, first + 1};
        memcpy(to + text.n, text.p, first + 1); /* with the star */
    } else {
        out->prefix = head;
    }
    return 0;
}
