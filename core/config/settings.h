/*
 * settings.h: a map from dotted keys to values, as Elasticsearch's Settings: every value is text, a
 * list of texts, or null (which an update uses for "back to the default").
 *
 * A settings object is filled by one thread, then sealed; from then on it is immutable, sorted by
 * key, shared by reference count [any].
 */
#ifndef QD_CONFIG_SETTINGS_H
#define QD_CONFIG_SETTINGS_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/reader.h"
#include "json/writer.h"

typedef struct qd_settings qd_settings;

typedef enum qd_setting_kind { QD_SETTING_NULL, QD_SETTING_TEXT, QD_SETTING_LIST } qd_setting_kind;

typedef struct qd_setting_value {
    qd_str key;
    qd_setting_kind kind;
    qd_str text; /* TEXT; of a LIST its items joined by commas */
    const qd_str *items;
    uint32_t n;         /* items of a LIST */
    uint32_t line;      /* of the file it came from; 0 = none */
    const char *origin; /* "quidditch.yml", "environment variable NODE_ID", ...; NULL = none */
} qd_setting_value;

#define QD_SETTINGS_MAX 20000       /* keys in one object */
#define QD_SETTINGS_KEY_MAX 1024    /* bytes of a key */
#define QD_SETTINGS_LIST_MAX 100000 /* items of a list */

/* An empty open object with one reference. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_settings_new(qd_account *account, qd_settings **out, qd_err *err);
/* Sets key to text, replacing what was there; both are copied. 0, QD_E_NOMEM, QD_E_LIMIT. */
QD_MUST_CHECK
int qd_settings_put(qd_settings *s, qd_str key, qd_str text, qd_err *err);
/* Sets key to a list. */
QD_MUST_CHECK
int qd_settings_put_list(qd_settings *s, qd_str key, const qd_str *items, uint32_t n, qd_err *err);
/* Sets key to null. */
QD_MUST_CHECK
int qd_settings_put_null(qd_settings *s, qd_str key, qd_err *err);
/* Copies a value of another object (kind, items, line, origin) under key. */
QD_MUST_CHECK
int qd_settings_put_value(qd_settings *s, qd_str key, const qd_setting_value *v, qd_err *err);
/* Tells where the value last put under key came from; origin is static or lives as long as s. */
void qd_settings_origin(qd_settings *s, qd_str key, const char *origin, uint32_t line);
/* Removes key while open. */
void qd_settings_remove(qd_settings *s, qd_str key);
/* Reads an object of JSON, nested or flat or mixed, whose OBJECT event was the last of r; each key
 * gets prefix before it. Scalars become text as Elasticsearch writes them. A key twice is refused.
 * 0, QD_E_ES_PARSE, QD_E_XCONTENT, QD_E_LIMIT, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_settings_put_json(qd_settings *s, qd_json_reader *r, qd_str prefix, qd_err *err);
/* Reads YAML text, nested or dotted; line numbers are kept; a key twice is refused with both lines.
 * file names it in errors and origins (kept by reference). 0, QD_E_CONFIG, QD_E_LIMIT, QD_E_NOMEM.
 */
QD_MUST_CHECK
int qd_settings_put_yaml(qd_settings *s, qd_str text, const char *file, qd_err *err);
/* Copies all of `more` over s, replacing equal keys. */
QD_MUST_CHECK
int qd_settings_merge(qd_settings *s, const qd_settings *more, qd_err *err);
/* Applies an update: like merge, but a null of `more` removes the key; a key that ends with ".*"
 * and is null removes all keys below. */
QD_MUST_CHECK
int qd_settings_update(qd_settings *s, const qd_settings *more, qd_err *err);
/* Makes it immutable and sorted. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_settings_seal(qd_settings *s, qd_err *err);
/* A sealed copy in which every key starts with prefix ("index."). */
QD_MUST_CHECK
int qd_settings_prefixed(const qd_settings *s, qd_str prefix, qd_settings **out, qd_err *err);

/* One more reference; returns s. [any] */
qd_settings *qd_settings_ref(qd_settings *s);
/* One reference less; the last one frees. NULL is fine. [any] */
void qd_settings_unref(qd_settings *s);

/* Keys in it. */
size_t qd_settings_count(const qd_settings *s);
/* The i-th value of a sealed object, by key. */
const qd_setting_value *qd_settings_at(const qd_settings *s, size_t i);
/* Value of key, NULL when absent. */
const qd_setting_value *qd_settings_get(const qd_settings *s, qd_str key);
/* Text of key; {NULL,0} when absent or null. */
qd_str qd_settings_text(const qd_settings *s, const char *key);
/* Index of the first value whose key starts with prefix, and in *n how many do (sealed). */
size_t qd_settings_group(const qd_settings *s, qd_str prefix, size_t *n);
/* Same keys and values (sealed)? */
bool qd_settings_equal(const qd_settings *a, const qd_settings *b);
/* Writes an object: nested ("a":{"b":"1"}) or flat ("a.b":"1"), values as strings as Elasticsearch
 * does. Only keys for which want(arg, key) is true (want NULL: all). Sealed. */
void qd_settings_write(const qd_settings *s, qd_json_writer *w, bool flat,
                       bool (*want)(void *arg, qd_str key), void *arg);

#endif
