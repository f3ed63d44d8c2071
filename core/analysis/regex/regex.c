/*
 * regex.c: runs compiled patterns: all threads of a backtracking matcher at once, in the order in
 * which it would try them (Pike's machine). A thread that reaches the end cuts off all behind it;
 * those before it go on and may find a match that is preferred.
 */
#include "analysis/regex/regex_prog_int.h"
#include "analysis/tables/tables_int.h"

/* Threads at one place of the text, in order of preference; a set by instruction. */
typedef struct threads {
    uint32_t n;
    uint32_t *pc, *index; /* sparse set */
    uint32_t *caps;       /* nslots for each */
} threads;

typedef struct machine {
    const qd_regex *r;
    const char *text, *end;
    uint32_t nslots;
    threads now, next;
    struct frame { /* of the closure's explicit stack */
        uint32_t pc, slot, value;
    } * stack;
    uint32_t *caps; /* of the thread being added */
    uint64_t steps;
} machine;

uint32_t qd_regex_groups(const qd_regex *r)
{
    return r->ngroups;
}

int qd_regex_group(const qd_regex *r, qd_str name)
{
    for (uint32_t i = 0; i < r->nnames; i++)
        if (qd_str_eq(name, (qd_str){r->names[i].name, r->names[i].n}))
            return (int)r->names[i].group;
    return -1;
}

void qd_regex_free(qd_regex *r)
{
    if (!r) return;
    for (uint32_t i = 0; i < r->nsets; i++) qd_charset_fini(&r->sets[i]);
    qd_free(r->sets);
    qd_free(r->code);
    qd_free(r);
}

static size_t slots_of(uint32_t ngroups)
{
    return 2 * (size_t)ngroups;
}

size_t qd_regex_work(const qd_regex *r)
{
    size_t caps = slots_of(r->ngroups + 1);
    return (size_t)r->ncode * (2 * (2 + caps) * sizeof(uint32_t) + 2 * sizeof(struct frame)) +
           (caps + 16) * sizeof(uint32_t) + 64;
}

static void machine_init(machine *m, const qd_regex *r, void *work, qd_str text, uint32_t ngroups)
{
    uint32_t *at = work;
    size_t n = r->ncode;
    *m = (machine){
        .r = r, .text = text.p, .end = text.p + text.n, .nslots = (uint32_t)slots_of(ngroups)};
    threads *both[2] = {&m->now, &m->next};
    for (int i = 0; i < 2; i++) {
        both[i]->pc = at;
        both[i]->index = at + n;
        both[i]->caps = at + 2 * n;
        memset(both[i]->index, 0, n * sizeof *at);
        at += n * (2 + m->nslots);
    }
    m->caps = at;
    m->stack = (struct frame *)(void *)(at + m->nslots);
}

static bool word_char(uint32_t c, bool unicode)
{
    if (c < 128) return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    return unicode && (qd_char_letter(c) || qd_char_gc(c) == QD_GC_ND);
}

static uint32_t before(const machine *m, const char *p)
{
    uint32_t cp = UINT32_MAX;
    if (p == m->text) return cp;
    do p--;
    while (p > m->text && !qd_u8_start(*p));
    (void)qd_u8_next(p, m->end, &cp);
    return cp;
}

static bool line_end(uint32_t c)
{
    return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* Is only a line terminator left behind p? */
static bool last_line(const machine *m, const char *p)
{
    uint32_t cp;
    if (p == m->end) return true;
    const char *q = p + qd_u8_next(p, m->end, &cp);
    if (!line_end(cp)) return false;
    if (q == m->end) return !(cp == '\n' && before(m, p) == '\r');
    return cp == '\r' && *q == '\n' && q + 1 == m->end;
}

static bool holds(const machine *m, uint32_t op, const char *p)
{
    uint32_t here = UINT32_MAX, prev;
    if (p < m->end) (void)qd_u8_next(p, m->end, &here);
    switch (op) {
    case QD_RE_BEGIN:
        return p == m->text;
    case QD_RE_END:
        return p == m->end;
    case QD_RE_LAST:
        return last_line(m, p);
    case QD_RE_LINE_BEGIN:
        prev = before(m, p);
        if (p == m->text) return true;
        return p < m->end && line_end(prev) && !(prev == '\r' && here == '\n');
    case QD_RE_LINE_END:
        return p == m->end || (line_end(here) && !(here == '\n' && before(m, p) == '\r'));
    default: {
        bool unicode = m->r->flags & QD_RE_UNICODE_CLASS;
        prev = before(m, p);
        bool edge = (prev != UINT32_MAX && word_char(prev, unicode)) !=
                    (here != UINT32_MAX && word_char(here, unicode));
        return edge == (op == QD_RE_WORD_EDGE);
    }
    }
}

static bool has(const threads *t, uint32_t pc)
{
    return t->index[pc] < t->n && t->pc[t->index[pc]] == pc;
}

/* Adds a thread at pc with all it reaches without reading, in order of preference. The stack holds
 * what is still to be tried, and captures to be restored behind it. */
static void add(machine *m, threads *t, uint32_t pc, const char *p)
{
    uint32_t depth = 0;
    m->stack[depth++] = (struct frame){pc, UINT32_MAX, 0};
    while (depth) {
        struct frame f = m->stack[--depth];
        if (f.slot != UINT32_MAX) {
            m->caps[f.slot] = f.value;
            continue;
        }
        for (uint32_t at = f.pc;;) {
            if (has(t, at)) break;
            uint32_t k = t->n++;
            t->pc[k] = at;
            t->index[at] = k;
            m->steps++;
            const qd_re_inst *i = &m->r->code[at];
            if (i->op == QD_RE_SPLIT) {
                m->stack[depth++] = (struct frame){i->y, UINT32_MAX, 0};
                at = i->x;
            } else if (i->op == QD_RE_JUMP) {
                at = i->x;
            } else if (i->op == QD_RE_SAVE) {
                if (i->x < m->nslots) {
                    m->stack[depth++] = (struct frame){0, i->x, m->caps[i->x]};
                    m->caps[i->x] = (uint32_t)(p - m->text);
                }
                at++;
            } else if (i->op >= QD_RE_BEGIN) {
                if (!holds(m, i->op, p)) break;
                at++;
            } else { /* waits for a character, or matches */
                memcpy(t->caps + (size_t)k * m->nslots, m->caps, m->nslots * sizeof *m->caps);
                break;
            }
        }
    }
}

/* Moves all threads over cp, which ends at p. True when a match was found: then caps are set. */
static bool step(machine *m, uint32_t cp, bool more, const char *p, uint32_t *caps)
{
    threads swap = m->next;
    bool found = false;
    m->next.n = 0;
    for (uint32_t k = 0; k < m->now.n; k++) {
        const qd_re_inst *i = &m->r->code[m->now.pc[k]];
        const uint32_t *own = m->now.caps + (size_t)k * m->nslots;
        if (i->op == QD_RE_MATCH) {
            memcpy(caps, own, m->nslots * sizeof *caps);
            found = true;
            break; /* all behind are less preferred */
        }
        bool ok = more && ((i->op == QD_RE_CHAR && i->x == cp) ||
                           (i->op == QD_RE_SET && qd_charset_has(&m->r->sets[i->x], cp)));
        if (!ok) continue;
        memcpy(m->caps, own, m->nslots * sizeof *caps);
        add(m, &m->next, m->now.pc[k] + 1, p);
    }
    m->steps += m->now.n;
    swap = m->now;
    m->now = m->next;
    m->next = swap;
    return found;
}

/* A pattern that is one set, once or one or more times. */
static int find_run(const qd_regex *r, qd_str text, size_t from, uint32_t *caps)
{
    const char *p = text.p + from, *end = text.p + text.n, *start = NULL;
    while (p < end) {
        uint32_t cp, len = qd_u8_next(p, end, &cp);
        bool in = qd_charset_has(&r->sets[0], cp);
        if (in && !start) start = p;
        if (start && !in) break;
        p += len;
        if (start && !r->run_plus) break;
    }
    if (!start) return 0;
    caps[0] = (uint32_t)(start - text.p);
    caps[1] = (uint32_t)(p - text.p);
    return 1;
}

int qd_regex_find(const qd_regex *r, void *work, qd_str text, size_t from, uint32_t ngroups,
                  uint32_t *caps, uint64_t *budget)
{
    if (from > text.n) return 0;
    if (r->run && ngroups == 1) return find_run(r, text, from, caps);
    machine m;
    bool found = false;
    machine_init(&m, r, work, text, ngroups);
    for (const char *p = text.p + from;;) {
        uint32_t cp = 0, len = p < m.end ? qd_u8_next(p, m.end, &cp) : 0;
        if (!found && !m.now.n && r->has_first)
            while (len && !qd_charset_has(&r->first, cp)) {
                p += len;
                len = p < m.end ? qd_u8_next(p, m.end, &cp) : 0;
            }
        if (!found) {
            memset(m.caps, 0xFF, m.nslots * sizeof *m.caps);
            add(&m, &m.now, 0, p);
        }
        if (!m.now.n) break;
        found |= step(&m, cp, len > 0, p + len, caps);
        if (m.steps > *budget) return QD_E_LIMIT;
        if (!len) break;
        p += len;
    }
    *budget -= m.steps;
    return found;
}
