/* root_int.h: parts of a root: entries as they stand in the tail, speakers; of root.c, entry.c and
 * speakers.c. */
#ifndef COORDINATION_K8S_FORMAT_ROOT_INT_H
#define COORDINATION_K8S_FORMAT_ROOT_INT_H

#include "fields.h"
#include "root.h"

/* NULL: no memory. */
json_t *ck_entry_write(const ck_entry *e);
/* Bytes of that as text with a comma; never too few. */
size_t ck_entry_size(const ck_entry *e);
/* before: what stood there the last time, or NULL; the same again is shared. QD_E_CORRUPT. */
int32_t ck_entry_read(const cr_heap *heap, const json_t *o, uint64_t index, uint64_t id,
                      ck_entry *before, ck_entry **out, char *why);

/* Into the spec, when there are any. 1, or 0: no memory. */
int ck_speakers_write(json_t *spec, const ck_root *r);
void ck_speakers_read(ck_fields *f, ck_root *r);

#endif
