/* date_format_int.h: compiled date formats, shared by their compiler, parser and printer. */
#ifndef QD_MAPPING_DATE_FORMAT_INT_H
#define QD_MAPPING_DATE_FORMAT_INT_H

#include "mapping/date_format.h"

typedef enum date_op_code {
    DATE_LITERAL, /* text */
    DATE_OPEN,    /* [ : skip = index behind the matching ] */
    DATE_CLOSE,
    DATE_YEAR,
    DATE_YEAR2, /* yy: 2000 to 2099 */
    DATE_MONTH,
    DATE_MONTH_SHORT,
    DATE_MONTH_LONG,
    DATE_DAY,
    DATE_DAY_OF_YEAR,
    DATE_WEEK_YEAR,
    DATE_WEEK,
    DATE_WEEKDAY,
    DATE_WEEKDAY_SHORT,
    DATE_WEEKDAY_LONG,
    DATE_QUARTER,
    DATE_HOUR,      /* H: 0 to 23 */
    DATE_HOUR_1_24, /* k */
    DATE_HOUR_1_12, /* h */
    DATE_HOUR_0_11, /* K */
    DATE_AM_PM,
    DATE_MINUTE,
    DATE_SECOND,
    DATE_FRACTION,
    DATE_MILLI_OF_DAY,
    DATE_OFFSET, /* zone as offset; text tells how it is printed: X, x or Z with count min */
    DATE_ZONE_ID,
} date_op_code;

typedef struct date_op {
    uint8_t code;
    uint8_t min, max; /* digits read */
    uint8_t pad;      /* digits written */
    uint8_t reserve;  /* digits that the fixed-width numbers right behind need */
    char letter;      /* DATE_OFFSET */
    uint16_t skip;
    qd_str text;
} date_op;

typedef enum date_kind {
    DATE_ISO,         /* strict_date_optional_time */
    DATE_ISO_NANOS,   /* strict_date_optional_time_nanos: the same, printed finer */
    DATE_ISO_LENIENT, /* date_optional_time */
    DATE_EPOCH_MILLIS,
    DATE_EPOCH_SECOND,
    DATE_PATTERN,
} date_kind;

typedef struct date_alternative {
    date_kind kind;
    const date_op *ops;
    uint32_t nops;
} date_alternative;

struct qd_date_format {
    qd_str pattern;
    const date_alternative *alternatives;
    uint32_t n;
};

/* What a text gave; -1 or a clear bit where it said nothing. */
typedef struct date_fields {
    int64_t year, week_year;
    int32_t month, day, day_of_year, week, weekday, quarter;
    int32_t hour, half_hour, pm, minute, second, nano;
    int64_t milli_of_day;
    bool has_year, has_week_year, has_offset;
    int32_t offset; /* seconds */
    qd_str zone_id; /* region by name */
} date_fields;

extern const char *const qdi_months[12], *const qdi_weekdays[7];
/* First day (since 1970) of the ISO week-based year. */
int64_t qdi_week_year_start(int64_t year);
/* Nothing said yet. */
void qdi_date_fields_init(date_fields *f);
/* Fields to an instant, *rest its nanoseconds behind ms; false when they are no date (30 February,
 * 24:00 …). */
bool qdi_date_resolve(const date_fields *f, const qd_zone *zone, bool round_up, int64_t *ms,
                      int32_t *rest);

#endif
