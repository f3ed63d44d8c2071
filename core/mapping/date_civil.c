/* date_civil.c: days and dates of the proleptic Gregorian calendar (H. Hinnant's algorithms). */
#include "mapping/date_format.h"

#define DAY_MS 86400000

int64_t qd_days_from_civil(int64_t year, int32_t month, int32_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

void qd_civil_from_ms(int64_t ms, qd_civil *out)
{
    int64_t days = ms / DAY_MS, rest = ms % DAY_MS;
    if (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    out->day = (int32_t)(doy - (153 * mp + 2) / 5 + 1);
    out->month = (int32_t)(mp < 10 ? mp + 3 : mp - 9);
    out->year = yoe + era * 400 + (out->month <= 2);
    out->hour = (int32_t)(rest / 3600000);
    out->minute = (int32_t)(rest / 60000 % 60);
    out->second = (int32_t)(rest / 1000 % 60);
    out->milli = (int32_t)(rest % 1000);
}

int64_t qd_civil_to_ms(const qd_civil *c)
{
    int64_t m = (int64_t)c->month - 1, year = c->year + (m >= 0 ? m / 12 : -((11 - m) / 12));
    int32_t month = (int32_t)(m - (year - c->year) * 12) + 1;
    int64_t days = qd_days_from_civil(year, month, 1) + c->day - 1;
    return days * DAY_MS + c->hour * (int64_t)3600000 + c->minute * (int64_t)60000 +
           c->second * (int64_t)1000 + c->milli;
}
