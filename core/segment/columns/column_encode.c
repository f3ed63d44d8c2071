/*
 * column_encode.c: the smallest of constant, packed (frame of reference with a common divisor),
 * table and line for one block. Constant is packed with width 0; a delta-coded run of even steps is
 * a line with width 0. All of them read any value in O(1), which delta chains do not.
 */
#include "segment/columns/column_writer_int.h"

/* Greatest common divisor of all values minus min; 0 when all are equal. Ends early at 1, which on
 * ordinary values comes after two or three. */
static uint64_t common_divisor(const int64_t *v, uint32_t n, int64_t min)
{
    uint64_t g = 0;
    for (uint32_t i = 0; i < n && g != 1; i++) {
        uint64_t d = (uint64_t)v[i] - (uint64_t)min;
        if (g != 0 && d % g == 0) continue;
        while (d) {
            uint64_t r = g % d;
            g = d;
            d = r;
        }
    }
    return g;
}

/* The distinct values in order of first sight through a small open table; 0 when over the limit. */
static uint32_t distinct(const int64_t *v, uint32_t n, int64_t table[QDI_COLUMN_TABLE_MAX])
{
    uint16_t slots[1024];
    uint32_t k = 0;
    memset(slots, 0, sizeof slots);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)(((uint64_t)v[i] * 0x9e3779b97f4a7c15u) >> 54);
        while (slots[at] && table[slots[at] - 1] != v[i]) at = (at + 1) & 1023;
        if (slots[at]) continue;
        if (k == QDI_COLUMN_TABLE_MAX) return 0;
        table[k++] = v[i];
        slots[at] = (uint16_t)k;
    }
    return k;
}

/* Place of a value in an ascending table. */
static uint32_t table_find(const int64_t *table, uint32_t k, int64_t v)
{
    uint32_t lo = 0;
    while (k > 1) {
        uint32_t half = k / 2;
        if (table[lo + half] <= v) lo += half;
        k -= half;
    }
    return lo;
}

/* A straight line from the first to the last value: width of what is left, 255 when unfit. */
static uint32_t line_width(const int64_t *v, uint32_t n, uint64_t *slope, int64_t *base)
{
    uint64_t up = (uint64_t)v[n - 1] - (uint64_t)v[0];
    int64_t rise = (int64_t)up;
    if (n < 8 || (rise > 0) != (v[n - 1] > v[0]) || rise > (1ll << 40) || rise < -(1ll << 40))
        return 255;
    uint64_t s = (uint64_t)((rise * (1 << QDI_LINE_SHIFT)) / (int64_t)(n - 1));
    int64_t least = INT64_MAX, greatest = INT64_MIN;
    for (uint32_t i = 0; i < n; i++) {
        int64_t r = (int64_t)((uint64_t)v[i] - ((QDI_LINE_BIAS + s * i) >> QDI_LINE_SHIFT));
        if (r < least) least = r;
        if (r > greatest) greatest = r;
    }
    *slope = s;
    *base = least;
    return qdi_pack_width((uint64_t)greatest - (uint64_t)least);
}

static void encode_line(const int64_t *v, uint32_t n, qdi_block_head *h, uint64_t *packed)
{
    for (uint32_t i = 0; i < n; i++)
        packed[i] =
            (uint64_t)v[i] - ((QDI_LINE_BIAS + h->mult * i) >> QDI_LINE_SHIFT) - (uint64_t)h->base;
}

/* The table is filled up to a power of two, so that every packed index finds an entry. */
static void encode_table(const int64_t *v, uint32_t n, uint32_t k, qdi_block_head *h,
                         uint64_t *packed, int64_t *table)
{
    h->encoding = QDI_ENC_TABLE;
    h->mult = 1;
    h->base = 0;
    for (uint32_t i = 0; i < n; i++) packed[i] = table_find(table, k, v[i]);
    for (uint32_t i = k; i < 1u << h->width; i++) table[i] = table[k - 1];
}

void qdi_column_encode(const int64_t *v, uint32_t n, bool plain, qdi_block_head *h,
                       uint64_t *packed, int64_t table[QDI_COLUMN_TABLE_MAX])
{
    int64_t min = v[0], max = v[0];
    for (uint32_t i = 1; i < n; i++) {
        if (v[i] < min) min = v[i];
        if (v[i] > max) max = v[i];
    }
    uint64_t spread = (uint64_t)max - (uint64_t)min;
    uint64_t g = plain || !spread ? 1 : common_divisor(v, n, min);
    h->min = min;
    h->max = max;
    h->encoding = QDI_ENC_PACKED;
    h->width = (uint8_t)qdi_pack_width(spread / g);
    h->mult = g;
    h->base = min;

    if (!plain && h->width > 1) {
        /* Packed decodes fastest: the others must save a tenth. */
        uint64_t cost = qdi_pack_bytes(n, h->width) * 9 / 10, slope = 0;
        int64_t base = 0;
        uint32_t lw = line_width(v, n, &slope, &base);
        bool line = lw < 255 && qdi_pack_bytes(n, lw) < cost;
        if (line) cost = qdi_pack_bytes(n, lw);
        uint32_t k = cost > 64 ? distinct(v, n, table) : 0;
        uint32_t tw = k > 1 ? qd_bits_of(k - 1) : 0;
        if (k > 1 && ((uint64_t)8 << tw) + qdi_pack_bytes(n, tw) < cost) {
            qdi_sort_i64(table, k);
            h->width = (uint8_t)tw;
            encode_table(v, n, k, h, packed, table);
            return;
        }
        if (line) {
            h->encoding = QDI_ENC_LINE;
            h->width = (uint8_t)lw;
            h->mult = slope;
            h->base = base;
            encode_line(v, n, h, packed);
            return;
        }
    }
    for (uint32_t i = 0; i < n; i++) packed[i] = (uint64_t)v[i] - (uint64_t)min;
    if (g > 1)
        for (uint32_t i = 0; i < n; i++) packed[i] /= g;
}

static void sift(int64_t *v, uint32_t root, uint32_t n)
{
    int64_t x = v[root];
    for (uint64_t child; (child = 2 * (uint64_t)root + 1) < n; root = (uint32_t)child) {
        if (child + 1 < n && v[child + 1] > v[child]) child++;
        if (v[child] <= x) break;
        v[root] = v[child];
    }
    v[root] = x;
}

void qdi_sort_i64(int64_t *v, uint32_t n)
{
    if (n > 24) {
        for (uint32_t i = n / 2; i-- > 0;) sift(v, i, n);
        for (uint32_t i = n - 1; i > 0; i--) {
            int64_t x = v[0];
            v[0] = v[i];
            v[i] = x;
            sift(v, 0, i);
        }
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        int64_t x = v[i];
        uint32_t j = i;
        for (; j > 0 && v[j - 1] > x; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

uint32_t qdi_sort_unique_i64(int64_t *v, uint32_t n)
{
    uint32_t k = 0;
    qdi_sort_i64(v, n);
    for (uint32_t i = 0; i < n; i++)
        if (k == 0 || v[k - 1] != v[i]) v[k++] = v[i];
    return k;
}
