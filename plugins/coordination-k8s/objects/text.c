/*
 * text.c: JSON as text for the cluster. See objects.h.
 *
 * jansson writes 17 digits of each number, and a mapping keeps numbers as they came: 0.1 would be
 * 0.10000000000000001 for ever. Here a number is written as an API server writes it: as few digits
 * as name it, without exponent from 1e-6 up to 1e21.
 */
#include "objects.h"

enum { DIGITS_MAX = 17, DIGITS = 24, NUMBER_MAX = 80 };

static int names(const char *text, double v)
{
    json_t *read = json_loads(text, JSON_DECODE_ANY, NULL);
    int same = read && json_number_value(read) == v;
    json_decref(read);
    return same;
}

/* The shortest digits d.ddd that are this number, and its exponent. */
static int shortest(double v, char digits[DIGITS])
{
    char text[NUMBER_MAX];
    for (int p = 0; p < DIGITS_MAX; p++) {
        snprintf(text, sizeof text, "%.*e", p, v);
        if (names(text, v)) break;
    }
    size_t n = 0;
    const char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9' && n < DIGITS - 1) digits[n++] = *at;
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = 0;
    return *at ? (int)strtol(at + 1, NULL, 10) : 0;
}

static void put_real(cr_bytes *out, double v)
{
    char digits[DIGITS], text[NUMBER_MAX];
    int e = shortest(v < 0 ? -v : v, digits), n = (int)strlen(digits);
    if (v < 0) cr_put(out, "-", 1);
    if (v != 0 && (e < -6 || e >= 21)) {
        snprintf(text, sizeof text, "%c%s%se%+d", digits[0], n > 1 ? "." : "", digits + 1, e);
    } else if (e < 0) {
        snprintf(text, sizeof text, "0.%.*s%s", -e - 1, "000000", digits);
    } else if (n <= e + 1) {
        snprintf(text, sizeof text, "%s%.*s", digits, e + 1 - n, "00000000000000000000000");
    } else {
        snprintf(text, sizeof text, "%.*s.%s", e + 1, digits, digits + e + 1);
    }
    cr_put(out, text, strlen(text));
}

/* A text with its quotes, or what has one spelling only. */
static void put_plain(cr_bytes *out, const json_t *v)
{
    size_t n = json_dumpb(v, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
    char *p = cr_must(out->heap, n + 1);
    (void)json_dumpb(v, p, n, JSON_ENCODE_ANY | JSON_COMPACT);
    cr_put(out, p, n);
    cr_free(out->heap, p);
}

static void put_key(cr_bytes *out, const char *key)
{
    json_t *text = json_string_nocheck(key);
    put_plain(out, text);
    cr_put(out, ":", 1);
    json_decref(text);
}

void ck_json_put(cr_bytes *out, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i, n = 0;
    if (json_is_object(v)) {
        cr_put(out, "{", 1);
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            if (n++) cr_put(out, ",", 1);
            put_key(out, key);
            ck_json_put(out, item);
        }
        cr_put(out, "}", 1);
    } else if (json_is_array(v)) {
        cr_put(out, "[", 1);
        json_array_foreach(v, i, item)
        {
            if (n++) cr_put(out, ",", 1);
            ck_json_put(out, item);
        }
        cr_put(out, "]", 1);
    } else if (json_is_real(v)) {
        put_real(out, json_real_value(v));
    } else {
        put_plain(out, v);
    }
}
