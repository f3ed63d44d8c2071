/*
 * term_iter.c: ordered walks over a dictionary. See terms.h.
 *
 * A walk plans windows of blocks from the resident index alone. With an automaton the separator of
 * each block tells whether anything in the block can be accepted: the least acceptable string not
 * below it is computed, and if that lies beyond the block, the walk goes on at the block that may
 * hold it. Inside a block, states are kept by depth, so that each term is stepped from the first
 * byte that differs from the one before; terms that share a dead beginning are passed over by their
 * lengths alone. A required ending is looked for first: most terms are refused by their last bytes.
 */
#include "base/bits.h"
#include "segment/terms/term_block_int.h"

#define WINDOW_BLOCKS 64u
#define WINDOW_BYTES (256u << 10)
#define FRONT 8u       /* bytes before a text that may be read */
#define PASSED_COST 4u /* of a block, in terms, whose terms are passed over mostly */
#define AHEAD 4u       /* blocks prefetched before the one at hand */

struct qd_term_iter {
    qd_segment *segment;
    uint32_t field;
    const qdi_field_terms *terms;
    qd_arena *arena;
    const qd_automaton *automaton;
    qd_str lo, hi, prefix;
    qdi_term_parts parts;
    bool apart;       /* parts ask for more than the prefix */
    uint64_t ending;  /* the last bytes of the suffix, at the end of the word, */
    uint64_t care;    /* 0xff for those that are not any, 0 for those that are */
    uint32_t nending; /* and their number, at most 8; 0: all any */
    bool lo_exclusive, has_hi, hi_inclusive, below, over;
    bool prefixed;      /* the text at hand begins with the prefix */
    uint64_t next, end; /* blocks not planned yet */
    uint64_t cost;      /* that nobody has paid yet */
    qd_term_payer *payer;
    bool passes; /* terms are passed over by their lengths or last bytes; others cost one each */

    struct {
        uint64_t block;
        uint32_t slot;
    } window[WINDOW_BLOCKS];
    uint32_t nwindow, at; /* blocks planned; the one being read + 1 */
    uint32_t ahead;       /* of them, asked for by prefetching */
    qdi_block block;
    bool in_block;
    uint32_t behind; /* statistics not read yet */

    char *text;
    uint32_t len, cap;
    uint32_t *states; /* by depth, cap + 1 */
    uint32_t depth;   /* bytes stepped through */
    bool halted;      /* the verdict of states[depth] holds for all that begins so */
    uint32_t state;
    char *key; /* scratch for seeking, cap bytes */
    qd_reads *own;
};

static int grow(qd_term_iter *it, uint32_t cap, qd_err *err)
{
    uint32_t now = it->cap ? it->cap : 256;
    while (now < cap) now *= 2;
    char *text = qd_arena_bytes(it->arena, FRONT + now), *key = qd_arena_bytes(it->arena, now + 1);
    uint32_t *states = qd_arena_alloc(it->arena, (now + 1) * sizeof *states);
    if (!text || !states || !key) return qd_err_nomem(err, "walk over terms");
    text += FRONT;
    memset(text - FRONT, 0, FRONT);
    if (it->cap) {
        memcpy(text, it->text, it->cap);
        memcpy(states, it->states, (it->cap + 1) * sizeof *states);
    }
    it->text = text;
    it->key = key;
    it->states = states;
    it->cap = now;
    return 0;
}

/* The longer of two prefixes; false when no term can have both. */
static bool narrow_prefix(qd_str *a, qd_str b)
{
    size_t n = a->n < b.n ? a->n : b.n;
    if (n && memcmp(a->p, b.p, n) != 0) return false;
    if (b.n > a->n) *a = b;
    return true;
}

/* One past the last block that may hold terms beginning with prefix. */
static int end_of_prefix(qd_term_iter *it, uint64_t *end, qd_err *err)
{
    size_t n = it->prefix.n;
    while (n && (uint8_t)it->prefix.p[n - 1] == 0xff) n--;
    if (n == 0) return 0;
    char *after = qd_arena_bytes(it->arena, n);
    if (!after) return qd_err_nomem(err, "walk over terms");
    memcpy(after, it->prefix.p, n);
    after[n - 1] = (char)((uint8_t)after[n - 1] + 1);
    uint64_t e = qdi_block_find(it->terms, it->segment->term_index, (qd_str){after, n}) + 1;
    if (e < *end) *end = e;
    return 0;
}

static void place_ending(qd_term_iter *it, qd_str suffix)
{
    it->nending = suffix.n < 8 ? (uint32_t)suffix.n : 8;
    for (size_t i = suffix.n - it->nending; i < suffix.n; i++) {
        bool any = suffix.p[i] == QD_TERM_ANY;
        it->ending = it->ending >> 8 | (uint64_t)(any ? 0 : (uint8_t)suffix.p[i]) << 56;
        it->care = it->care >> 8 | (any ? 0 : (uint64_t)0xff << 56);
    }
    if (!it->care) it->nending = 0;
}

static int place(qd_term_iter *it, const qd_term_range *range, qd_err *err)
{
    const uint8_t *index = it->segment->term_index;
    it->lo = range->from;
    it->lo_exclusive = range->from_exclusive;
    it->has_hi = range->has_to;
    it->hi = range->to;
    it->hi_inclusive = range->to_inclusive;
    it->prefix = range->prefix;
    it->parts = qdi_term_parts_of(range);
    it->apart = range->head.n || range->suffix.n || range->ninner;
    place_ending(it, range->suffix);
    it->passes = it->automaton || it->nending;
    if (it->automaton && it->automaton->start == QD_AUTOMATON_DEAD) it->over = true;
    if (it->automaton && !narrow_prefix(&it->prefix, it->automaton->prefix)) it->over = true;
    if (qd_str_cmp(it->prefix, it->lo) > 0) {
        it->lo = it->prefix;
        it->lo_exclusive = false;
    }
    qd_str *copies[] = {&it->lo, &it->hi, &it->prefix, &it->parts.head, &it->parts.suffix};
    for (size_t i = 0; i < QD_COUNT_OF(copies); i++) {
        size_t n = copies[i]->n;
        *copies[i] = qd_arena_str(it->arena, *copies[i]);
        if (!copies[i]->p && n) return qd_err_nomem(err, "walk over terms");
    }
    it->below = it->lo.n > 0 || it->lo_exclusive;
    it->end = qdi_term_blocks(it->terms->terms);
    if (it->end == 0) it->over = true;
    if (it->over) return 0;
    it->next = qdi_block_find(it->terms, index, it->lo);
    if (it->has_hi) {
        uint64_t e = qdi_block_find(it->terms, index, it->hi) + 1;
        if (e < it->end) it->end = e;
    }
    return end_of_prefix(it, &it->end, err);
}

int qd_term_iter_open(qd_segment *s, uint32_t field, const qd_term_range *range, qd_arena *arena,
                      qd_term_iter **out, qd_err *err)
{
    static const qdi_field_terms none;
    qd_term_iter *it = qd_arena_calloc(arena, sizeof *it);
    if (!it) return qd_err_nomem(err, "walk over terms");
    it->segment = s;
    it->field = field;
    it->terms = field < s->nfields ? &s->terms[field] : &none;
    it->arena = arena;
    it->automaton = range->automaton;
    int rc = grow(it, 256, err);
    if (rc == 0) rc = place(it, range, err);
    *out = it;
    return rc;
}

/*
 * The least string >= s that the automaton may accept, into it->key: *n its length, false when
 * there is none. Uses the states' array, which is rebuilt for the next term.
 */
static bool least_from(qd_term_iter *it, qd_str s, size_t *n)
{
    const qd_automaton *a = it->automaton;
    size_t d = 0;
    it->depth = 0;
    it->halted = false;
    it->states[0] = a->start;
    while (d < s.n) {
        uint32_t to = qd_automaton_step(a, it->states[d], (uint8_t)s.p[d]);
        if (to == QD_AUTOMATON_DEAD) break;
        it->states[++d] = to;
    }
    memcpy(it->key, s.p, s.n);
    *n = s.n;
    if (d == s.n) return true;
    for (;; d--) {
        unsigned b = (uint8_t)s.p[d] + 1u;
        int next = b < 256 ? qd_automaton_next_byte(a, it->states[d], b) : -1;
        if (next >= 0) {
            it->key[d] = (char)next;
            *n = d + 1;
            return true;
        }
        if (d == 0) return false;
    }
}

/* The first block from `block` on that may hold an accepted term; it->end when none. */
static int skip_blocks(qd_term_iter *it, uint64_t *block, qd_err *err)
{
    const uint8_t *index = it->segment->term_index;
    while (*block + 1 < it->end) {
        qd_str sep = qdi_block_separator(it->terms, index, *block);
        if (qd_str_cmp(sep, it->lo) < 0) sep = it->lo;
        int rc = sep.n > it->cap ? grow(it, (uint32_t)sep.n, err) : 0;
        if (rc) return rc;
        size_t n;
        if (!least_from(it, sep, &n)) {
            *block = it->end;
            return 0;
        }
        it->cost++;
        qd_str key = {it->key, n}, after = qdi_block_separator(it->terms, index, *block + 1);
        if (qd_str_cmp(key, after) < 0) return 0;
        *block = qdi_block_find_from(it->terms, index, *block + 1, key);
        if (*block >= it->end) *block = it->end;
    }
    return 0;
}

int qd_term_iter_plan(qd_term_iter *it, qd_reads *r, bool *more, qd_err *err)
{
    uint64_t bytes = 0;
    it->nwindow = it->at = it->ahead = 0;
    it->in_block = false;
    while (!it->over && it->nwindow < WINDOW_BLOCKS && bytes < WINDOW_BYTES) {
        int rc = it->automaton ? skip_blocks(it, &it->next, err) : 0;
        if (rc) return rc;
        if (it->next >= it->end) break;
        uint64_t at, len;
        qdi_block_place(it->terms, it->segment->term_index, it->next, &at, &len);
        it->window[it->nwindow].block = it->next++;
        rc = qd_reads_add(r, it->segment->file, QDI_SEC_TERMS, at, len,
                          &it->window[it->nwindow].slot, err);
        if (rc) return rc;
        it->nwindow++;
        it->cost += (it->passes ? PASSED_COST : QD_TERMS_PER_BLOCK) + len / QDI_WALK_BYTES;
        bytes += len;
    }
    *more = it->nwindow > 0;
    return 0;
}

static int next_block(qd_term_iter *it, const qd_reads *r, qd_err *err)
{
    uint64_t at, len;
    qdi_block_place(it->terms, it->segment->term_index, it->window[it->at].block, &at, &len);
    uint32_t slot = it->window[it->at++].slot;
    /* blocks lie apart where an automaton leaves some out */
    for (; it->ahead < it->nwindow && it->ahead < it->at + AHEAD; it->ahead++) {
        const uint8_t *next = qd_reads_at(r, it->window[it->ahead].slot);
        __builtin_prefetch(next);
        __builtin_prefetch(next + 64);
        __builtin_prefetch(next + 128);
        __builtin_prefetch(next + 192);
    }
    it->in_block = true;
    it->behind = 0;
    it->len = 0;
    it->prefixed = false;
    it->depth = 0;
    it->halted = false;
    if (it->automaton) it->states[0] = it->automaton->start;
    return qdi_block_open(&it->block, it->segment, it->field, at, qd_reads_at(r, slot), len, err);
}

/* Reads the next entry: bytes shared with the term before, and the rest. */
static int next_entry(qd_term_iter *it, uint32_t *shared, qd_str *rest, qd_err *err)
{
    const uint8_t *from = it->block.text;
    int rc = 0;
    if (QD_LIKELY(it->block.text_end - from >= 2 && ((from[0] | from[1]) & 0x80) == 0 &&
                  from[1] <= it->block.text_end - from - 2)) { /* nearly all */
        *shared = from[0];
        *rest = (qd_str){(const char *)from + 2, from[1]};
        it->block.text = from + 2 + from[1];
    } else {
        rc = qdi_block_text(&it->block, shared, rest, err);
    }
    if (rc == 0 && *shared > it->len)
        rc = qdi_corrupt(it->segment, QDI_SEC_TERMS,
                         it->block.at + (uint64_t)(from - it->block.begin), "text of a term", err);
    if (rc) return rc;
    it->len = *shared + (uint32_t)rest->n;
    it->behind++;
    return it->len + 16 > it->cap ? grow(it, it->len + 16, err) : 0;
}

/* Puts the rest of the text at hand behind what it shares with the one before. */
static inline void put_rest(qd_term_iter *it, uint32_t shared, qd_str rest)
{
    if (QD_LIKELY(rest.n <= 16 && (const char *)it->block.end - rest.p >= 16))
        memcpy(it->text + shared, rest.p, 16); /* there is room, and no call */
    else
        memcpy(it->text + shared, rest.p, rest.n);
}

/* Steps the automaton along the text at hand, which shares bytes with the one before. Of a text
 * that it refuses only the bytes up to there are put. */
static bool accepted(qd_term_iter *it, uint32_t shared, qd_str rest)
{
    const qd_automaton *a = it->automaton;
    uint32_t s = it->states[it->depth];
    if (it->halted && shared >= it->depth) {
        if (s == QD_AUTOMATON_DEAD) return false;
        put_rest(it, shared, rest); /* it->halted alive: whatever follows is accepted */
        return true;
    }
    if (shared < it->depth) it->depth = shared;
    it->halted = false;
    put_rest(it, shared, rest);
    s = it->states[it->depth];
    while (it->depth < it->len) {
        if (a->flags[s] & QD_AUTOMATON_ALL) {
            it->halted = true;
            break;
        }
        s = qd_automaton_step(a, s, (uint8_t)it->text[it->depth++]);
        it->states[it->depth] = s;
        if (s == QD_AUTOMATON_DEAD) {
            it->halted = true;
            return false;
        }
    }
    it->state = s;
    return qd_automaton_accepts(a, s);
}

/* Passes over entries whose last bytes are not the suffix's, as far as both go: those that are
 * short and lie well inside the block, nearly all. Their texts are put, as others share them. With
 * `any`, characters that may be any are taken for a byte each; where they are more it ends. */
QD_INLINE void pass_over(qd_term_iter *it, bool any)
{
    const uint8_t *p = it->block.text, *end = it->block.text_end;
    uint32_t len = it->len, least = it->depth, passed = 0, bytes = it->nending;
    uint64_t care = any ? it->care : 0, wide = ~it->care & 0x8080808080808080u;
    if (it->block.end - p < 16) return;
    if (it->block.end - end < 16) end = it->block.end - 16; /* 16 bytes are copied of any rest */
    qd_dassert(it->cap >= 160);
    while (end - p >= 2 && p[0] < 128 && p[0] <= len && p[1] && p[1] <= 16 && p[1] <= end - p - 2 &&
           p + p[1] - it->block.begin >= 6) {
        uint32_t n = p[1], both = n < bytes ? n : bytes;
        uint64_t last = qd_get_u64le(p + n - 6);
        uint64_t differs = any ? (last ^ it->ending) & care : last ^ it->ending;
        if (differs >> (64 - 8 * both) == 0) break;
        if (any && (last & wide) >> (64 - 8 * both)) break;
        memcpy(it->text + p[0], p + 2, 16);
        len = p[0] + n;
        least = p[0] < least ? p[0] : least;
        p += 2 + n;
        passed++;
    }
    if (passed == 0) return;
    it->block.text = p;
    it->len = len;
    it->behind += passed;
    it->prefixed = false;
    if (least < it->depth) {
        it->depth = least;
        it->halted = false;
    }
}

/* The same, chosen by what the suffix has. */
static void pass_endings(qd_term_iter *it)
{
    if (it->parts.literal >= it->nending)
        pass_over(it, false);
    else
        pass_over(it, true);
}

/* Passes over entries that share the dead beginning of the text at hand, by their lengths: those
 * whose lengths are a byte each, nearly all. Their texts are not put. */
static void pass_dead(qd_term_iter *it)
{
    const uint8_t *p = it->block.text, *end = it->block.text_end;
    uint32_t len = it->len, depth = it->depth, passed = 0;
    while (end - p >= 2 && p[0] >= depth && p[0] <= len && ((p[0] | p[1]) & 0x80) == 0 &&
           p[1] <= end - p - 2) {
        len = (uint32_t)p[0] + p[1];
        p += 2 + p[1];
        passed++;
    }
    it->block.text = p;
    it->len = len;
    it->behind += passed;
}

bool qd_term_range_has(const qd_term_range *r, qd_str text)
{
    qdi_term_parts parts = qdi_term_parts_of(r);
    return qdi_term_between(r, &parts, text) &&
           (!r->automaton || qd_automaton_match(r->automaton, text));
}

/* Is the present term, as yet inside the bounds or below them, inside? 1, 0 = not yet, -1 = past
 * them. */
static int inside(qd_term_iter *it, uint32_t shared)
{
    qd_str text = {it->text, it->len};
    if (it->below) {
        int c = qd_str_cmp(text, it->lo);
        if (c < 0 || (c == 0 && it->lo_exclusive)) return 0;
        it->below = false;
    }
    if (it->has_hi) {
        int c = qd_str_cmp(text, it->hi);
        if (c > 0 || (c == 0 && !it->hi_inclusive)) return -1;
    }
    if (!it->prefixed || shared < it->prefix.n) it->prefixed = qd_str_starts(text, it->prefix);
    return it->prefixed ? 1 : -1;
}

static int give(qd_term_iter *it, qd_str *text, qd_term *out, qd_err *err)
{
    *text = (qd_str){it->text, it->len};
    if (!out) return 1;
    for (; it->behind; it->behind--) {
        int rc = qdi_block_stats(&it->block, out, err);
        if (rc) return rc;
    }
    return 1;
}

int qd_term_iter_next(qd_term_iter *it, const qd_reads *r, qd_str *text, qd_term *out, qd_err *err)
{
    while (!it->over) {
        if (!it->in_block || it->block.text == it->block.text_end) {
            if (it->at >= it->nwindow) return 0;
            int rc = next_block(it, r, err);
            if (rc) return rc;
            continue;
        }
        uint32_t shared;
        qd_str rest;
        if (it->halted && it->states[it->depth] == QD_AUTOMATON_DEAD)
            pass_dead(it);
        else if (it->nending)
            pass_endings(it);
        if (it->block.text == it->block.text_end) continue;
        int rc = next_entry(it, &shared, &rest, err);
        if (rc) return rc;
        bool wanted = true;
        if (!it->automaton) {
            put_rest(it, shared, rest);
        } else {
            it->cost++;
            wanted = accepted(it, shared, rest);
        }
        if (wanted && it->apart) {
            it->cost++;
            wanted = qdi_term_has_parts(&it->parts, (qd_str){it->text, it->len});
        }
        if (!wanted) {
            it->prefixed = false; /* the text before is not known to the next one */
            continue;
        }
        int where = inside(it, shared);
        if (where < 0) {
            it->over = true;
            break;
        }
        if (where) return give(it, text, out, err);
    }
    return 0;
}

void qd_term_iter_paid_by(qd_term_iter *it, qd_term_payer *payer)
{
    it->payer = payer;
}

uint64_t qd_terms_walk_cost(qd_segment *s, uint32_t field)
{
    const qdi_field_terms *t = &s->terms[field];
    uint64_t blocks = qdi_term_blocks(t->terms), first, last, len;
    if (blocks == 0) return 0;
    qdi_block_place(t, s->term_index, 0, &first, &len);
    qdi_block_place(t, s->term_index, blocks - 1, &last, &len);
    return blocks * QD_TERMS_PER_BLOCK + (last + len - first) / QDI_WALK_BYTES;
}

uint64_t qd_term_range_span(qd_segment *s, uint32_t field, const qd_term_range *range)
{
    if (field >= s->nfields) return 0; /* of an overlay */
    const qdi_field_terms *t = &s->terms[field];
    uint64_t blocks = qdi_term_blocks(t->terms);
    if (blocks == 0) return 0;
    qd_str lo = qd_str_cmp(range->prefix, range->from) > 0 ? range->prefix : range->from;
    uint64_t first = qdi_block_find(t, s->term_index, lo), last = blocks - 1;
    if (range->has_to) last = qdi_block_find(t, s->term_index, range->to);
    char after[64]; /* a longer prefix counts by its beginning: the span is an estimate */
    size_t n = range->prefix.n < sizeof after ? range->prefix.n : sizeof after;
    if (n && (uint8_t)range->prefix.p[n - 1] != 0xff) {
        memcpy(after, range->prefix.p, n);
        after[n - 1] = (char)((uint8_t)after[n - 1] + 1);
        uint64_t e = qdi_block_find(t, s->term_index, (qd_str){after, n});
        last = e < last ? e : last;
    }
    return last < first ? 0 : (last - first + 1) * QD_TERMS_PER_BLOCK;
}

uint32_t qd_term_iter_state(const qd_term_iter *it)
{
    return it->state;
}

int qd_term_iter_step(qd_term_iter *it, qd_str *text, qd_term *out, qd_err *err)
{
    if (!it->own) {
        it->own = qd_reads_make(it->arena, it->segment->account);
        if (!it->own) return qd_err_nomem(err, "walk over terms");
    }
    for (;;) {
        int rc = qd_term_iter_next(it, it->own, text, out, err);
        if (rc) return rc;
        qd_reads_release(it->own);
        bool more = false;
        rc = qd_term_iter_plan(it, it->own, &more, err);
        if (!rc && it->payer) {
            rc = it->payer->pay(it->payer, it->cost, err);
            it->cost = 0;
        }
        if (rc || !more) return rc;
        rc = qd_reads_fetch(it->own, err);
        if (rc) return rc;
    }
}
