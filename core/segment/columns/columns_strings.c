/*
 * columns_strings.c: front-coded strings by number: of a dictionary (ordinals) or of documents
 * (ids).
 */
#include "segment/columns/column_reader_int.h"

static int bad(const qd_column *c, uint32_t block, qd_err *err, const char *what)
{
    return qd_file_corrupt(c->file, QDI_SEC_COLUMN_DICT,
                           c->dict_offset + qdi_strings_offset(c, block), err, what);
}

int qdi_strings_plan(const qd_column *c, const uint32_t *numbers, uint32_t n, bool all, qd_reads *r,
                     qd_arena *arena, qdi_strings_reader **out, qd_err *err)
{
    qdi_strings_reader *s = qd_arena_calloc(arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "strings of a column");
    s->c = c;
    s->reads = r;
    s->arena = arena;
    s->block = UINT32_MAX;
    *out = s;
    if (all) {
        s->n = c->string_blocks;
        return s->n ? qd_reads_add(r, c->file, QDI_SEC_COLUMN_DICT, c->dict_offset, c->dict_bytes,
                                   &s->slot, err)
                    : 0;
    }
    s->blocks = qd_arena_alloc(arena, (n + 1) * sizeof *s->blocks);
    s->slots = qd_arena_alloc(arena, (n + 1) * sizeof *s->slots);
    if (!s->blocks || !s->slots) return qd_err_nomem(err, "strings of a column");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t block = numbers[i] / QDI_STRINGS_BLOCK;
        qd_assert(numbers[i] < c->strings && (i == 0 || numbers[i] >= numbers[i - 1]));
        if (s->n > 0 && s->blocks[s->n - 1] == block) continue;
        uint64_t from = qdi_strings_offset(c, block), to = qdi_strings_offset(c, block + 1);
        s->blocks[s->n] = block;
        int rc = qd_reads_add(r, c->file, QDI_SEC_COLUMN_DICT, c->dict_offset + from, to - from,
                              &s->slots[s->n++], err);
        if (rc) return rc;
    }
    return 0;
}

/* Stands before the first string of a block. */
static int stand(qdi_strings_reader *s, uint32_t block, qd_err *err)
{
    uint64_t from = qdi_strings_offset(s->c, block), to = qdi_strings_offset(s->c, block + 1);
    const uint8_t *p = NULL;
    if (!s->blocks) {
        if (block < s->n) p = qd_reads_at(s->reads, s->slot) + from;
    } else {
        uint32_t lo = 0, n = s->n;
        while (n > 1) {
            uint32_t half = n / 2;
            if (s->blocks[lo + half] <= block) lo += half;
            n -= half;
        }
        if (n && s->blocks[lo] == block) p = qd_reads_at(s->reads, s->slots[lo]);
    }
    if (qd_never(!p))
        return qd_err_set(err, QD_E_INTERNAL, "a string of a column was read but not planned");
    s->p = p;
    s->end = p + (to - from);
    s->block = block;
    s->next = block * QDI_STRINGS_BLOCK;
    s->last_n = 0;
    return 0;
}

/* Reads lengths of an entry; NULL when impossible. */
static const uint8_t *entry(const uint8_t *p, const uint8_t *end, bool first, size_t last_n,
                            size_t *shared, size_t *rest)
{
    uint64_t a = 0, b;
    if (!first) p = qd_get_varint(p, end, &a);
    if (p) p = qd_get_varint(p, end, &b);
    if (!p || a > last_n || b > (uint64_t)(end - p) || a + b >= QDI_STRING_MAX) return NULL;
    *shared = a;
    *rest = b;
    return p;
}

static int step(qdi_strings_reader *s, qd_err *err)
{
    size_t shared, rest;
    const uint8_t *p =
        entry(s->p, s->end, s->next % QDI_STRINGS_BLOCK == 0, s->last_n, &shared, &rest);
    if (!p) {
        uint32_t block = s->block;
        s->block = UINT32_MAX;
        return bad(s->c, block, err, "entry of a block of strings");
    }
    if (shared + rest > s->last_cap) {
        size_t cap = (shared + rest) * 2 + 64;
        char *room = qd_arena_bytes(s->arena, cap);
        if (!room) return qd_err_nomem(err, "string of a column");
        if (s->last_n) memcpy(room, s->last, s->last_n);
        s->last = room;
        s->last_cap = cap;
    }
    if (rest) memcpy(s->last + shared, p, rest);
    s->last_n = shared + rest;
    s->p = p + rest;
    s->next++;
    return 0;
}

int qdi_strings_at(qdi_strings_reader *s, uint32_t number, qd_str *out, qd_err *err)
{
    uint32_t block = number / QDI_STRINGS_BLOCK;
    if (number >= s->c->strings) return bad(s->c, 0, err, "number of a string");
    if (s->block != block || s->next > number + 1) {
        int rc = stand(s, block, err);
        if (rc) return rc;
    }
    while (s->next <= number) {
        int rc = step(s, err);
        if (rc) return rc;
    }
    *out = (qd_str){s->last ? s->last : "", s->last_n};
    return 0;
}

struct qd_dict_reader {
    qdi_strings_reader *strings;
};

static int dict_plan(const qd_column *c, const uint32_t *ords, uint32_t n, bool all, qd_reads *r,
                     qd_arena *arena, qd_dict_reader **out, qd_err *err)
{
    qd_assert(c->stats.type == QD_COLUMN_ORDINAL);
    qd_dict_reader *rd = qd_arena_calloc(arena, sizeof *rd);
    if (!rd) return qd_err_nomem(err, "dictionary reader");
    int rc = qdi_strings_plan(c, ords, n, all, r, arena, &rd->strings, err);
    if (rc == 0) *out = rd;
    return rc;
}

int qd_dict_plan_ords(const qd_column *c, const uint32_t *ords, uint32_t n, qd_reads *r,
                      qd_arena *arena, qd_dict_reader **out, qd_err *err)
{
    return dict_plan(c, ords, n, false, r, arena, out, err);
}

int qd_dict_plan_all(const qd_column *c, qd_reads *r, qd_arena *arena, qd_dict_reader **out,
                     qd_err *err)
{
    return dict_plan(c, NULL, 0, true, r, arena, out, err);
}

int qd_dict_at(qd_dict_reader *rd, uint32_t ord, qd_str *out, qd_err *err)
{
    return qdi_strings_at(rd->strings, ord, out, err);
}

int qd_dict_find(qd_dict_reader *rd, qd_str key, uint32_t *ord, bool *found, qd_err *err)
{
    qdi_strings_reader *s = rd->strings;
    uint32_t lo = 0, n = s->c->string_blocks;
    qd_str v;
    *found = false;
    qd_assert(!s->blocks);
    /* The last block whose first string is <= key. */
    while (n > 1) {
        uint32_t half = n / 2;
        int rc = qdi_strings_at(s, (lo + half) * QDI_STRINGS_BLOCK, &v, err);
        if (rc) return rc;
        if (qd_str_cmp(v, key) <= 0) lo += half;
        n -= half;
    }
    uint32_t at = lo * QDI_STRINGS_BLOCK, end = at + QDI_STRINGS_BLOCK;
    if (end > s->c->strings) end = s->c->strings;
    for (; at < end; at++) {
        int rc = qdi_strings_at(s, at, &v, err);
        if (rc) return rc;
        int order = qd_str_cmp(v, key);
        if (order < 0) continue;
        *found = order == 0;
        break;
    }
    *ord = at;
    return 0;
}

int qdi_strings_walk_open(qdi_strings_walk *s, const qd_column *c, qd_account *account, qd_err *err)
{
    memset(s, 0, sizeof *s);
    s->c = c;
    qd_buf_init(&s->last, account, QDI_STRING_MAX);
    return qd_section_cursor_open(&s->cursor, c->file, QDI_SEC_COLUMN_DICT, c->dict_offset, account,
                                  err);
}

int qdi_strings_walk_next(qdi_strings_walk *s, qd_str *out, bool *end, qd_err *err)
{
    size_t shared, rest;
    *end = s->next == s->c->strings;
    if (*end) return 0;
    uint64_t stop = s->c->dict_offset + s->c->dict_bytes;
    size_t want = 40;
    const uint8_t *p;
    for (;;) {
        /* The lengths are in the first bytes; a long rest needs a larger window. */
        int rc = qd_section_cursor_need(&s->cursor, want, err);
        if (rc) return rc;
        size_t have = s->cursor.have;
        if (have > stop - s->cursor.at) have = (size_t)(stop - s->cursor.at);
        const uint8_t *q = s->cursor.p;
        uint64_t a = 0, b = 0;
        if (s->next % QDI_STRINGS_BLOCK) q = qd_get_varint(q, q + have, &a);
        if (q) q = qd_get_varint(q, s->cursor.p + have, &b);
        if (!q || a > s->last.n || a + b >= QDI_STRING_MAX || b > stop - s->cursor.at)
            return bad(s->c, s->next / QDI_STRINGS_BLOCK, err, "entry of a block of strings");
        size_t lengths = (size_t)(q - s->cursor.p);
        shared = a;
        rest = b;
        p = q;
        if (lengths + rest <= have) {
            want = lengths + rest;
            break;
        }
        if (want >= lengths + rest)
            return bad(s->c, s->next / QDI_STRINGS_BLOCK, err, "entry of a block of strings");
        want = lengths + rest;
    }
    s->last.n = shared;
    if (qd_buf_add(&s->last, p, rest)) return qd_err_nomem(err, "string of a column");
    qd_section_cursor_skip(&s->cursor, want);
    s->next++;
    *out = qd_buf_view(&s->last);
    return 0;
}

void qdi_strings_walk_close(qdi_strings_walk *s)
{
    qd_section_cursor_close(&s->cursor);
    qd_buf_fini(&s->last);
}
