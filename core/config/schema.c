/* schema.c: the tables of settings, looked up and checked. See schema.h. */
#include "config/schema.h"
#include "base/log.h"
#include "base/vec.h"
#include "config/schema_int.h"
#include "config/value.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOGGER QD_STR("logger.") /* a group */
enum { NODE_ROWS = QD_SET_COUNT, INDEX_ROWS = QD_IX_COUNT };

#define QD_SECTION(title)
#define QD_SETTING(sym, key_, type_, value_, min_, max_, values_, flags_, help_)                   \
    {                                                                                              \
        .key = key_,                                                                               \
        .type = QD_ST_##type_,                                                                     \
        .value = value_,                                                                           \
        .min = min_,                                                                               \
        .max = max_,                                                                               \
        .values = values_,                                                                         \
        .flags = flags_,                                                                           \
        .help = help_,                                                                             \
    },
static const qd_setting_def node_defs[NODE_ROWS] = {
#include "config/node_settings.def"
};
static const qd_setting_def index_defs[INDEX_ROWS] = {
#include "config/index_settings.def"
};
#undef QD_SECTION
#undef QD_SETTING

static _Atomic(struct qd_values *) index_defaults;

const qd_schema qd_schema_node = {"node", node_defs, NODE_ROWS, NULL};
const qd_schema qd_schema_index = {"index", index_defs, INDEX_ROWS, &index_defaults};

const qd_setting_def *qd_schema_find(const qd_schema *schema, qd_str key, uint32_t *id)
{
    const qd_setting_def *group = NULL;
    size_t longest = 0;
    for (uint32_t i = 0; i < schema->n; i++) {
        const qd_setting_def *d = &schema->defs[i];
        qd_str k = qd_str_c(d->key);
        bool hit = d->type == QD_ST_GROUP ? key.n > k.n && k.n > longest && qd_str_starts(key, k)
                                          : qd_str_eq(key, k);
        if (!hit) continue;
        group = d;
        if (id) *id = i;
        if (d->type != QD_ST_GROUP) return d;
        longest = k.n;
    }
    return group;
}

const char *qd_schema_nearest(const qd_schema *schema, qd_str key)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (uint32_t i = 0; i < schema->n; i++) {
        const qd_setting_def *d = &schema->defs[i];
        if (d->type == QD_ST_GROUP || (d->flags & QD_SF_PRIVATE)) continue;
        size_t distance = qd_str_distance(key, qd_str_c(d->key));
        if (distance < least) {
            least = distance;
            best = d->key;
        }
    }
    /* more than seven of ten characters are right, as Elasticsearch asks for */
    size_t longest = best && strlen(best) > key.n ? strlen(best) : key.n;
    return least * 10 < longest * 3 ? best : NULL;
}

const char *qd_setting_type_name(qd_setting_type type)
{
    static const char *const names[] = {
        "boolean", "integer", "number", "size in bytes", "size in bytes or percentage",
        "time",    "text",    "one of", "list",          "size in bytes or ratio",
        "group",
    };
    return names[type];
}

/* --- one value ------------------------------------------------------------------------------ */

static int out_of_range(const qd_setting_def *d, qd_str key, qd_str text, bool low, qd_err *err)
{
    char bound[32];
    int64_t v = low ? d->min : d->max;
    const char *op = low ? ">=" : "<=";
    if (d->type == QD_ST_INT || d->type == QD_ST_FLOAT)
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] for setting [%.*s] must be %s %" PRId64,
                          QD_STR_ARG(text), QD_STR_ARG(key), op, v);
    if (d->type == QD_ST_TIME)
        qd_time_text(v, bound);
    else
        qd_bytes_exact(v, bound);
    return qd_err_set(err, QD_E_ARG,
                      "failed to parse value [%.*s] for setting [%.*s], must be %s [%s]",
                      QD_STR_ARG(text), QD_STR_ARG(key), op, bound);
}

static int check_range(const qd_setting_def *d, qd_str key, qd_str text, int64_t v, qd_err *err)
{
    if (v < d->min) return out_of_range(d, key, text, true, err);
    if (v > d->max) return out_of_range(d, key, text, false, err);
    return 0;
}

/* Position of text among the words of values, -1 when it is none. */
static int64_t word_index(const char *values, qd_str text)
{
    qd_str rest = qd_str_c(values);
    for (int64_t i = 0; rest.p; i++) {
        if (qd_str_ieq(qd_str_split(&rest, '|'), text)) return i;
    }
    return -1;
}

static int unknown_word(const qd_setting_def *d, qd_str key, qd_str text, qd_err *err)
{
    char words[512];
    size_t n = 0;
    for (const char *p = d->values; *p && n + 3 < sizeof words; p++) {
        words[n++] = *p == '|' ? ',' : *p;
        if (*p == '|') words[n++] = ' ';
    }
    words[n] = 0;
    return qd_err_set(err, QD_E_ARG, "unknown value for [%.*s] must be one of [%s] but was: %.*s",
                      QD_STR_ARG(key), words, QD_STR_ARG(text));
}

static int parse_memory(const qd_setting_def *d, qd_str key, const char *name, qd_str text,
                        int64_t memory, qdi_parsed *out, qd_err *err)
{
    qd_str t = qd_str_trim(text);
    double percent;
    if (t.n == 0 || t.p[t.n - 1] != '%') {
        int rc = qd_value_bytes(text, name, &out->i, err);
        return rc ? rc : check_range(d, key, text, out->i, err);
    }
    if (!qd_value_double(qd_str_sub(t, 0, t.n - 1), &percent))
        return qd_err_set(err, QD_E_ES_PARSE, "failed to parse [%.*s] as a double",
                          QD_STR_ARG(text));
    if (!(percent >= 0 && percent <= 100))
        return qd_err_set(err, QD_E_ES_PARSE, "percentage should be in [0-100], got [%.*s]",
                          QD_STR_ARG(text));
    out->i = (int64_t)(percent / 100 * (double)memory);
    out->f = percent;
    return 0;
}

static int parse_space(const char *name, qd_str text, qdi_parsed *out, qd_err *err)
{
    /* A ratio that is used, or bytes that stay free: as Elasticsearch's disk watermarks. */
    out->f = -1;
    if (qd_value_ratio(text, name, &out->f, NULL) == 0) return 0;
    out->f = -1;
    return qd_value_bytes(text, name, &out->i, err);
}

static int parse_float(const qd_setting_def *d, qd_str key, qd_str text, qdi_parsed *out,
                       qd_err *err)
{
    if (!qd_value_double(text, &out->f) || !isfinite(out->f))
        return qd_err_set(err, QD_E_ARG, "Failed to parse value [%.*s] for setting [%.*s]",
                          QD_STR_ARG(text), QD_STR_ARG(key));
    if (d->min != INT64_MIN && out->f < (double)d->min)
        return out_of_range(d, key, text, true, err);
    if (d->max != INT64_MAX && out->f > (double)d->max)
        return out_of_range(d, key, text, false, err);
    return 0;
}

/* A value that cannot be parsed is a wrong argument of who set it. */
static int as_argument(int rc, qd_err *err)
{
    char reason[512];
    if (rc != QD_E_ES_PARSE || !err) return rc;
    snprintf(reason, sizeof reason, "%s", qd_err_reason(err));
    return qd_err_wrap(err, QD_E_ARG, "%s", reason);
}

int qdi_value_parse(const qd_setting_def *d, qd_str key, qd_str text, int64_t memory,
                    qdi_parsed *out, qd_err *err)
{
    char name[QD_SETTINGS_KEY_MAX + 1];
    snprintf(name, sizeof name, "%.*s", QD_STR_ARG(key));
    bool truth = false;
    int rc = 0;
    switch (d->type) {
    case QD_ST_BOOL:
        if (qd_value_bool(text, &truth, NULL) != 0)
            return qd_err_set(err, QD_E_ARG,
                              "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                              QD_STR_ARG(text));
        out->i = truth;
        return 0;
    case QD_ST_INT:
        /* words of a number: the first stands for the least, any other for the largest */
        out->i = d->values ? word_index(d->values, text) : -1;
        if (out->i >= 0) {
            out->i = out->i ? d->max : d->min;
            return 0;
        }
        if (!qd_str_i64(qd_str_trim(text), &out->i)) {
            (void)qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                             QD_STR_ARG(text));
            return qd_err_wrap(err, QD_E_ARG, "Failed to parse value [%.*s] for setting [%.*s]",
                               QD_STR_ARG(text), QD_STR_ARG(key));
        }
        return check_range(d, key, text, out->i, err);
    case QD_ST_FLOAT:
        return parse_float(d, key, text, out, err);
    case QD_ST_BYTES:
        if (d->value && strcmp(d->value, "auto") == 0 && qd_str_is(text, "auto")) return 0;
        rc = qd_value_bytes(text, name, &out->i, err);
        return rc ? as_argument(rc, err) : check_range(d, key, text, out->i, err);
    case QD_ST_MEMORY:
        return parse_memory(d, key, name, text, memory, out, err);
    case QD_ST_TIME:
        rc = qd_value_time(text, name, &out->i, err);
        return rc ? rc : check_range(d, key, text, out->i, err);
    case QD_ST_ENUM:
        out->i = word_index(d->values, text);
        return out->i < 0 ? unknown_word(d, key, text, err) : 0;
    case QD_ST_SPACE:
        return parse_space(name, text, out, err);
    case QD_ST_LIST:
        return d->values && word_index(d->values, text) < 0 ? unknown_word(d, key, text, err) : 0;
    case QD_ST_STRING:
    case QD_ST_GROUP:
        return 0;
    }
    return 0;
}

int qd_setting_memory(qd_str key, qd_str text, int64_t memory, int64_t min, int64_t *out,
                      qd_err *err)
{
    qd_setting_def def = {.key = "", .type = QD_ST_MEMORY, .min = min, .max = INT64_MAX};
    qdi_parsed parsed;
    int rc = qdi_value_parse(&def, key, text, memory, &parsed, err);
    if (!rc) *out = parsed.i;
    return rc;
}

/* The position of text among values, with its case: what is compared as it stands. */
static bool is_word(const char *values, qd_str text)
{
    int64_t i = word_index(values, text);
    qd_str rest = qd_str_c(values), word = {NULL, 0};
    for (; i >= 0; i--) word = qd_str_split(&rest, '|');
    return word.p && qd_str_eq(word, text);
}

/* Four numbers; or with colons whatever consists of what an address of version 6 does. */
static bool is_address(qd_str text)
{
    uint64_t v = 0;
    int parts = 0;
    bool colon = qd_str_find(text, ':') >= 0;
    for (size_t i = 0; colon && i < text.n; i++)
        if (!strchr("0123456789abcdefABCDEF:.", text.p[i])) return false;
    for (qd_str rest = text; !colon && rest.p; parts++)
        if (!qd_str_u64(qd_str_split(&rest, '.'), &v) || v > 255) return false;
    return colon || parts == 4;
}

/* Names in one text, and what filters of nodes compare with addresses: a part that is none never
 * matches. */
static int check_parts(const qd_setting_def *d, const qd_setting_value *v, qd_err *err)
{
    bool ip = d->type == QD_ST_GROUP &&
              (qd_str_ends(v->key, QD_STR("._ip")) || qd_str_ends(v->key, QD_STR("._host_ip")) ||
               qd_str_ends(v->key, QD_STR("._publish_ip")));
    qd_str rest = v->text;
    /* of a group each value is one word: levels of log lines */
    if (d->type == QD_ST_GROUP && d->values)
        return word_index(d->values, v->text) < 0 ? unknown_word(d, v->key, v->text, err) : 0;
    while ((ip || d->values) && rest.p) {
        qd_str part = qd_str_trim(qd_str_split(&rest, ','));
        if (!part.n) continue;
        if (!ip && !is_word(d->values, part)) return unknown_word(d, v->key, part, err);
        if (ip && qd_str_find(part, '*') < 0 && !is_address(part))
            return qd_err_set(err, QD_E_ARG, "invalid IP address [%.*s] for [%.*s]",
                              QD_STR_ARG(part), QD_STR_ARG(v->key));
    }
    return 0;
}

/* Every text of a value: of a list each item, of one comma-separated text each part. */
static int check_value(const qd_setting_def *d, const qd_setting_value *v, qd_err *err)
{
    qdi_parsed ignored = {0};
    if (d->type != QD_ST_LIST) {
        if (v->kind == QD_SETTING_LIST && d->type != QD_ST_GROUP)
            return qd_err_set(err, QD_E_ARG,
                              "Found list type value for setting [%.*s] but but did "
                              "not expect a list for it.",
                              QD_STR_ARG(v->key));
        if (d->type == QD_ST_STRING || d->type == QD_ST_GROUP) return check_parts(d, v, err);
        return qdi_value_parse(d, v->key, v->text, INT64_MAX, &ignored, err);
    }
    int rc = 0;
    if (v->kind == QD_SETTING_LIST) {
        for (uint32_t i = 0; i < v->n && rc == 0; i++)
            rc = qdi_value_parse(d, v->key, v->items[i], 0, &ignored, err);
        return rc;
    }
    qd_str rest = v->text;
    while (rest.p && rc == 0) {
        qd_str item = qd_str_trim(qd_str_split(&rest, ','));
        if (item.n) rc = qdi_value_parse(d, v->key, item, 0, &ignored, err);
    }
    return rc;
}

/* " (quidditch.yml, line 3)" for values that came from somewhere. */
static void place_of(const qd_setting_value *v, char *out, size_t room)
{
    out[0] = 0;
    if (v->origin && v->line)
        snprintf(out, room, " (%s, line %u)", v->origin, v->line);
    else if (v->origin)
        snprintf(out, room, " (%s)", v->origin);
}

/* A level is of a component that there is. Names of Elasticsearch's packages end like ours. */
static int check_component(const qd_setting_value *v, qd_err *err)
{
    qd_str name = qd_str_sub(v->key, LOGGER.n, SIZE_MAX), last = name;
    const char *near = NULL, *known;
    size_t least = SIZE_MAX;
    if (qd_str_is(name, "_root") || (name.n > 7 && qd_str_starts(name, QD_STR("plugin."))))
        return 0;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.') last = qd_str_sub(name, i + 1, SIZE_MAX);
    for (size_t i = 0; (known = qd_log_component_at(i)); i++) {
        size_t whole = qd_str_distance(name, qd_str_c(known));
        size_t end = qd_str_distance(last, qd_str_c(known));
        if (whole == 0) return 0;
        if (end < whole) whole = end;
        if (qd_str_starts(qd_str_c(known), name)) whole = 0;
        if (whole >= least) continue;
        least = whole;
        near = known;
    }
    return qd_err_set(err, QD_E_ARG,
                      "unknown setting [%.*s] did you mean [%.*s%s]? No component of the log has "
                      "that name",
                      QD_STR_ARG(v->key), QD_STR_ARG(LOGGER), near);
}

static int unknown_setting(const qd_schema *schema, const qd_setting_value *v, qd_err *err)
{
    char place[256];
    place_of(v, place, sizeof place);
    const char *near = qd_schema_nearest(schema, v->key);
    if (near)
        return qd_err_set(err, QD_E_ARG, "unknown setting [%.*s] did you mean [%s]?%s",
                          QD_STR_ARG(v->key), near, place);
    return qd_err_set(
        err, QD_E_ARG,
        "unknown setting [%.*s] please check that any required plugins are installed, "
        "or check the breaking changes documentation for removed settings%s",
        QD_STR_ARG(v->key), place);
}

static bool is_default(const qd_setting_def *d, const qd_setting_value *v)
{
    return qd_str_is(v->text, d->value ? d->value : "");
}

static int check_one(const qd_schema *schema, const qd_setting_value *v, bool trusted, qd_err *err)
{
    const qd_setting_def *d = qd_schema_find(schema, v->key, NULL);
    bool null = v->kind == QD_SETTING_NULL;
    if (!d && null && qd_str_ends(v->key, QD_STR(".*"))) return 0;
    if (!d) return unknown_setting(schema, v, err);
    if ((d->flags & QD_SF_PRIVATE) && !trusted)
        return qd_err_set(err, QD_E_ARG, "private %s setting [%.*s] can not be set explicitly",
                          schema->scope, QD_STR_ARG(v->key));
    if (null) return 0;
    qd_err own;
    qd_err_init(&own);
    int rc = qd_str_is(LOGGER, d->key) ? check_component(v, &own) : 0;
    if (!rc) rc = check_value(d, v, &own);
    if (!rc && (d->flags & QD_SF_REFUSED) && !trusted && !is_default(d, v)) {
        rc = qd_err_set(&own, QD_E_ARG, "%s setting [%.*s] is not supported by this version",
                        schema->scope, QD_STR_ARG(v->key));
    }
    if (rc != 0) {
        char place[256];
        place_of(v, place, sizeof place);
        if (place[0])
            qd_err_set(err, rc, "%s%s", qd_err_reason(&own), place);
        else if (err)
            qd_err_copy(err, &own); /* with its cause */
    }
    qd_err_fini(&own);
    return rc;
}

int qd_schema_check(const qd_schema *schema, const qd_settings *s, bool trusted, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < qd_settings_count(s) && rc == 0; i++)
        rc = check_one(schema, qd_settings_at(s, i), trusted, err);
    return rc;
}

uint32_t qd_schema_mistakes(const qd_schema *schema, const qd_settings *s,
                            void (*tell)(void *arg, const char *text), void *arg)
{
    uint32_t n = 0;
    for (size_t i = 0; i < qd_settings_count(s); i++) {
        qd_err err;
        qd_err_init(&err);
        if (check_one(schema, qd_settings_at(s, i), false, &err)) {
            tell(arg, qd_err_reason(&err));
            n++;
        }
        qd_err_fini(&err);
    }
    return n;
}

void qd_schema_without_effect(const qd_schema *schema, const qd_settings *s, bool later,
                              void (*tell)(void *arg, const qd_setting_value *v, const char *text),
                              void *arg)
{
    char text[QD_SETTINGS_KEY_MAX + 1024];
    for (size_t i = 0; i < qd_settings_count(s); i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        const qd_setting_def *d = qd_schema_find(schema, v->key, NULL);
        uint32_t flags = d ? d->flags & (QD_SF_LATER | QD_SF_IGNORED | QD_SF_DEPRECATED) : 0;
        if (!flags || v->kind == QD_SETTING_NULL || is_default(d, v)) continue;
        if (later && !(flags & (QD_SF_LATER | QD_SF_DEPRECATED))) continue;
        const char *what = flags & QD_SF_LATER        ? "has no effect in this version"
                           : flags & QD_SF_DEPRECATED ? "is deprecated and has no effect"
                                                      : "has no effect";
        snprintf(text, sizeof text, "the %s setting [%.*s] %s: %s", schema->scope,
                 QD_STR_ARG(v->key), what, d->help);
        tell(arg, v, text);
    }
}

int qd_schema_check_dynamic(const qd_schema *schema, const qd_settings *update, const char *what,
                            qd_err *err)
{
    for (size_t i = 0; i < qd_settings_count(update); i++) {
        const qd_setting_value *v = qd_settings_at(update, i);
        qd_str key = v->key;
        if (v->kind == QD_SETTING_NULL && qd_str_ends(key, QD_STR(".*"))) continue;
        const qd_setting_def *d = qd_schema_find(schema, key, NULL);
        if (!d && schema == &qd_schema_node)
            return qd_err_set(err, QD_E_ARG, "%s setting [%.*s], not recognized", what,
                              QD_STR_ARG(key));
        if (!d) return unknown_setting(schema, v, err);
        if (d->flags & QD_SF_FINAL)
            return qd_err_set(err, QD_E_ARG, "final %s setting [%.*s], not updateable", what,
                              QD_STR_ARG(key));
        if (!(d->flags & QD_SF_DYNAMIC))
            return qd_err_set(err, QD_E_ARG, "%s setting [%.*s], not dynamically updateable", what,
                              QD_STR_ARG(key));
    }
    return 0;
}

int qd_schema_archive(const qd_schema *schema, const qd_settings *s, qd_settings **out,
                      uint32_t *moved, qd_err *err)
{
    qd_settings *made;
    uint32_t n = 0;
    int rc = qd_settings_new(NULL, &made, err);
    if (rc != 0) return rc;
    for (size_t i = 0; i < qd_settings_count(s) && rc == 0; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        if (check_one(schema, v, true, NULL) == 0) {
            rc = qd_settings_put_value(made, v->key, v, err);
            continue;
        }
        char key[QD_SETTINGS_KEY_MAX + 16];
        int len = snprintf(key, sizeof key, "archived.%.*s", QD_STR_ARG(v->key));
        rc = qd_settings_put_value(made, (qd_str){key, (size_t)len}, v, err);
        n++;
    }
    if (rc == 0) rc = qd_settings_seal(made, err);
    if (rc != 0) {
        qd_settings_unref(made);
        return rc;
    }
    if (moved) *moved = n;
    *out = made;
    return 0;
}
