/*
 * order.c: the order of a merge's documents. It is found over their places, the numbers that they
 * would have if the sources' order were kept, and then put into the maps of the sources.
 */
#include "segment/merge/forward_int.h"

#define LENGTH_DOC_BYTES 12u /* its number, its length, its place in a map */

/* Adds the words that norms stand for to each document's. */
static void add_lengths(const qdi_source *s, const uint8_t *norms, uint32_t *lengths)
{
    for (uint32_t d = 0, docs = s->segment->docs; d < docs; d++) {
        uint32_t place = qdi_renumber(s, d), words = qd_norm_length(norms[d]);
        if (place == QDI_DOC_GONE) continue;
        lengths[place] = words > UINT32_MAX - lengths[place] ? UINT32_MAX : lengths[place] + words;
    }
}

static int sum_lengths(qdi_merge *m, uint32_t *lengths)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < m->n; i++) {
        const qdi_source *s = &m->sources[i];
        for (uint32_t f = 0; rc == 0 && f < s->segment->nfields; f++) {
            if (!s->segment->fields[f].norms) continue;
            qd_arena arena;
            qd_arena_init(&arena, m->account, 0);
            qd_reads *r = qd_reads_make(&arena, m->account);
            bool present = false;
            const uint8_t *norms = NULL;
            rc = r ? qdi_merge_norms(m, s, f, r, &present, &norms)
                   : qd_err_nomem(m->err, "order of documents");
            if (rc == 0 && present) add_lengths(s, norms, lengths);
            qd_arena_fini(&arena);
        }
    }
    return rc;
}

/* Numbers by place: a counting sort by the norm of all words, which is as fine as one field's. */
static int by_length(qdi_merge *m, uint32_t *numbers)
{
    uint32_t *lengths = qd_calloc(m->account, (size_t)m->docs * sizeof *lengths), at[257] = {0};
    if (!lengths) return qd_err_nomem(m->err, "order of documents");
    int rc = sum_lengths(m, lengths);
    for (uint32_t d = 0; rc == 0 && d < m->docs; d++) {
        lengths[d] = qd_norm_of(lengths[d]);
        at[lengths[d] + 1]++;
    }
    for (uint32_t k = 0; k < 256; k++) at[k + 1] += at[k];
    for (uint32_t d = 0; rc == 0 && d < m->docs; d++) numbers[d] = at[lengths[d]]++;
    qd_free(lengths);
    return rc;
}

/* Every source gets a map, so that nothing can fail once the first number is put into one. */
static int make_maps(qdi_merge *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        qdi_source *s = &m->sources[i];
        uint32_t docs = s->segment->docs, *map = m->maps[i];
        if (map) continue;
        map = qd_alloc(m->account, ((size_t)docs + 1) * sizeof *map);
        if (!map) return qd_err_nomem(m->err, "map of documents");
        for (uint32_t d = 0; d < docs; d++) map[d] = s->base + d;
        m->maps[i] = map;
        s->map = m->parts[i].map = map;
    }
    return 0;
}

/* From places to numbers in all maps. */
static int put_into_maps(qdi_merge *m, const uint32_t *numbers)
{
    int rc = make_maps(m);
    for (uint32_t i = 0; rc == 0 && i < m->n; i++) {
        uint32_t *map = m->maps[i];
        for (uint32_t d = 0, docs = m->sources[i].segment->docs; d < docs; d++)
            map[d] = map[d] == QDI_DOC_GONE ? QDI_DOC_GONE : numbers[map[d]];
    }
    if (rc == 0) m->permuted = true;
    return rc;
}

static int reorder(qdi_merge *m, qd_merge_order order, qd_merge_result *out)
{
    uint32_t *numbers = qd_alloc(m->account, (size_t)m->docs * sizeof *numbers);
    if (!numbers) return qd_err_nomem(m->err, "order of documents");
    int rc = order == QD_MERGE_SORT     ? qdi_merge_sort(m, numbers)
             : order == QD_MERGE_LENGTH ? by_length(m, numbers)
                                        : qdi_merge_bisect(m, numbers, &out->order_wants);
    uint32_t same = 0;
    if (rc == 0 && out->order_wants == 0) {
        while (same < m->docs && numbers[same] == same) same++;
        if (same < m->docs) rc = put_into_maps(m, numbers);
        if (rc == 0) out->order = order;
    }
    qd_free(numbers);
    return rc;
}

/* Memory that is not to be had is no reason to give the merge up: the order stays as it is, unless
 * searches rely on it. */
int qdi_merge_order(qdi_merge *m, qd_merge_result *out)
{
    qd_merge_order order = m->options->order;
    qd_err *err = m->err, own;
    out->order = QD_MERGE_KEPT;
    if (order == QD_MERGE_KEPT) return 0;
    if (order == QD_MERGE_SORT) return reorder(m, order, out);
    qd_err_init(&own);
    m->err = &own;
    int rc = reorder(m, order, out);
    m->err = err;
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER) {
        uint64_t each = order == QD_MERGE_LENGTH ? LENGTH_DOC_BYTES : QDI_BISECT_DOC_BYTES;
        if (out->order_wants == 0) out->order_wants = m->docs * each;
        rc = 0;
    } else if (rc && err) {
        qd_err_move(err, &own);
    }
    qd_err_fini(&own);
    return rc;
}
