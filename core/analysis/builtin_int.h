/* builtin_int.h: the table of built-in part types, and the makers it names. */
#ifndef QD_ANALYSIS_BUILTIN_INT_H
#define QD_ANALYSIS_BUILTIN_INT_H

#include "analysis/analysis_int.h"

typedef int qd_part_make(const qd_part_conf *c, qd_part **out, qd_err *err);

/* The makers of builtin.def. */
#define QD_PART(name, stage, bare, flags, make, level) qd_part_make qd_make_##make;
#include "analysis/builtin.def"
#undef QD_PART
/* Parts of analyzers that have no type of their own. */
qd_part_make qd_make_possessive, qd_make_zwnj;

/* The filter of that name in the settings that c belongs to, or the pre-configured one: one
 * reference. QD_E_ARG when there is none. */
QD_MUST_CHECK
int qd_part_named(const qd_part_conf *c, qd_str name, qd_part **out, qd_err *err);
/* The i-th type, NULL behind the last. */
const qd_part_type *qd_part_type_at(size_t i);
/* The type of that kind and name, or NULL. */
const qd_part_type *qd_part_type_find(qd_stage_kind kind, qd_str name);
/* Is p the standard tokenizer? Then *max_units (may be NULL) is its longest token. */
bool qd_part_is_standard(const qd_part *p, uint32_t *max_units);
/* Is p the lowercase filter of all languages but Greek, Irish and Turkish? */
bool qd_part_is_lowercase(const qd_part *p);
/* The built-in stop words of that name ("_english_"): words parted by newlines, or NULL. */
const char *qd_stop_words(qd_str name);
/* The same of the lists that came with Lucene 9. */
const char *qd_stop_words_9(qd_str name);

#endif
