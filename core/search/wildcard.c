/*
 * wildcard.c: what can be seen of a wildcard pattern without an automaton: the text before its
 * first
 * `*`, the one behind its last, and those between. Such a pattern is matched by comparing bytes,
 * and its terms by their last ones first; UTF-8 lets no character begin inside another one.
 */
#include "base/utf8.h"
#include "search/plan_int.h"
#include <string.h>

#define PLAIN_MAX 256u /* bytes of a pattern; longer ones answer to the budget of states */

int qdi_wildcard_range(qd_arena *arena, const qd_node_pattern *n, qd_term_range *out, bool *whole)
{
    qd_str text = n->text;
    *whole = false;
    if (n->case_insensitive || text.n > PLAIN_MAX || !qd_utf8_valid(text, NULL)) return 0;
    if (n->max_states && n->max_states < QD_AUTOMATON_STATES_DEFAULT) return 0;
    char *to = qd_arena_bytes(arena, text.n + 1);
    qd_str *part = qd_arena_alloc(arena, (text.n + 1) * sizeof *part);
    if (!to || !part) return QD_E_NOMEM;
    uint32_t parts = 0;
    bool any = false; /* `?` */
    part[0] = (qd_str){to, 0};
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '*' || c == '?') {
            any |= c == '?';
            part[++parts] = (qd_str){to, 0};
            continue;
        }
        if (c == '\\' && i + 1 < text.n) c = text.p[++i];
        *to++ = c;
        part[parts].n++;
    }
    if (parts == 0) return 0; /* one term, for which the automaton is right */
    out->suffix = part[parts];
    if (any) return 0;
    out->prefix = part[0];
    uint32_t inner = 0;
    for (uint32_t i = 1; i < parts; i++)
        if (part[i].n) part[inner++] = part[i];
    out->inner = part;
    out->ninner = inner;
    *whole = true;
    return 0;
}
