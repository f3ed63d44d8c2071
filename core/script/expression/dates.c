/* dates.c: parts of dates that expressions may ask for. */
#include "mapping/date_format.h"
#include "script/expression/formula_int.h"

enum {
    YEAR,
    MONTH,
    DAY_OF_MONTH,
    HOUR,
    MINUTE,
    SECOND,
    DAY_OF_WEEK,
    DAY_OF_YEAR,
    ERA,
    CENTURY,
    MS_OF_DAY,
    MS_OF_SECOND,
    MINUTE_OF_DAY,
    SECOND_OF_DAY,
    WEEK,
    WEEK_YEAR,
    YEAR_OF_CENTURY,
    MONTH_0
};

int qdx_date_unit(qd_str name, bool method)
{
    static const struct {
        const char *name;
        int unit;
    } methods[] = {{"getYear", YEAR},      {"getMonth", MONTH_0},  {"getDayOfMonth", DAY_OF_MONTH},
                   {"getHourOfDay", HOUR}, {"getMinutes", MINUTE}, {"getSeconds", SECOND}},
      members[] = {{"year", YEAR},
                   {"yearOfEra", YEAR},
                   {"monthOfYear", MONTH},
                   {"dayOfMonth", DAY_OF_MONTH},
                   {"hourOfDay", HOUR},
                   {"minuteOfHour", MINUTE},
                   {"secondOfMinute", SECOND},
                   {"dayOfWeek", DAY_OF_WEEK},
                   {"dayOfYear", DAY_OF_YEAR},
                   {"era", ERA},
                   {"centuryOfEra", CENTURY},
                   {"millisOfDay", MS_OF_DAY},
                   {"millisOfSecond", MS_OF_SECOND},
                   {"minuteOfDay", MINUTE_OF_DAY},
                   {"secondOfDay", SECOND_OF_DAY},
                   {"weekOfWeekyear", WEEK},
                   {"weekyear", WEEK_YEAR},
                   {"yearOfCentury", YEAR_OF_CENTURY}};
    if (method) {
        for (size_t i = 0; i < QD_COUNT_OF(methods); i++)
            if (qd_str_is(name, methods[i].name)) return methods[i].unit;
        return -1;
    }
    for (size_t i = 0; i < QD_COUNT_OF(members); i++)
        if (qd_str_is(name, members[i].name)) return members[i].unit;
    return -1;
}

/* ISO 8601: the week of the year that has the Thursday of the date's week. */
static void week_of(int64_t days, int64_t *year, int64_t *week)
{
    int64_t weekday = ((days % 7) + 7 + 3) % 7; /* 0: Monday */
    qd_civil c;
    qd_civil_from_ms((days - weekday + 3) * 86400000, &c);
    *year = c.year;
    *week = (days - weekday + 3 - qd_days_from_civil(c.year, 1, 1)) / 7 + 1;
}

double qdx_date_part(int unit, int64_t ms)
{
    qd_civil c;
    int64_t week_year, week, day = ((ms % 86400000) + 86400000) % 86400000;
    int64_t days = (ms - day) / 86400000;
    qd_civil_from_ms(ms, &c);
    week_of(days, &week_year, &week);
    switch (unit) {
    case YEAR:
        return (double)c.year;
    case MONTH:
        return c.month;
    case MONTH_0:
        return c.month - 1; /* as java.util.Calendar counts */
    case DAY_OF_MONTH:
        return c.day;
    case HOUR:
        return c.hour;
    case MINUTE:
        return c.minute;
    case SECOND:
        return c.second;
    case DAY_OF_WEEK:
        return (double)(((days % 7) + 7 + 3) % 7 + 1);
    case DAY_OF_YEAR:
        return (double)(days - qd_days_from_civil(c.year, 1, 1) + 1);
    case ERA:
        return c.year > 0;
    case CENTURY:
        return (double)(c.year / 100);
    case MS_OF_DAY:
        return (double)day;
    case MS_OF_SECOND:
        return (double)(day % 1000);
    case MINUTE_OF_DAY:
        return (double)(day / 60000);
    case SECOND_OF_DAY:
        return (double)(day / 1000);
    case WEEK:
        return (double)week;
    case WEEK_YEAR:
        return (double)week_year;
    default:
        return (double)(c.year % 100);
    }
}
