/* vectors.h: what the field type and the operator of this plugin share. */
#ifndef EXAMPLE_VECTORS_H
#define EXAMPLE_VECTORS_H

#include <quidditch/operator.h>
#include <quidditch/plugin.h>

#define TYPE "example_vector"
#define DIMS_MAX 2048

enum { SIMILARITY_L2, SIMILARITY_COSINE, SIMILARITY_DOT };

/* The bytes of a part: this head, the documents' numbers (ascending), their vectors as floats. */
typedef struct part_head {
    uint32_t dims, similarity, count, reserved;
} part_head;

struct qd_part_reader {
    const qd_part_bytes *bytes;
    part_head head;
    uint32_t *docs; /* count */
};

static inline uint64_t vectors_at(uint32_t count)
{
    return sizeof(part_head) + (uint64_t)count * 4;
}

extern const qd_svc_mem *mem;
extern const qd_svc_json *json;
extern const qd_svc_err *errors;
extern const qd_operator_vtable nearest;

/* The array of numbers that the reader stands before. On success *n are there. */
int32_t vector_parse(qd_json_in *in, float out[DIMS_MAX], uint32_t *n, qd_err *err);

#endif
