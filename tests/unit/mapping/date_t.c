/* date_t.c: formats, zones and date math on known instants. */
#include "mapping/date_format.h"
#include "mapping/date_math.h"
#include "unit/unit.h"

static qd_arena arena;

static const qd_date_format *format(const char *pattern)
{
    qd_date_format *f = NULL;
    qd_err e;
    qd_err_init(&e);
    if (qd_date_format_make(&arena, qd_str_c(pattern), &f, &e))
        fail_msg("%s: %s", pattern, qd_err_reason(&e));
    return f;
}

static const qd_zone *zone(const char *id)
{
    qd_zone *z = NULL;
    if (!id) return NULL;
    assert_int_equal(qd_zone_make(&arena, qd_str_c(id), &z, NULL), 0);
    return z;
}

/* The instant in ISO form, for readable tables. */
static const char *iso(int64_t ms)
{
    static char out[128];
    qd_date_print(format("strict_date_optional_time"), ms, NULL, out);
    return out;
}

static void reads_and_writes_formats(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text, *iso, *printed;
    } rows[] = {
        {"strict_date_optional_time", "2015", "2015-01-01T00:00:00.000Z", NULL},
        {"strict_date_optional_time", "2015-02", "2015-02-01T00:00:00.000Z", NULL},
        {"strict_date_optional_time", "2015-02-03T", "2015-02-03T00:00:00.000Z", NULL},
        {"strict_date_optional_time", "2015-02-03T04:05", "2015-02-03T04:05:00.000Z", NULL},
        {"strict_date_optional_time", "2015-02-03T04:05:06,789123+01:30",
         "2015-02-03T02:35:06.789Z", NULL},
        {"strict_date_optional_time", "2015-02-03T04:05:06.7-0200", "2015-02-03T06:05:06.700Z",
         NULL},
        {"strict_date_optional_time", "2016-02-29", "2016-02-29T00:00:00.000Z", NULL},
        {"strict_date_optional_time", "2015-02-29", NULL, NULL},
        {"strict_date_optional_time", "2015-2-3", NULL, NULL},
        {"strict_date_optional_time", "2015-02-03T24:00", NULL, NULL},
        {"strict_date_optional_time", "15", NULL, NULL},
        {"strict_date_optional_time", "2015-02-03 04:05", NULL, NULL},
        {"strict_date_optional_time", "-0001-01-01", "-0001-01-01T00:00:00.000Z", NULL},
        {"date_optional_time", "2015-2-3T4:5", "2015-02-03T04:05:00.000Z", NULL},
        {"epoch_millis", "1420070400001", "2015-01-01T00:00:00.001Z", "1420070400001"},
        {"epoch_millis", "-1", "1969-12-31T23:59:59.999Z", "-1"},
        {"epoch_millis", "1.9", "1970-01-01T00:00:00.001Z", "1"},
        {"epoch_second", "1420070400", "2015-01-01T00:00:00.000Z", "1420070400"},
        {"epoch_second", "1420070400.25", "2015-01-01T00:00:00.250Z", "1420070400.25"},
        {"epoch_millis", "12x", NULL, NULL},
        {"basic_date", "20150203", "2015-02-03T00:00:00.000Z", "20150203"},
        {"basic_date_time", "20150203T040506.789Z", "2015-02-03T04:05:06.789Z",
         "20150203T040506.789+0000"},
        {"basic_date_time_no_millis", "20150203T040506Z", "2015-02-03T04:05:06.000Z", NULL},
        {"basic_week_date", "2015W064", "2015-02-05T00:00:00.000Z", "2015W064"},
        {"ordinal_date", "2015-034", "2015-02-03T00:00:00.000Z", "2015-034"},
        {"strict_date", "2015-02-03", "2015-02-03T00:00:00.000Z", "2015-02-03"},
        {"strict_date", "2015-2-3", NULL, NULL},
        {"date", "2015-2-3", "2015-02-03T00:00:00.000Z", NULL},
        {"strict_date_hour_minute_second", "2015-02-03T04:05:06", "2015-02-03T04:05:06.000Z",
         "2015-02-03T04:05:06"},
        {"strict_year_month", "2015-02", "2015-02-01T00:00:00.000Z", "2015-02"},
        {"strict_date_time", "2015-02-03T04:05:06.789+01:00", "2015-02-03T03:05:06.789Z",
         "2015-02-03T03:05:06.789Z"},
        {"week_date", "2009-W01-1", "2008-12-29T00:00:00.000Z", "2009-W01-1"},
        {"yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis", "2015/02/03", "2015-02-03T00:00:00.000Z",
         "2015/02/03 00:00:00"},
        {"yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis", "2015/02/03 04:05:06",
         "2015-02-03T04:05:06.000Z", NULL},
        {"dd/MM/yyyy", "03/02/2015", "2015-02-03T00:00:00.000Z", "03/02/2015"},
        {"dd-MMM-yyyy", "03-Feb-2015", "2015-02-03T00:00:00.000Z", "03-Feb-2015"},
        {"EEE, d MMMM yyyy h:mm a", "Tue, 3 February 2015 4:05 PM", "2015-02-03T16:05:00.000Z",
         "Tue, 3 February 2015 4:05 PM"},
        {"yyyyMMddHHmmss", "20150203040506", "2015-02-03T04:05:06.000Z", "20150203040506"},
        {"yy.M.d", "15.2.3", "2015-02-03T00:00:00.000Z", "15.2.3"},
        {"yyyy-MM-dd['T'HH:mm[:ss]]", "2015-02-03T04:05", "2015-02-03T04:05:00.000Z",
         "2015-02-03T04:05:00"},
        {"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2015-02-03T04:05:06.789Z", "2015-02-03T04:05:06.789Z",
         "2015-02-03T04:05:06.789Z"},
        {"yyyy-MM-dd HH:mm:ss VV", "2015-07-03 04:05:06 Europe/Paris", "2015-07-03T02:05:06.000Z",
         NULL},
        {"HH:mm", "04:05", "1970-01-01T04:05:00.000Z", "04:05"},
        {"''yyyy''", "'2015'", "2015-01-01T00:00:00.000Z", "'2015'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const qd_date_format *f = format(rows[i].format);
        int64_t ms = 0;
        qd_err e;
        qd_err_init(&e);
        int rc = qd_date_parse(f, qd_str_c(rows[i].text), NULL, false, &ms, &e);
        if (!rows[i].iso) {
            if (rc != QD_E_ARG) fail_msg("%s was read by %s", rows[i].text, rows[i].format);
            qd_err_fini(&e);
            continue;
        }
        if (rc) fail_msg("%s by %s: %s", rows[i].text, rows[i].format, qd_err_reason(&e));
        assert_string_equal(iso(ms), rows[i].iso);
        char out[128];
        qd_date_print(f, ms, NULL, out);
        if (rows[i].printed) assert_string_equal(out, rows[i].printed);
    }
}

static void bad_formats_are_refused(void **state)
{
    (void)state;
    static const char *bad[] = {"",      "foo",  "yyyy||", "yyyy]",
                                "yyyy{", "'abc", "jjjj",   "uuuu-MM-dd'T"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qd_date_format *f = NULL;
        qd_err e;
        qd_err_init(&e);
        assert_int_equal(qd_date_format_make(&arena, qd_str_c(bad[i]), &f, &e), QD_E_ARG);
        qd_err_fini(&e);
    }
}

static void missing_parts_are_rounded_up(void **state)
{
    (void)state;
    static const char *rows[][2] = {{"2099-12", "2099-12-01T23:59:59.999Z"},
                                    {"2099-12-05", "2099-12-05T23:59:59.999Z"},
                                    {"2099-12-05T10", "2099-12-05T10:59:59.999Z"},
                                    {"2099-12-05T10:20", "2099-12-05T10:20:59.999Z"},
                                    {"2099-12-05T10:20:30", "2099-12-05T10:20:30.999Z"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = 0;
        assert_true(qd_date_try(qd_date_format_default(), qd_str_c(rows[i][0]), NULL, true, &ms));
        assert_string_equal(iso(ms), rows[i][1]);
    }
}

static void zones_know_their_changes(void **state)
{
    (void)state;
    const qd_zone *paris = zone("Europe/Paris");
    int64_t ms = 0;
    assert_true(
        qd_date_try(qd_date_format_default(), QD_STR("2015-07-01T12:00"), paris, false, &ms));
    assert_string_equal(iso(ms), "2015-07-01T10:00:00.000Z");
    assert_true(
        qd_date_try(qd_date_format_default(), QD_STR("2015-01-01T12:00"), paris, false, &ms));
    assert_string_equal(iso(ms), "2015-01-01T11:00:00.000Z");
    /* a gap moves forward, an overlap takes the earlier offset */
    assert_true(
        qd_date_try(qd_date_format_default(), QD_STR("2015-03-29T02:30"), paris, false, &ms));
    assert_string_equal(iso(ms), "2015-03-29T01:30:00.000Z");
    assert_true(
        qd_date_try(qd_date_format_default(), QD_STR("2015-10-25T02:30"), paris, false, &ms));
    assert_string_equal(iso(ms), "2015-10-25T00:30:00.000Z");
    assert_string_equal(iso(qd_zone_next_change(paris, ms)), "2015-10-25T01:00:00.000Z");
    /* far in the future the rules go on */
    assert_true(
        qd_date_try(qd_date_format_default(), QD_STR("+12015-07-01T12:00"), paris, false, &ms));
    assert_string_equal(iso(ms), "+12015-07-01T10:00:00.000Z");
    char out[128];
    qd_date_print(format("strict_date_optional_time"), 1435752000000, paris, out);
    assert_string_equal(out, "2015-07-01T14:00:00.000+02:00");
    static const struct {
        const char *id;
        int offset;
    } fixed[] = {{"Z", 0},        {"UTC", 0},        {"+01:00", 3600},     {"-0330", -12600},
                 {"GMT+2", 7200}, {"+05:45", 20700}, {"UTC-08:00", -28800}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        assert_int_equal(qd_zone_offset(zone(fixed[i].id), 0), fixed[i].offset);
        assert_true(qd_zone_fixed(zone(fixed[i].id)));
    }
    static const char *bad[] = {"",  "Nowhere/City", "+25:00", "+1:", "Europe/Paris ", "x",
                                "+", "UTC+"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qd_zone *z = NULL;
        int rc = qd_zone_make(&arena, qd_str_c(bad[i]), &z, NULL);
        assert_true(rc == QD_E_ZONE_RULES || rc == QD_E_DATE_TIME);
    }
}

static void math_adds_and_rounds(void **state)
{
    (void)state;
    const int64_t now = 1400000000123; /* 2014-05-13T16:53:20.123Z */
    static const struct {
        const char *text;
        bool up;
        const char *zone, *want;
    } rows[] = {
        {"now", false, NULL, "2014-05-13T16:53:20.123Z"},
        {"now+1d", false, NULL, "2014-05-14T16:53:20.123Z"},
        {"now-1M/d", false, NULL, "2014-04-13T00:00:00.000Z"},
        {"now/d", true, NULL, "2014-05-13T23:59:59.999Z"},
        {"now/w", false, NULL, "2014-05-12T00:00:00.000Z"},
        {"now/y+1y", false, NULL, "2015-01-01T00:00:00.000Z"},
        {"now/h", false, NULL, "2014-05-13T16:00:00.000Z"},
        {"2014-11-18||/M", false, NULL, "2014-11-01T00:00:00.000Z"},
        {"2014-11-18||/M", true, NULL, "2014-11-30T23:59:59.999Z"},
        {"2014-11-18||+1M/M", true, NULL, "2014-12-31T23:59:59.999Z"},
        {"2014-01-31||+1M", false, NULL, "2014-02-28T00:00:00.000Z"},
        {"2014-11-18", true, NULL, "2014-11-18T23:59:59.999Z"},
        {"2014-11-18T14:27:32||+60s-1m+2H", false, NULL, "2014-11-18T16:27:32.000Z"},
        {"now/d", false, "+03:00", "2014-05-12T21:00:00.000Z"},
        {"2014-07-01||/d", false, "Europe/Paris", "2014-06-30T22:00:00.000Z"},
        {"2015-03-29||+1d", false, "Europe/Paris", "2015-03-29T22:00:00.000Z"},
        {"1400000000000", false, NULL, "2014-05-13T16:53:20.000Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ms = 0;
        qd_err e;
        qd_err_init(&e);
        if (qd_date_math(qd_date_format_default(), qd_str_c(rows[i].text), now, rows[i].up,
                         zone(rows[i].zone), &ms, &e)) {
            fail_msg("%s: %s", rows[i].text, qd_err_reason(&e));
        }
        if (strcmp(iso(ms), rows[i].want) != 0)
            fail_msg("%s: %s, want %s", rows[i].text, iso(ms), rows[i].want);
    }
    static const char *bad[] = {"now+", "now*2d", "now/2d", "now+1x", "now+99999999999d",
                                "foo",  "",       "2014||", "now+1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 0;
        int rc =
            qd_date_math(qd_date_format_default(), qd_str_c(bad[i]), now, false, NULL, &ms, NULL);
        if (i != 7 && rc >= 0) fail_msg("%s was read", bad[i]);
    }
}

static void calendar_agrees_with_itself(void **state)
{
    (void)state;
    for (int64_t d = -800000; d < 800000; d += 37) {
        qd_civil c;
        qd_civil_from_ms(d * 86400000 + 12345, &c);
        assert_int_equal(qd_civil_to_ms(&c), d * 86400000 + 12345);
        assert_int_equal(qd_days_from_civil(c.year, c.month, c.day), d);
    }
}

static int make_arena(void **state)
{
    (void)state;
    qd_arena_init(&arena, NULL, 0);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    qd_arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_writes_formats, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(bad_formats_are_refused, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(missing_parts_are_rounded_up, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(zones_know_their_changes, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(math_adds_and_rounds, make_arena, drop_arena),
        cmocka_unit_test(calendar_agrees_with_itself),
    };
    return unit_run(tests);
}
