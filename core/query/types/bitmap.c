/* bitmap.c: see bitmap.h. */
#include "query/types/bitmap.h"
#include "base/base64.h"
#include <stdio.h>

#define COOKIE 12346u      /* without runs */
#define COOKIE_RUNS 12347u /* in the low half; the high half is the number of containers - 1 */
#define OFFSETS_FROM 4u    /* containers from which on one with runs has offsets */
#define ARRAY_MAX 4096u
#define BITMAP_BYTES 8192u

typedef struct bytes {
    const uint8_t *p;
    size_t n, at;
    bool short_of; /* something lay behind the end */
} bytes;

typedef struct numbers {
    qd_arena *arena;
    qd_query_value *at;
    uint32_t n, most;
    bool no_memory, over; /* over: more than the headers say */
} numbers;

static uint32_t u16(bytes *b)
{
    if (b->n - b->at < 2) {
        b->short_of = true;
        return 0;
    }
    uint32_t v = (uint32_t)b->p[b->at] | (uint32_t)b->p[b->at + 1] << 8;
    b->at += 2;
    return v;
}

static uint32_t u32(bytes *b)
{
    uint32_t low = u16(b);
    return low | u16(b) << 16;
}

static void add(numbers *out, uint32_t v)
{
    char text[16];
    out->over |= out->n == out->most;
    if (out->over) return;
    int n = snprintf(text, sizeof text, "%u", v);
    qd_str kept = qd_arena_str(out->arena, (qd_str){text, (size_t)n});
    out->no_memory |= !kept.p;
    out->at[out->n++] = (qd_query_value){.text = kept};
}

static void read_runs(bytes *b, uint32_t high, numbers *out)
{
    uint32_t runs = u16(b);
    for (uint32_t i = 0; i < runs && !b->short_of; i++) {
        uint32_t from = u16(b), more = u16(b);
        for (uint32_t k = 0; k <= more && from + k <= 0xffffu; k++) add(out, high | (from + k));
    }
}

static void read_container(bytes *b, uint32_t high, uint32_t card, bool runs, numbers *out)
{
    if (runs) {
        read_runs(b, high, out);
    } else if (card <= ARRAY_MAX) {
        for (uint32_t i = 0; i < card && !b->short_of; i++) add(out, high | u16(b));
    } else if (b->n - b->at < BITMAP_BYTES) {
        b->short_of = true;
    } else {
        for (uint32_t i = 0; i < BITMAP_BYTES * 8; i++)
            if (b->p[b->at + i / 8] >> (i % 8) & 1) add(out, high | i);
        b->at += BITMAP_BYTES;
    }
}

static int damaged(qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "Failed to deserialize the bitmap.");
}

/* The headers: how many containers, which of them have runs, how many numbers in all. */
static int read_headers(bytes *b, uint32_t *containers, const uint8_t **runs, const uint8_t **keys,
                        uint64_t *total, qd_err *err)
{
    uint32_t cookie = u32(b);
    bool has_runs = (cookie & 0xffffu) == COOKIE_RUNS;
    if (!has_runs && cookie != COOKIE) return damaged(err);
    *containers = has_runs ? (cookie >> 16) + 1 : u32(b);
    *runs = has_runs ? b->p + b->at : NULL;
    size_t flags = has_runs ? (*containers + 7) / 8 : 0, heads = (size_t)*containers * 4;
    size_t offsets = !has_runs || *containers >= OFFSETS_FROM ? heads : 0;
    if (b->short_of || *containers > 0x10000u || b->n - b->at < flags + heads + offsets)
        return damaged(err);
    b->at += flags;
    *keys = b->p + b->at;
    *total = 0;
    for (uint32_t i = 0; i < *containers; i++) {
        (void)u16(b);
        *total += u16(b) + 1u;
    }
    b->at += offsets;
    return 0;
}

static int read_all(bytes *b, qd_arena *arena, const qd_query_value **out, uint32_t *n, qd_err *err)
{
    uint32_t containers = 0;
    uint64_t total = 0;
    const uint8_t *runs = NULL, *keys = NULL;
    int rc = read_headers(b, &containers, &runs, &keys, &total, err);
    if (rc) return rc;
    if (total > QDI_BITMAP_VALUES_MAX)
        return qd_err_set(err, QD_E_ARG, "the bitmap has [%llu] values, at most [%u] are allowed",
                          (unsigned long long)total, QDI_BITMAP_VALUES_MAX);
    numbers x = {.arena = arena, .most = (uint32_t)total};
    x.at = qd_arena_alloc(arena, (total + 1) * sizeof *x.at);
    if (!x.at) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < containers && !b->short_of; i++) {
        const uint8_t *k = keys + (size_t)i * 4;
        uint32_t high = ((uint32_t)k[0] | (uint32_t)k[1] << 8) << 16;
        uint32_t card = ((uint32_t)k[2] | (uint32_t)k[3] << 8) + 1;
        read_container(b, high, card, runs && (runs[i / 8] >> (i % 8) & 1), &x);
    }
    if (x.no_memory) return qd_err_nomem(err, "query");
    if (b->short_of || b->at != b->n || x.over || x.n != total) return damaged(err);
    *out = x.at;
    *n = x.n;
    return 0;
}

int qdi_bitmap_values(qd_str base64, qd_arena *arena, const qd_query_value **out, uint32_t *n,
                      qd_err *err)
{
    size_t len = 0;
    char *raw = qd_arena_bytes(arena, base64.n / 4 * 3 + 8);
    if (!raw) return qd_err_nomem(err, "query");
    if (qd_base64_decode(base64, raw, &len) != SIZE_MAX) return damaged(err);
    bytes b = {(const uint8_t *)raw, len, 0, false};
    return read_all(&b, arena, out, n, err);
}
