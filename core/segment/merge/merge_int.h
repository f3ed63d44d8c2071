/*
 * merge_int.h: the state of one merge, shared by its files.
 */
#ifndef QD_SEGMENT_MERGE_INT_H
#define QD_SEGMENT_MERGE_INT_H

#include "segment/merge.h"
#include "segment/merge/source_int.h"
#include "segment/merge_in_int.h"
#include "segment/nested/nested_int.h"
#include "segment/parts/parts_int.h"
#include "segment/postings/inverted_int.h"

/* A term's postings before they are in order. */
typedef struct qdi_permuted {
    QD_VEC(uint64_t) keys;      /* new document, place in freqs and starts */
    QD_VEC(uint64_t) spare;     /* for sorting */
    QD_VEC(uint32_t) freqs;     /* as they came */
    QD_VEC(uint32_t) starts;    /* of each one's positions */
    QD_VEC(uint32_t) values[3]; /* positions, starts of offsets, their lengths */
} qdi_permuted;

typedef struct qdi_merge {
    struct qdi_merge *whole;   /* of the segment; this one may be of a table of nested documents */
    qdi_nested_tables *tables; /* of the whole */
    const qd_merge_options *options;
    qd_account *account;
    qd_err *err;
    qd_arena arena; /* maps of fields, schema */
    qd_store *store;
    qd_str name;
    qd_file_writer *file;
    qdi_source *sources;   /* n */
    qdi_merge_part *parts; /* the same as the other parts see them */
    qd_segment **segments; /* and as index parts do */
    uint32_t **maps;       /* by source; NULL without deletions, unless permuted */
    uint32_t n, docs;
    bool deletions, permuted; /* permuted: all have maps, which need not ascend */
    qd_field_info *fields;    /* merged schema */
    qdi_field_terms *terms;
    uint32_t nfields;
    qdi_inverted inverted;
    uint8_t *norms;    /* of one field, by new document */
    uint64_t *seen;    /* documents of a field without norms, when some are deleted */
    qdi_source **heap; /* by their present terms; n */
    uint32_t nheap;
    qdi_permuted term;            /* the present one, when permuted */
    uint64_t written, section_at; /* for step */
} qdi_merge;

/* Room for m->n sources. */
QD_MUST_CHECK
int qdi_merge_make(qdi_merge *m);
/* Writes the data sections of m once sources, maps and schema are there; r gets what is resident.
 */
QD_MUST_CHECK
int qdi_merge_data(qdi_merge *m, const qd_segment_attrs *attrs, qdi_residents *r);
/* Frees what m holds. */
void qdi_merge_finish(qdi_merge *m);
/* merge_nested.c: has a document that stays nested ones? (May say so of none.) */
bool qdi_merge_any_nested(const qdi_merge *m);
/* Merges the tables right below m and those below them; their records go to r. After the data. */
QD_MUST_CHECK
int qdi_merge_nested(qdi_merge *m, const qd_segment_attrs *attrs, qdi_residents *r);
/* Merges the schemas; maps of fields go to parts[i].fields. QD_E_STATE when a field cannot be both.
 */
QD_MUST_CHECK
int qdi_merge_schema(qdi_merge *m);
/* Merges terms, postings and norms of all fields. */
QD_MUST_CHECK
int qdi_merge_inverted(qdi_merge *m);
/* Finds the order that the options ask for and puts it into the maps; what came of it goes to out.
 * After the schema. */
QD_MUST_CHECK
int qdi_merge_order(qdi_merge *m, qd_merge_result *out);

/* sort.c: numbers by place so that the documents come in the order of options->sort. QD_E_NOMEM,
 * QD_E_CORRUPT, or what step gave. */
QD_MUST_CHECK
int qdi_merge_sort(qdi_merge *m, uint32_t *numbers);

/* Puts the sources that have the field at its first term into the heap. */
QD_MUST_CHECK
int qdi_merge_terms_begin(qdi_merge *m, uint32_t field);
/* Moves the first source of the heap to its next term, or out. */
QD_MUST_CHECK
int qdi_merge_terms_next(qdi_merge *m);
/* Reads one norm a document of a source's field (of the segment); *present false: it has none.
 * *norms is good until the reads go. */
QD_MUST_CHECK
int qdi_merge_norms(qdi_merge *m, const qdi_source *s, uint32_t field, qd_reads *r, bool *present,
                    const uint8_t **norms);
/* The postings of the present term of n sources, at most `most` in all, in the order of the new
 * numbers. */
QD_MUST_CHECK
int qdi_merge_permuted(qdi_merge *m, qdi_source *const *sources, uint32_t n, uint64_t most);
/* Frees what that keeps. */
void qdi_permuted_fini(qdi_permuted *t);
/* Gives postings to the writer. */
QD_MUST_CHECK
int qdi_merge_postings(qdi_merge *m, const uint32_t *docs, const uint32_t *freqs, uint32_t n);

/* New number of a source's document, or QDI_DOC_GONE. */
static inline uint32_t qdi_renumber(const qdi_source *s, uint32_t doc)
{
    return s->map ? s->map[doc] : s->base + doc;
}

#endif
