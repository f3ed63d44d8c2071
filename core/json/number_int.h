/* number_int.h: the table of powers shared by reading and printing. */
#ifndef QD_JSON_NUMBER_INT_H
#define QD_JSON_NUMBER_INT_H

#include "json/number.h"

#define POW10_MIN (-348)
#define POW10_MAX 347

/* [e - POW10_MIN]: high and low word of the first 128 bits of 10^e, rounded down, top bit set. */
extern const uint64_t qdi_json_pow10[POW10_MAX - POW10_MIN + 1][2];

/* The formats a decimal may be rounded to. */
typedef struct float_format {
    int bits;             /* of the significand, the hidden one included */
    int exp_min, exp_max; /* of normal numbers, 1.x * 2^exp */
} float_format;

#define FORMAT_F64 ((float_format){53, -1022, 1023})
#define FORMAT_F32 ((float_format){24, -126, 127})

#endif
