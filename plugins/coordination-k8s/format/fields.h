/*
 * fields.h: fields of JSON objects, read with a sentence for each thing that is wrong, and written.
 * For the other files of this folder. 64-bit numbers are texts in JSON: others' readers round them.
 */
#ifndef COORDINATION_K8S_FORMAT_FIELDS_H
#define COORDINATION_K8S_FORMAT_FIELDS_H

#include "blob.h"

/* Writes a sentence; returns rc. */
int32_t ck_wrong(char *why, int32_t rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An object being read: once a field is wrong, rc is set and the rest is left alone. */
typedef struct ck_fields {
    const json_t *object;
    const char *path; /* of it, for sentences: "spec" */
    char *why;
    int32_t rc;
} ck_fields;

/* The object below a name; NULL: wrong. */
const json_t *ck_field_object(ck_fields *f, const char *name);
/* Its text of at most `max` bytes, without a 0 inside; an absent one is wrong unless `optional`,
 * then it is empty. Borrow. */
qd_str ck_field_text(ck_fields *f, const char *name, size_t max, int optional);
/* Copies a text with a 0 into room bytes. */
void ck_field_copy(ck_fields *f, const char *name, char *out, size_t room, int optional);
/* A small number, 0 .. max; an absent one is `absent` if that is not negative. */
uint32_t ck_field_small(ck_fields *f, const char *name, uint32_t max, int64_t absent);
/* A number written as decimal text without zeros in front. */
uint64_t ck_field_number(ck_fields *f, const char *name);
/* n bytes as small hex digits. */
void ck_field_hex(ck_fields *f, const char *name, uint8_t *out, size_t n);
/* Bytes as base64, at most `max`, appended. */
void ck_field_bytes(ck_fields *f, const char *name, size_t max, cr_bytes *out);
/* The format of a spec: refuses one that is newer. Its minor version. */
uint32_t ck_field_format(ck_fields *f);

/* Sets a field; takes value, NULL: there was no memory. Returns 1 when it is set. */
int ck_set(json_t *object, const char *name, json_t *value);
int ck_set_text(json_t *object, const char *name, qd_str s);
int ck_set_number(json_t *object, const char *name, uint64_t v);
int ck_set_hex(json_t *object, const char *name, const uint8_t *p, size_t n);
/* Bytes as base64; memory for the text is of the heap. */
int ck_set_bytes(json_t *object, const char *name, const cr_heap *heap, const uint8_t *p, size_t n);
/* An object of our kind: apiVersion, kind, metadata with name, namespace and labels, to which kept
 * ones of `labels` (NULL) are added; spec is taken. NULL: no memory. */
json_t *ck_object(const ck_site *site, const char *name, const char *part, const json_t *labels,
                  json_t *spec);
/* Checks apiVersion and kind; the spec, NULL when wrong. */
const json_t *ck_object_spec(const json_t *object, char *why, int32_t *rc);
/* uid and resourceVersion of an object, "" when it has none: 64 bytes each. */
int32_t ck_object_version(const json_t *object, char uid[64], char version[64], char *why);

/* Packs bytes into one frame, appended. 0: there was no memory, nothing is. */
int ck_pack(const uint8_t *p, size_t n, cr_bytes *out);
/* Unpacks one frame that gives exactly `want` bytes, appended. QD_E_CORRUPT: nothing is. */
int32_t ck_unpack(const uint8_t *p, size_t n, size_t want, cr_bytes *out);
/* The length that a frame says it has; UINT64_MAX: it is none. */
uint64_t ck_unpacked(const uint8_t *p, size_t n);
/* n more bytes at the end, to be written by the caller. */
uint8_t *ck_grow(cr_bytes *b, size_t n);

#endif
