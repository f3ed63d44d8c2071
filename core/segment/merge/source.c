/* source.c: see source_int.h. */
#include "segment/merge/source_int.h"

#define WINDOW_BYTES (1u << 20)

int qdi_window_open(qdi_window *w, qd_segment *s, uint32_t section, qd_account *a, qd_err *err)
{
    *w = (qdi_window){.segment = s, .section = section};
    qd_arena_init(&w->arena, a, 0);
    if (!qd_file_section(s->file, section, &w->bytes)) w->bytes = 0;
    w->reads = qd_reads_make(&w->arena, a);
    return w->reads ? 0 : qd_err_nomem(err, "window of a merge");
}

int qdi_window_get(qdi_window *w, uint64_t at, uint64_t n, uint64_t slack, const uint8_t **p,
                   qd_err *err)
{
    if (QD_UNLIKELY(at > w->bytes || n > w->bytes - at))
        return qdi_corrupt(w->segment, w->section, at, "data of a term lie outside the section",
                           err);
    if (QD_LIKELY(w->p && at >= w->from && at + n + slack <= w->from + w->len)) {
        *p = w->p + (at - w->from);
        return 0;
    }
    qd_reads_release(w->reads);
    w->p = NULL;
    w->from = at & ~(uint64_t)63; /* what is aligned in the file is so in a copy */
    uint64_t want = at - w->from + n + slack, most = w->bytes + QD_FILE_SLACK - w->from;
    if (want < WINDOW_BYTES) want = WINDOW_BYTES;
    w->len = want < most ? want : most;
    uint32_t slot;
    int rc = qd_reads_add(w->reads, w->segment->file, w->section, w->from, w->len, &slot, err);
    if (rc == 0) rc = qd_reads_fetch(w->reads, err);
    if (rc) return rc;
    w->p = qd_reads_at(w->reads, slot);
    *p = w->p + (at - w->from);
    return 0;
}

void qdi_window_close(qdi_window *w)
{
    qd_arena_fini(&w->arena);
}

int qdi_source_open(qdi_source *s, qd_segment *segment, qd_account *a, qd_err *err)
{
    s->segment = segment;
    s->account = a;
    qd_buf_init(&s->text, a, QD_TERM_BYTES_MAX + 16);
    qdi_window *all[] = {&s->terms, &s->postings, &s->positions, &s->offsets};
    static const uint32_t sections[] = {QDI_SEC_TERMS, QDI_SEC_POSTINGS, QDI_SEC_POSITIONS,
                                        QDI_SEC_OFFSETS};
    int rc = 0;
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) { /* all, so that close finds them begun */
        int r = qdi_window_open(all[i], segment, sections[i], a, err);
        if (rc == 0) rc = r;
    }
    return rc;
}

void qdi_source_close(qdi_source *s)
{
    qdi_window *all[] = {&s->terms, &s->postings, &s->positions, &s->offsets};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) qdi_window_close(all[i]);
    qd_buf_fini(&s->text);
}

void qdi_source_field(qdi_source *s, uint32_t field)
{
    s->field = field == QD_FIELD_NONE ? NULL : &s->segment->terms[field];
    s->field_number = field;
    s->next_block = 0;
    s->blocks = s->field ? qdi_term_blocks(s->field->terms) : 0;
    s->in_block = false;
    qd_buf_reset(&s->text);
}

static int next_block(qdi_source *s, qd_err *err)
{
    uint64_t at, len;
    const uint8_t *p;
    qdi_block_place(s->field, s->segment->term_index, s->next_block++, &at, &len);
    int rc = qdi_window_get(&s->terms, at, len, 0, &p, err);
    if (rc == 0) rc = qdi_block_open(&s->block, s->segment, s->field_number, at, p, len, err);
    s->in_block = rc == 0;
    qd_buf_reset(&s->text);
    return rc;
}

int qdi_source_next(qdi_source *s, qd_err *err)
{
    while (!s->in_block || s->block.text == s->block.text_end) {
        if (s->next_block >= s->blocks) return 0;
        int rc = next_block(s, err);
        if (rc) return rc;
    }
    uint32_t shared;
    qd_str rest;
    int rc = qdi_block_text(&s->block, &shared, &rest, err);
    if (rc == 0 && shared > s->text.n)
        rc = qdi_corrupt(s->segment, QDI_SEC_TERMS, s->block.at, "text of a term", err);
    if (rc) return rc;
    s->text.n = shared;
    if (qd_buf_str(&s->text, rest)) return qd_err_nomem(err, "term of a merge");
    uint8_t head[8] = {0};
    memcpy(head, s->text.p, s->text.n < 8 ? s->text.n : 8);
    s->head = __builtin_bswap64(qd_get_u64le(head));
    rc = qdi_block_stats(&s->block, &s->term, err);
    return rc ? rc : 1;
}

int qdi_source_postings(qdi_source *s, qd_index_options want, qd_err *err)
{
    const uint8_t *at[3] = {NULL, NULL, NULL};
    const qd_term *t = &s->term;
    int rc = 0;
    if (t->postings_len)
        rc =
            qdi_window_get(&s->postings, t->postings, t->postings_len, QD_CODEC_SLACK, &at[0], err);
    if (rc == 0 && want >= QD_INDEX_POSITIONS && t->positions_len)
        rc = qdi_window_get(&s->positions, t->positions, t->positions_len, QD_CODEC_SLACK, &at[1],
                            err);
    if (rc == 0 && want >= QD_INDEX_OFFSETS && t->offsets_len)
        rc = qdi_window_get(&s->offsets, t->offsets, t->offsets_len, QD_CODEC_SLACK, &at[2], err);
    if (rc) return rc;
    s->view.segment = s->segment;
    s->view.term = *t;
    s->view.want = want;
    return qdi_postings_open_at(&s->view, at, err);
}

bool qdi_source_less(const qdi_source *a, const qdi_source *b)
{
    if (a->head != b->head) return a->head < b->head;
    int c = 0; /* heads of short words are all of them */
    if (a->text.n <= 8 && b->text.n <= 8)
        c = (a->text.n > b->text.n) - (a->text.n < b->text.n);
    else
        c = qd_str_cmp(qd_buf_view(&a->text), qd_buf_view(&b->text));
    return c ? c < 0 : a->number < b->number;
}

bool qdi_source_same(const qdi_source *a, const qdi_source *b)
{
    if (a->head != b->head || a->text.n != b->text.n) return false;
    return a->text.n <= 8 || qd_str_eq(qd_buf_view(&a->text), qd_buf_view(&b->text));
}
