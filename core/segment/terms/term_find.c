/* term_find.c: exact look-ups. See terms.h. */
#include "segment/terms/term_block_int.h"

int qd_term_plan(qd_segment *s, uint32_t field, qd_str text, qd_reads *r, qd_term_lookup *l,
                 qd_err *err)
{
    *l = (qd_term_lookup){.segment = s, .text = text, .field = field};
    if (field >= s->nfields) return 0;
    const qdi_field_terms *t = &s->terms[field];
    if (t->terms == 0 || qd_str_cmp(text, t->min) < 0 || qd_str_cmp(text, t->max) > 0) return 0;
    uint64_t len;
    qdi_block_place(t, s->term_index, qdi_block_find(t, s->term_index, text), &l->block, &len);
    l->possible = true;
    return qd_reads_add(r, s->file, QDI_SEC_TERMS, l->block, len, &l->slot, err);
}

/*
 * Scans the texts without putting terms together: `same` is the number of bytes that the key shares
 * with the entry before, which is below the key. An entry that shares more with its predecessor
 * than the key does is below the key as well; one that shares less is above it.
 */
static int scan(qdi_block *b, qd_str key, uint32_t *number, qd_err *err)
{
    size_t same = 0;
    for (uint32_t i = 0; b->text < b->text_end; i++) {
        uint32_t shared;
        qd_str rest;
        int rc = qdi_block_text(b, &shared, &rest, err);
        if (rc) return rc;
        if (shared > same) continue;
        if (shared < same) return QD_E_NOTFOUND;
        size_t n = rest.n < key.n - same ? rest.n : key.n - same, k = 0;
        while (k < n && rest.p[k] == key.p[same + k]) k++;
        if (k == rest.n && same + k == key.n) {
            *number = i;
            return 0;
        }
        if (k < rest.n && (same + k == key.n || (uint8_t)rest.p[k] > (uint8_t)key.p[same + k]))
            return QD_E_NOTFOUND;
        same += k;
    }
    return QD_E_NOTFOUND;
}

int qd_term_find(const qd_term_lookup *l, const qd_reads *r, qd_term *out, qd_err *err)
{
    if (!l->possible) return QD_E_NOTFOUND;
    qdi_block b;
    int rc = qdi_block_open(&b, l->segment, l->field, l->block, qd_reads_at(r, l->slot),
                            qd_reads_len(r, l->slot), err);
    uint32_t number = 0;
    if (rc == 0) rc = scan(&b, l->text, &number, err);
    for (uint32_t i = 0; rc == 0 && i <= number; i++) rc = qdi_block_stats(&b, out, err);
    return rc;
}

int qd_term_get(qd_segment *s, uint32_t field, qd_str text, qd_term *out, qd_err *err)
{
    qd_arena arena;
    qd_arena_init(&arena, s->account, 0);
    qd_reads *r = qd_reads_make(&arena, s->account);
    qd_term_lookup l;
    int rc = r ? qd_term_plan(s, field, text, r, &l, err) : qd_err_nomem(err, "look-up of a term");
    if (rc == 0 && l.possible) rc = qd_reads_fetch(r, err);
    if (rc == 0) rc = qd_term_find(&l, r, out, err);
    qd_arena_fini(&arena);
    return rc;
}
