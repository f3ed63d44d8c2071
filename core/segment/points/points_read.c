/*
 * points_read.c: opening, ranges, walks.
 */
#include "segment/points/points_writer_int.h"

static int bad_index(qd_file *f, uint64_t at, qd_err *err, const char *what)
{
    return qd_file_corrupt(f, QDI_SEC_POINT_INDEX, at, err, what);
}

static int check_heads(const qd_points *p, uint64_t at, qd_err *err)
{
    uint64_t body = 0;
    qdi_point_key before = {0, 0};
    for (uint32_t i = 0; i < p->blocks; i++, at += sizeof(qdi_points_block)) {
        qdi_points_block b;
        qdi_points_head_at(p, i, &b);
        if (b.offset != body || b.zero) return bad_index(p->file, at, err, "place of a block");
        if (!qdi_pack_width_ok(b.high_width) || !qdi_pack_width_ok(b.low_width) ||
            b.doc_width > 32 || (p->stats.type == QD_POINT_I64 && (b.high_width || b.first.hi)))
            return bad_index(p->file, at, err, "width of a block");
        if (i > 0 && qdi_point_less(b.first, before))
            return bad_index(p->file, at, err, "order of blocks");
        before = b.first;
        body += qdi_points_bytes(&b, qdi_points_block_count(p, i));
    }
    if (body != p->bytes) return bad_index(p->file, at, err, "length of the points");
    if (qdi_point_less(p->max, before)) return bad_index(p->file, at, err, "greatest point");
    return 0;
}

/* body: where the field before ends in POINTS. */
static int open_field(qd_points *p, qd_file *f, uint32_t docs, uint64_t body, const uint8_t *base,
                      const uint8_t *at, const uint8_t *end, const uint8_t **next, qd_err *err)
{
    qdi_points_head h;
    uint64_t section = 0, place = (uint64_t)(at - base);
    if ((size_t)(end - at) < sizeof h) return bad_index(f, place, err, "cut field");
    memcpy(&h, at, sizeof h);
    qd_file_section(f, QDI_SEC_POINTS, &section);
    if ((h.type != QD_POINT_I64 && h.type != QD_POINT_B16) || h.multi > 1 || h.zero)
        return bad_index(f, place, err, "type of points");
    if (h.docs == 0 || h.docs > docs || h.docs > h.points || h.multi != (h.docs != h.points))
        return bad_index(f, place, err, "documents of a field");
    if (h.blocks != (h.points + QD_POINTS_BLOCK - 1) / QD_POINTS_BLOCK || h.points > UINT32_MAX)
        return bad_index(f, place, err, "blocks of a field");
    if (h.offset != body || h.bytes > section || body > section - h.bytes)
        return bad_index(f, place, err, "place of a field");
    if (h.type == QD_POINT_I64 && h.max.hi) return bad_index(f, place, err, "greatest point");
    if (h.blocks > ((size_t)(end - at) - sizeof h) / sizeof(qdi_points_block))
        return bad_index(f, place, err, "cut field");
    *p = (qd_points){.file = f,
                     .field = h.field,
                     .segment_docs = docs,
                     .blocks = h.blocks,
                     .heads = at + sizeof h,
                     .offset = h.offset,
                     .bytes = h.bytes,
                     .max = h.max};
    qdi_points_block first;
    qdi_points_head_at(p, 0, &first);
    p->stats = (qd_points_stats){.type = h.type,
                                 .multi = h.multi,
                                 .docs = h.docs,
                                 .points = h.points,
                                 .min = qdi_point_value_of(h.type, first.first),
                                 .max = qdi_point_value_of(h.type, h.max)};
    *next = p->heads + (size_t)h.blocks * sizeof(qdi_points_block);
    return check_heads(p, place + sizeof h, err);
}

int qdi_points_open(qd_file *f, uint32_t docs, qd_account *account, qd_points_set **out,
                    qd_err *err)
{
    uint64_t bytes = 0;
    const uint8_t *p = qd_file_resident(f, QDI_SEC_POINT_INDEX, &bytes);
    const uint8_t *base = p, *end = p ? p + bytes : NULL;
    uint32_t n = 0;
    if (p) {
        if (bytes < 4) return bad_index(f, 0, err, "cut index of points");
        n = qd_get_u32le(p);
        p += 4;
        if (n > (bytes - 4) / sizeof(qdi_points_head))
            return bad_index(f, 0, err, "number of fields");
    }
    qd_points_set *set = qd_calloc(account, sizeof *set + n * sizeof(qd_points));
    if (!set) return qd_err_nomem(err, "points of a segment");
    set->magic = QDI_POINTS_MAGIC;
    uint64_t body = 0, section = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = open_field(&set->fields[i], f, docs, body, base, p, end, &p, err);
        body += set->fields[i].bytes;
        if (rc == 0 && i > 0 && set->fields[i].field <= set->fields[i - 1].field)
            rc = bad_index(f, (uint64_t)(p - base), err, "order of fields");
    }
    if (rc == 0 && p != end)
        rc = bad_index(f, (uint64_t)(p - base), err, "bytes behind the points");
    qd_file_section(f, QDI_SEC_POINTS, &section);
    if (rc == 0 && body != section) rc = bad_index(f, 0, err, "length of all points");
    if (rc) {
        qd_free(set);
        return rc;
    }
    set->n = n;
    *out = set;
    return 0;
}

void qdi_points_close(qd_points_set *set)
{
    if (!set) return;
    QD_CHECK(set, QDI_POINTS_MAGIC);
    set->magic = 0;
    qd_free(set);
}

uint32_t qdi_points_set_count(const qd_points_set *set)
{
    return set ? set->n : 0;
}

uint32_t qdi_points_set_field(const qd_points_set *set, uint32_t i)
{
    qd_assert(i < set->n);
    return set->fields[i].field;
}

const qd_points *qd_points_get(const qd_points_set *set, uint32_t field)
{
    for (uint32_t lo = 0, hi = set ? set->n : 0; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (set->fields[mid].field == field) return &set->fields[mid];
        if (set->fields[mid].field < field)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const qd_points_stats *qd_points_stats_get(const qd_points *p)
{
    return &p->stats;
}

qdi_point_key qdi_points_key_at(const qdi_points_block *b, uint32_t n, const uint8_t *p, uint32_t i)
{
    const uint8_t *low = p + qdi_pack_bytes(n, b->high_width);
    return (qdi_point_key){b->first.hi + qdi_pack_at(p, b->high_width, i),
                           b->low_base + qdi_pack_at(low, b->low_width, i)};
}

int qdi_points_block_docs(const qd_points *f, const qdi_points_block *b, uint32_t n,
                          const uint8_t *p, uint32_t first, uint32_t k, uint32_t *out, qd_err *err)
{
    const qdi_pack_kernels *kernels = qdi_pack_kernels_get();
    p += qdi_pack_bytes(n, b->high_width) + qdi_pack_bytes(n, b->low_width);
    if (k && kernels->get32(p, b->doc_width, first, k, b->doc_base, out) >= f->segment_docs)
        return qd_file_corrupt(f->file, QDI_SEC_POINTS, f->offset + b->offset, err,
                               "document of a point");
    return 0;
}

/* Blocks whose first key is < key (or <= with equal). */
static uint32_t blocks_below(const qd_points *p, qdi_point_key key, bool equal)
{
    uint32_t lo = 0, n = p->blocks;
    while (n > 0) {
        uint32_t half = n / 2;
        qdi_points_block b;
        qdi_points_head_at(p, lo + half, &b);
        if (qdi_point_less(b.first, key) || (equal && !qdi_point_less(key, b.first))) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* The blocks [from, to) that may hold points of [lo, hi]; those strictly inside hold nothing else.
 */
static void find_blocks(const qd_points *p, qdi_point_key lo, qdi_point_key hi, uint32_t *from,
                        uint32_t *to)
{
    *from = *to = 0;
    if (qdi_point_less(hi, lo) || qdi_point_less(p->max, lo)) return;
    uint32_t below = blocks_below(p, lo, false);
    *from = below ? below - 1 : 0;
    *to = blocks_below(p, hi, true);
    if (*to < *from) *to = *from;
}

/* Is a border block whole inside? */
static bool whole(const qd_points *p, uint32_t i, qdi_point_key lo, qdi_point_key hi)
{
    qdi_points_block b;
    qdi_points_head_at(p, i, &b);
    if (qdi_point_less(b.first, lo)) return false;
    if (i + 1 == p->blocks) return !qdi_point_less(hi, p->max);
    qdi_points_head_at(p, i + 1, &b);
    return !qdi_point_less(hi, b.first);
}

void qd_points_estimate(const qd_points *p, qd_point_value lo, qd_point_value hi, uint64_t *least,
                        uint64_t *most)
{
    qdi_point_key a = qdi_point_key_of(p->stats.type, lo), b = qdi_point_key_of(p->stats.type, hi);
    uint32_t from, to;
    find_blocks(p, a, b, &from, &to);
    *least = *most = 0;
    for (uint32_t i = from; i < to; i++) {
        uint32_t n = qdi_points_block_count(p, i);
        if (i > from && i + 1 < to) {
            /* All blocks inside at once. */
            uint64_t inside = (uint64_t)(to - 1 - i) * QD_POINTS_BLOCK;
            *least += inside;
            *most += inside;
            i = to - 2;
            continue;
        }
        *most += n;
        if (whole(p, i, a, b)) *least += n;
    }
}

#define READER_MAGIC 0x51447072u

struct qd_points_reader {
    uint32_t magic;
    const qd_points *p;
    const qd_reads *reads;
    qd_arena *arena;
    qdi_point_key lo, hi;
    uint32_t from, to;
    uint32_t slot, slot_last; /* of [from, to), or of both border blocks */
    bool borders_only;
    uint64_t first; /* of a slice */
    uint32_t n;
};

static int add_blocks(const qd_points *p, uint32_t from, uint32_t to, qd_reads *r, uint32_t *slot,
                      qd_err *err)
{
    qdi_points_block a, b;
    qdi_points_head_at(p, from, &a);
    qdi_points_head_at(p, to - 1, &b);
    uint64_t end = b.offset + qdi_points_bytes(&b, qdi_points_block_count(p, to - 1));
    return qd_reads_add(r, p->file, QDI_SEC_POINTS, p->offset + a.offset,
                        end - a.offset + QDI_PACK_SLACK, slot, err);
}

int qd_points_plan(const qd_points *p, qd_point_value lo, qd_point_value hi, bool borders_only,
                   qd_reads *r, qd_arena *arena, qd_points_reader **out, qd_err *err)
{
    qd_points_reader *rd = qd_arena_calloc(arena, sizeof *rd);
    if (!rd) return qd_err_nomem(err, "points reader");
    *rd = (qd_points_reader){
        .magic = READER_MAGIC, .p = p, .reads = r, .arena = arena, .borders_only = borders_only};
    rd->lo = qdi_point_key_of(p->stats.type, lo);
    rd->hi = qdi_point_key_of(p->stats.type, hi);
    find_blocks(p, rd->lo, rd->hi, &rd->from, &rd->to);
    int rc = 0;
    if (rd->from < rd->to && !borders_only) {
        rc = add_blocks(p, rd->from, rd->to, r, &rd->slot, err);
    } else if (rd->from < rd->to) {
        rc = add_blocks(p, rd->from, rd->from + 1, r, &rd->slot, err);
        if (rc == 0) rc = add_blocks(p, rd->to - 1, rd->to, r, &rd->slot_last, err);
    }
    if (rc == 0) *out = rd;
    return rc;
}

/* Where block i's body is; i is planned. */
static const uint8_t *body(const qd_points_reader *rd, uint32_t i, const qdi_points_block *b)
{
    if (rd->borders_only) return qd_reads_at(rd->reads, i == rd->from ? rd->slot : rd->slot_last);
    qdi_points_block first;
    qdi_points_head_at(rd->p, rd->from, &first);
    return qd_reads_at(rd->reads, rd->slot) + (b->offset - first.offset);
}

/* Index of the first point of a block that is not below key (above, with equal). */
static uint32_t search(const qdi_points_block *b, uint32_t n, const uint8_t *p, qdi_point_key key,
                       bool equal)
{
    uint32_t lo = 0, left = n;
    while (left > 0) {
        uint32_t half = left / 2;
        qdi_point_key k = qdi_points_key_at(b, n, p, lo + half);
        if (qdi_point_less(k, key) || (equal && !qdi_point_less(key, k))) {
            lo += half + 1;
            left -= half + 1;
        } else {
            left = half;
        }
    }
    return lo;
}

static int bad_order(const qd_points *p, const qdi_points_block *b, qd_err *err)
{
    return qd_file_corrupt(p->file, QDI_SEC_POINTS, p->offset + b->offset, err, "order of points");
}

/* May block i hold key? */
static bool fits(const qd_points *p, uint32_t i, const qdi_points_block *b, qdi_point_key key)
{
    qdi_points_block next = {.first = p->max};
    if (i + 1 < p->blocks) qdi_points_head_at(p, i + 1, &next);
    return !qdi_point_less(key, b->first) && !qdi_point_less(next.first, key);
}

/* Points [*a, *z) of block i are in the range. */
static int part_of_block(const qd_points_reader *rd, uint32_t i, const qdi_points_block *b,
                         uint32_t *a, uint32_t *z, qd_err *err)
{
    uint32_t n = qdi_points_block_count(rd->p, i);
    *a = 0;
    *z = n;
    if ((i > rd->from && i + 1 < rd->to) || whole(rd->p, i, rd->lo, rd->hi)) return 0;
    const uint8_t *p = body(rd, i, b);
    if (!fits(rd->p, i, b, qdi_points_key_at(b, n, p, 0)) ||
        !fits(rd->p, i, b, qdi_points_key_at(b, n, p, n - 1)))
        return bad_order(rd->p, b, err);
    *a = search(b, n, p, rd->lo, false);
    *z = search(b, n, p, rd->hi, true);
    return *z < *a ? bad_order(rd->p, b, err) : 0;
}

int qd_points_count(qd_points_reader *rd, uint64_t *out, qd_err *err)
{
    QD_CHECK(rd, READER_MAGIC);
    *out = rd->to - rd->from > 2 ? (uint64_t)(rd->to - rd->from - 2) * QD_POINTS_BLOCK : 0;
    for (uint32_t k = 0; k < 2 && rd->from < rd->to; k++) {
        uint32_t i = k ? rd->to - 1 : rd->from, a, z;
        if (k && i == rd->from) break;
        qdi_points_block b;
        qdi_points_head_at(rd->p, i, &b);
        int rc = part_of_block(rd, i, &b, &a, &z, err);
        if (rc) return rc;
        *out += z - a;
    }
    return 0;
}

int qd_points_bits(qd_points_reader *rd, uint64_t *bits, qd_err *err)
{
    QD_CHECK(rd, READER_MAGIC);
    qd_assert(!rd->borders_only);
    for (uint32_t i = rd->from; i < rd->to; i++) {
        uint32_t docs[QD_POINTS_BLOCK + 8], a, z;
        qdi_points_block b;
        qdi_points_head_at(rd->p, i, &b);
        int rc = part_of_block(rd, i, &b, &a, &z, err);
        if (!rc)
            rc = qdi_points_block_docs(rd->p, &b, qdi_points_block_count(rd->p, i), body(rd, i, &b),
                                       a, z - a, docs, err);
        if (rc) return rc;
        for (uint32_t k = 0; k < z - a; k++) bits[docs[k] / 64] |= (uint64_t)1 << (docs[k] & 63);
    }
    return 0;
}

/* Ascending, by bytes from the least significant one. */
static void sort_docs(uint32_t *a, uint32_t *tmp, uint32_t n)
{
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        uint32_t count[257] = {0}, *from = shift & 8 ? tmp : a, *to = shift & 8 ? a : tmp;
        for (uint32_t i = 0; i < n; i++) count[((from[i] >> shift) & 255) + 1]++;
        for (uint32_t v = 0; v < 256; v++) count[v + 1] += count[v];
        for (uint32_t i = 0; i < n; i++) to[count[(from[i] >> shift) & 255]++] = from[i];
    }
}

int qd_points_docs(qd_points_reader *rd, uint32_t *docs, uint32_t *n, qd_err *err)
{
    QD_CHECK(rd, READER_MAGIC);
    qd_assert(!rd->borders_only);
    uint32_t k = 0;
    for (uint32_t i = rd->from; i < rd->to; i++) {
        uint32_t a, z;
        qdi_points_block b;
        qdi_points_head_at(rd->p, i, &b);
        int rc = part_of_block(rd, i, &b, &a, &z, err);
        if (!rc)
            rc = qdi_points_block_docs(rd->p, &b, qdi_points_block_count(rd->p, i), body(rd, i, &b),
                                       a, z - a, docs + k, err);
        if (rc) return rc;
        k += z - a;
    }
    bool sorted = true;
    for (uint32_t i = 1; i < k; i++) sorted &= docs[i - 1] <= docs[i];
    if (!sorted) {
        uint32_t *tmp = qd_arena_alloc(rd->arena, (size_t)k * sizeof *tmp);
        if (!tmp) return qd_err_nomem(err, "documents of a range");
        sort_docs(docs, tmp, k);
    }
    uint32_t unique = 0;
    for (uint32_t i = 0; i < k; i++)
        if (unique == 0 || docs[unique - 1] != docs[i]) docs[unique++] = docs[i];
    *n = unique;
    return 0;
}

/* --- slices --- */

int qd_points_slice_plan(const qd_points *p, uint64_t first, uint32_t n, qd_reads *r,
                         qd_arena *arena, qd_points_reader **out, qd_err *err)
{
    qd_assert(n && n <= p->stats.points && first <= p->stats.points - n);
    qd_points_reader *rd = qd_arena_calloc(arena, sizeof *rd);
    if (!rd) return qd_err_nomem(err, "points reader");
    *rd = (qd_points_reader){.magic = READER_MAGIC, .p = p, .reads = r, .arena = arena};
    rd->first = first;
    rd->n = n;
    rd->from = (uint32_t)(first / QD_POINTS_BLOCK);
    rd->to = (uint32_t)((first + n - 1) / QD_POINTS_BLOCK) + 1;
    int rc = add_blocks(p, rd->from, rd->to, r, &rd->slot, err);
    if (rc == 0) *out = rd;
    return rc;
}

int qd_points_slice_docs(qd_points_reader *rd, uint32_t *docs, qd_err *err)
{
    QD_CHECK(rd, READER_MAGIC);
    uint32_t done = 0;
    while (done < rd->n) {
        uint32_t i = (uint32_t)((rd->first + done) / QD_POINTS_BLOCK);
        uint32_t a = (uint32_t)((rd->first + done) % QD_POINTS_BLOCK);
        uint32_t all = qdi_points_block_count(rd->p, i), room[QD_POINTS_BLOCK + 8];
        uint32_t m = all - a < rd->n - done ? all - a : rd->n - done;
        qdi_points_block b;
        qdi_points_head_at(rd->p, i, &b);
        int rc = qdi_points_block_docs(rd->p, &b, all, body(rd, i, &b), a, m, room, err);
        if (rc) return rc;
        memcpy(docs + done, room, m * sizeof *docs);
        done += m;
    }
    return 0;
}

int qd_points_slice_value(const qd_points_reader *rd, uint32_t at, int64_t *out, qd_err *err)
{
    QD_CHECK(rd, READER_MAGIC);
    qd_assert(at < rd->n);
    uint64_t place = rd->first + at;
    uint32_t i = (uint32_t)(place / QD_POINTS_BLOCK);
    qdi_points_block b;
    qdi_points_head_at(rd->p, i, &b);
    qdi_point_key k = qdi_points_key_at(&b, qdi_points_block_count(rd->p, i), body(rd, i, &b),
                                        (uint32_t)(place % QD_POINTS_BLOCK));
    if (!fits(rd->p, i, &b, k)) return bad_order(rd->p, &b, err);
    *out = qdi_point_value_of(QD_POINT_I64, k).i;
    return 0;
}
