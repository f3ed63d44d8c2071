/*
 * config.c: the layers of a node's configuration and their updates. See config.h.
 *
 * A reader holds no reference: every qd_values ever published is kept until close, one (20 KB) for
 * each different set of settings that there was. A set that was there before is taken again, so
 * what switches settings to and fro costs nothing.
 */
#include "config/config.h"
#include "base/vec.h"
#include "config/addresses_int.h"
#include "config/config_int.h"
#include "config/roles_int.h"
#include "config/schema_int.h"
#include "config/value.h"
#include <stdatomic.h>
#include <stdio.h>

#define CONFIG_MAGIC 0x51434f4eu
#define VALUE_TEXT_MAX (1u << 20)

enum {
    LAYER_ROLE,
    LAYER_FILE,
    LAYER_ENVIRONMENT,
    LAYER_FLAGS,
    LAYER_PERSISTENT,
    LAYER_TRANSIENT,
    LAYERS
};

typedef struct listener {
    const char *key;
    int (*check)(void *arg, const qd_values *next, qd_err *err);
    void (*apply)(void *arg, const qd_values *next);
    void *arg;
} listener;

struct qd_config {
    uint32_t magic;
    int64_t machine_memory;
    char file[256], role[32];
    qd_settings *layers[LAYERS]; /* sealed once ready */
    _Atomic(qd_values *) values;
    QD_VEC(qd_values *) kept; /* every one published */
    QD_VEC(listener) listeners;
    bool ready, container, k8s_by_environment, bind_by_environment;
    void (*tell)(void *arg, const char *text); /* of each mistake; NULL: the first one counts */
    void *tell_arg;
    char mode_by_name[32]; /* coordination.mode of the environment, beside USE_K8S_COORDINATION */
};

static const struct {
    const char *variable, *key;
} environment[] = {
#define QD_ENVIRONMENT(variable, key) {variable, key},
#include "config/environment.def"
#undef QD_ENVIRONMENT
};

int qd_config_open(int64_t machine_memory, qd_config **out, qd_err *err)
{
    qd_config *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "the configuration");
    c->magic = CONFIG_MAGIC;
    c->machine_memory = machine_memory;
    for (int i = 0; i < LAYERS; i++) {
        int rc = qd_settings_new(NULL, &c->layers[i], err);
        if (rc != 0) {
            qd_config_close(c);
            return rc;
        }
    }
    *out = c;
    return 0;
}

void qd_config_close(qd_config *c)
{
    if (!c) return;
    QD_CHECK(c, CONFIG_MAGIC);
    for (size_t i = 0; i < c->kept.n; i++) qd_values_unref(c->kept.at[i]);
    for (int i = 0; i < LAYERS; i++) qd_settings_unref(c->layers[i]);
    qd_vec_fini(&c->kept);
    qd_vec_fini(&c->listeners);
    c->magic = 0;
    qd_free(c);
}

/* --- ${VAR} --------------------------------------------------------------------------------- */

/* Appends the value of the placeholder whose inside is `name[:default]`. */
static int expand_one(qd_str inside, const char *(*get)(const char *name), qd_buf *out, qd_err *err)
{
    ptrdiff_t colon = qd_str_find(inside, ':');
    qd_str name = colon < 0 ? inside : qd_str_sub(inside, 0, (size_t)colon);
    char variable[256];
    if (name.n == 0 || name.n >= sizeof variable)
        return qd_err_set(err, QD_E_CONFIG, "Could not resolve placeholder '%.*s'",
                          QD_STR_ARG(inside));
    memcpy(variable, name.p, name.n);
    variable[name.n] = 0;
    const char *value = get(variable);
    if (value)
        qd_buf_c(out, value);
    else if (colon >= 0)
        qd_buf_str(out, qd_str_sub(inside, (size_t)colon + 1, SIZE_MAX));
    else
        return qd_err_set(err, QD_E_CONFIG, "Could not resolve placeholder '%s'", variable);
    return 0;
}

static int expand(qd_str text, const char *(*get)(const char *name), qd_buf *out, qd_err *err)
{
    qd_buf_reset(out);
    while (text.n) {
        ptrdiff_t at = qd_str_find_str(text, QD_STR("${"));
        qd_str behind = at < 0 ? (qd_str){NULL, 0} : qd_str_sub(text, (size_t)at + 2, SIZE_MAX);
        ptrdiff_t end = at < 0 ? -1 : qd_str_find(behind, '}');
        if (end < 0) {
            qd_buf_str(out, text);
            break;
        }
        qd_buf_str(out, qd_str_sub(text, 0, (size_t)at));
        int rc = expand_one(qd_str_sub(behind, 0, (size_t)end), get, out, err);
        if (rc != 0) return rc;
        text = qd_str_sub(behind, (size_t)end + 1, SIZE_MAX);
    }
    int rc = qd_buf_status(out);
    return rc ? qd_err_set(err, rc, "a value after replacement of ${...}") : 0;
}

static bool has_placeholder(const qd_setting_value *v)
{
    return qd_str_find_str(v->text, QD_STR("${")) >= 0;
}

/* Puts v, expanded, over itself in s (open). */
static int expand_value(qd_settings *s, const qd_setting_value *v,
                        const char *(*get)(const char *name), qd_buf *b, qd_err *err)
{
    qd_setting_value copy = *v;
    int rc = expand(v->text, get, b, err);
    if (rc == 0 && v->kind == QD_SETTING_TEXT) {
        rc = qd_settings_put(s, copy.key, qd_buf_view(b), err);
    } else if (rc == 0) { /* a list: its joined text, expanded, is cut again */
        QD_VEC(qd_str) items = {0};
        qd_str rest = qd_buf_view(b);
        while (rc == 0 && rest.p && rest.n) {
            if (qd_vec_push(&items, NULL, qd_str_split(&rest, ',')) != 0)
                rc = qd_err_nomem(err, "settings");
        }
        if (rc == 0) rc = qd_settings_put_list(s, copy.key, items.at, (uint32_t)items.n, err);
        qd_vec_fini(&items);
    }
    if (rc == 0) qd_settings_origin(s, copy.key, copy.origin, copy.line);
    return rc;
}

/* The layer of a file: parsed, placeholders replaced, sealed, names and values checked. */
static int read_file(qd_config *c, qd_str text, const char *(*get)(const char *name),
                     qd_settings **out, qd_err *err)
{
    qd_settings *raw = NULL, *made = NULL;
    qd_buf b;
    qd_buf_init(&b, NULL, VALUE_TEXT_MAX);
    int rc = qd_settings_new(NULL, &raw, err);
    if (rc == 0) rc = qd_settings_put_yaml(raw, text, c->file, err);
    if (rc == 0) rc = qd_settings_seal(raw, err);
    if (rc == 0) rc = qd_settings_new(NULL, &made, err);
    for (size_t i = 0; rc == 0 && i < qd_settings_count(raw); i++) {
        const qd_setting_value *v = qd_settings_at(raw, i);
        rc = qd_settings_put_value(made, v->key, v, err);
        if (rc == 0 && has_placeholder(v))
            rc = expand_value(made, qd_settings_get(made, v->key), get, &b, err);
    }
    if (rc == 0) rc = qd_settings_seal(made, err);
    /* where all mistakes are told, those of the other sources are wanted too */
    if (rc == 0 && !c->tell) rc = qd_schema_check(&qd_schema_node, made, false, err);
    qd_settings_unref(raw);
    qd_buf_fini(&b);
    if (rc != 0) {
        qd_settings_unref(made);
        return rc;
    }
    *out = made;
    return 0;
}

void qd_config_tell(qd_config *c, void (*tell)(void *arg, const char *text), void *arg)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    c->tell = tell;
    c->tell_arg = arg;
}

int qd_config_file(qd_config *c, qd_str text, const char *file,
                   const char *(*get)(const char *name), qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    snprintf(c->file, sizeof c->file, "%s", file);
    qd_settings *made;
    int rc = read_file(c, text, get, &made, err);
    if (rc != 0) return rc;
    qd_settings_unref(c->layers[LAYER_FILE]);
    c->layers[LAYER_FILE] = made;
    return 0;
}

/* --- environment and flags ---------------------------------------------------------------------
 */

/* A list without empty parts and without an ellipsis ("a:9301,..."). */
static int put_addresses(qd_settings *s, qd_str key, qd_str text, qd_err *err)
{
    QD_VEC(qd_str) items = {0};
    int rc = 0;
    for (qd_str rest = text; rest.p && rc == 0;) {
        qd_str item = qd_str_trim(qd_str_split(&rest, ','));
        if (item.n == 0 || qd_str_is(item, "...")) continue;
        if (qd_vec_push(&items, NULL, item) != 0) rc = qd_err_nomem(err, "settings");
    }
    if (rc == 0) rc = qd_settings_put_list(s, key, items.at, (uint32_t)items.n, err);
    qd_vec_fini(&items);
    return rc;
}

static int put_variable(qd_config *c, const char *variable, qd_str key, qd_str text, qd_err *err)
{
    qd_settings *s = c->layers[LAYER_ENVIRONMENT];
    const qd_setting_def *d = qd_schema_find(&qd_schema_node, key, NULL);
    qd_assert(d != NULL);
    if (strcmp(variable, "USE_K8S_COORDINATION") == 0) {
        bool k8s;
        if (qd_value_bool(text, &k8s, NULL) != 0)
            return qd_err_set(err, QD_E_CONFIG,
                              "environment variable %s: [%.*s] is neither true nor false", variable,
                              QD_STR_ARG(text));
        c->k8s_by_environment = true;
        text = k8s ? QD_STR("k8s-native") : QD_STR("master");
    }
    if (strcmp(variable, "BIND_ADDR") == 0) c->bind_by_environment = true;
    return d->type == QD_ST_LIST ? put_addresses(s, key, text, err)
                                 : qd_settings_put(s, key, text, err);
}

int qd_config_environment(qd_config *c, const char *(*get)(const char *name), qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    static const char *const origins[] = {
#define QD_ENVIRONMENT(variable, key) "environment variable " variable,
#include "config/environment.def"
#undef QD_ENVIRONMENT
    };
    qd_settings *s = c->layers[LAYER_ENVIRONMENT];
    for (size_t i = 0; i < QD_COUNT_OF(environment); i++) {
        const char *text = get(environment[i].variable);
        qd_str key = qd_str_c(environment[i].key);
        if (!text || !*text || qd_settings_get(s, key)) continue;
        int rc = put_variable(c, environment[i].variable, key, qd_str_c(text), err);
        if (rc != 0) return rc;
        qd_settings_origin(s, key, origins[i], 0);
    }
    return 0;
}

/* [a-z0-9_-]+(.[a-z0-9_-]+)+ */
static bool is_setting_name(qd_str name)
{
    size_t part = 0, dots = 0;
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        if (ch == '.') {
            if (part == 0) return false;
            part = 0;
            dots++;
        } else if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-') {
            part++;
        } else {
            return false;
        }
    }
    return dots > 0 && part > 0;
}

int qd_config_environment_names(qd_config *c, const char *(*at)(size_t i), qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    qd_settings *s = c->layers[LAYER_ENVIRONMENT];
    const char *variable;
    for (size_t i = 0; (variable = at(i)) != NULL; i++) {
        qd_str key = qd_str_c(variable);
        ptrdiff_t eq = qd_str_find(key, '=');
        if (eq <= 0 || (size_t)eq + 1 == key.n) continue; /* an empty one counts as unset */
        qd_str value = qd_str_sub(key, (size_t)eq + 1, SIZE_MAX);
        key = qd_str_sub(key, 0, (size_t)eq);
        if (c->k8s_by_environment && qd_str_is(key, "coordination.mode"))
            snprintf(c->mode_by_name, sizeof c->mode_by_name, "%.*s", QD_STR_ARG(value));
        if (!is_setting_name(key) || qd_settings_get(s, key)) continue;
        const qd_setting_def *d = qd_schema_find(&qd_schema_node, key, NULL);
        int rc = d && d->type == QD_ST_LIST ? put_addresses(s, key, value, err)
                                            : qd_settings_put(s, key, value, err);
        if (rc != 0) return rc;
        qd_settings_origin(s, key, "environment", 0);
    }
    return 0;
}

int qd_config_flag(qd_config *c, qd_str key_value, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    ptrdiff_t at = qd_str_find(key_value, '=');
    if (at <= 0)
        return qd_err_set(err, QD_E_ARG, "-E wants key=value, not [%.*s]", QD_STR_ARG(key_value));
    qd_str key = qd_str_sub(key_value, 0, (size_t)at);
    qd_settings *s = c->layers[LAYER_FLAGS];
    if (qd_settings_get(s, key))
        return qd_err_set(err, QD_E_ARG, "setting [%.*s] already set, saw it twice with -E",
                          QD_STR_ARG(key));
    int rc = qd_settings_put(s, key, qd_str_sub(key_value, (size_t)at + 1, SIZE_MAX), err);
    if (rc == 0) qd_settings_origin(s, key, "flag -E", 0);
    return rc;
}

/* --- merging and publishing --------------------------------------------------------------------
 */

/* Half of what may be used, at least the table's minimum. */
static int64_t auto_memory(const qd_config *c)
{
    int64_t half = c->machine_memory / 2, least = qd_schema_node.defs[QD_SET_NODE_MEMORY].min;
    return half > least ? half : least;
}

/* What indices are to have is found here, not when the first one is made. */
static int check_index_defaults(const qd_settings *s, qd_err *err)
{
    qd_err why;
    qd_err_init(&why);
    int rc = qd_index_defaults_check(s, &why);
    if (rc)
        rc = qd_err_set(err, rc == QD_E_NOMEM ? rc : QD_E_CONFIG, "cluster.default.index.*: %s",
                        qd_err_reason(&why));
    qd_err_fini(&why);
    return rc;
}

/* Mistakes of settings that are merged; those of the defaults of indices only as far as the first.
 */
static void tell_all(const qd_config *c, const qd_settings *merged)
{
    qd_err why;
    qd_err_init(&why);
    (void)!qd_schema_mistakes(&qd_schema_node, merged, c->tell, c->tell_arg);
    if (check_index_defaults(merged, &why)) c->tell(c->tell_arg, qd_err_reason(&why));
    qd_err_fini(&why);
}

/* The values of settings that are merged and sealed. */
static int parse_values(qd_config *c, qd_settings *merged, qd_values **out, qd_err *err)
{
    int rc = qd_schema_check(&qd_schema_node, merged, false, err);
    if (rc == 0) rc = check_index_defaults(merged, err);
    if (rc && c->tell) tell_all(c, merged);
    int64_t memory = auto_memory(c);
    if (rc == 0) {
        const qd_setting_def *d = &qd_schema_node.defs[QD_SET_NODE_MEMORY];
        qdi_parsed p = {0};
        qd_str text = qd_settings_text(merged, d->key);
        if (text.p) rc = qdi_value_parse(d, qd_str_c(d->key), text, 0, &p, err);
        if (p.i > 0) memory = p.i;
    }
    qd_values *v = NULL;
    if (rc == 0) rc = qd_values_new(&qd_schema_node, merged, memory, &v, err);
    if (rc == 0 && (rc = qd_values_check(v, err)) != 0) qd_values_unref(v);
    if (rc == 0) *out = v;
    return rc;
}

static int make_values(qd_config *c, qd_settings *const layers[LAYERS], qd_values **out,
                       qd_err *err)
{
    qd_settings *merged = NULL;
    int rc = qd_settings_new(NULL, &merged, err);
    for (int i = 0; i < LAYERS && rc == 0; i++) rc = qd_settings_merge(merged, layers[i], err);
    if (rc == 0) rc = qd_settings_seal(merged, err);
    if (rc == 0) rc = parse_values(c, merged, out, err);
    qd_settings_unref(merged);
    return rc;
}

/* Takes *v, or gives it up for the same of before. */
static int publish(qd_config *c, qd_values **v, qd_err *err)
{
    const qd_settings *s = qd_values_settings(*v);
    size_t i = 0;
    while (i < c->kept.n && !qd_settings_equal(qd_values_settings(c->kept.at[i]), s)) i++;
    if (i < c->kept.n) {
        qd_values_unref(*v);
        *v = c->kept.at[i];
    } else if (qd_vec_push(&c->kept, NULL, *v) != 0) {
        return qd_err_nomem(err, "settings");
    }
    atomic_store_explicit(&c->values, *v, memory_order_release);
    return 0;
}

static int two_modes(qd_str wanted, qd_str mode, const char *where, qd_err *err)
{
    if (!mode.n || qd_str_ieq(mode, wanted)) return 0;
    return qd_err_set(err, QD_E_CONFIG,
                      "USE_K8S_COORDINATION asks for coordination.mode [%.*s], but it is set to "
                      "[%.*s] (%s): unset one of them",
                      QD_STR_ARG(wanted), QD_STR_ARG(mode), where);
}

/* USE_K8S_COORDINATION beside another coordination.mode: nobody can know which one is meant. */
static int check_mode(const qd_config *c, qd_err *err)
{
    static const char key[] = "coordination.mode";
    if (!c->k8s_by_environment) return 0;
    qd_str wanted = qd_settings_text(c->layers[LAYER_ENVIRONMENT], key);
    int rc = two_modes(wanted, qd_settings_text(c->layers[LAYER_FILE], key), c->file, err);
    if (!rc) rc = two_modes(wanted, qd_settings_text(c->layers[LAYER_FLAGS], key), "flag -E", err);
    if (!rc) rc = two_modes(wanted, qd_str_c(c->mode_by_name), "environment", err);
    return rc;
}

int qd_config_role(qd_config *c, qd_str role, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    int rc = qdi_roles_known(role, err);
    if (rc == 0) snprintf(c->role, sizeof c->role, "%.*s", QD_STR_ARG(role));
    return rc;
}

void qd_config_container(qd_config *c)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    c->container = true;
}

/* What follows from the roles and the container, below all other sources. */
static int role_layer(qd_config *c, qd_err *err)
{
    const qd_setting_value *set = NULL, *tier = NULL, *product = NULL;
    for (int i = LAYER_FLAGS; i >= LAYER_FILE; i--) {
        if (!set) set = qd_settings_get(c->layers[i], QD_STR("node.roles"));
        if (!tier) tier = qd_settings_get(c->layers[i], QD_STR("storage.tier"));
        if (!product) product = qd_settings_get(c->layers[i], QD_STR("compatibility.identity"));
    }
    int rc = qdi_roles_defaults(qd_str_c(c->role), set, tier, c->layers[LAYER_ROLE], err);
    if (!rc) rc = qdi_product_defaults(product, c->layers[LAYER_ROLE], err);
    if (!rc && c->container) rc = qdi_container_defaults(c->layers[LAYER_ROLE], err);
    return rc ? rc : qd_settings_seal(c->layers[LAYER_ROLE], err);
}

int qd_config_ready(qd_config *c, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(!c->ready);
    int rc = check_mode(c, err);
    if (rc == 0) rc = role_layer(c, err);
    if (rc == 0 && c->bind_by_environment &&
        !qd_settings_get(c->layers[LAYER_FILE], QD_STR("security.enabled")) &&
        !qd_settings_get(c->layers[LAYER_FLAGS], QD_STR("security.enabled"))) {
        qd_settings *s = c->layers[LAYER_ENVIRONMENT];
        rc = qd_settings_put(s, QD_STR("security.enabled"), QD_STR("false"), err);
        qd_settings_origin(s, QD_STR("security.enabled"), "environment variable BIND_ADDR", 0);
    }
    for (int i = LAYER_ENVIRONMENT; i < LAYERS && rc == 0; i++)
        rc = qd_settings_seal(c->layers[i], err);
    if (rc == 0 && qd_settings_count(c->layers[LAYER_FILE]) == 0 && !c->file[0])
        rc = qd_settings_seal(c->layers[LAYER_FILE], err);
    qd_values *v = NULL;
    if (rc == 0) rc = make_values(c, c->layers, &v, err);
    if (rc == 0) rc = qdi_addresses_check(c, v, err);
    if (rc == 0) rc = publish(c, &v, err);
    if (rc != 0) qd_values_unref(v);
    if (rc == 0) c->ready = true;
    return rc;
}

const qd_values *qd_config_values(const qd_config *c)
{
    QD_CHECK(c, CONFIG_MAGIC);
    return atomic_load_explicit(&c->values, memory_order_acquire);
}

int64_t qd_config_i64(const qd_config *c, qd_set id)
{
    return qd_values_i64(qd_config_values(c), id);
}

int64_t qd_config_ms(const qd_config *c, qd_set id)
{
    return qd_values_ms(qd_config_values(c), id);
}

bool qd_config_bool(const qd_config *c, qd_set id)
{
    return qd_values_bool(qd_config_values(c), id);
}

qd_str qd_config_text(const qd_config *c, qd_set id)
{
    return qd_values_text(qd_config_values(c), id);
}

int64_t qd_config_memory(const qd_config *c)
{
    int64_t set = qd_config_i64(c, QD_SET_NODE_MEMORY);
    return set > 0 ? set : auto_memory(c);
}

int64_t qd_config_index_buffer(const qd_config *c)
{
    const qd_values *v = qd_config_values(c);
    int64_t bytes = qd_values_i64(v, QD_SET_INDEX_BUFFER);
    if (!qd_str_ends(qd_str_trim(qd_values_text(v, QD_SET_INDEX_BUFFER)), QD_STR("%")))
        return bytes;
    int64_t least = qd_values_i64(v, QD_SET_INDEX_BUFFER_MIN);
    int64_t most = qd_values_i64(v, QD_SET_INDEX_BUFFER_MAX);
    if (bytes < least) bytes = least;
    return most >= 0 && bytes > most ? most : bytes;
}

int64_t qd_config_index_early(const qd_config *c)
{
    const qd_values *v = qd_config_values(c);
    int64_t early = qd_values_i64(v, QD_SET_INDEX_BUFFER_EARLY), all = qd_config_index_buffer(c);
    bool percent = qd_str_ends(qd_str_trim(qd_values_text(v, QD_SET_INDEX_BUFFER)), QD_STR("%"));
    return percent && early > 0 && early < all ? early : all;
}

const qd_settings *qd_config_settings(const qd_config *c)
{
    return qd_values_settings(qd_config_values(c));
}

int qd_config_origin(const qd_config *c, qd_str key, qd_buf *out)
{
    static const char *const names[LAYERS] = {
        "default of the role", "file", "environment", "flag -E", "persistent", "transient"};
    for (int i = LAYERS - 1; i >= 0; i--) {
        const qd_setting_value *v = qd_settings_get(c->layers[i], key);
        if (!v || v->kind == QD_SETTING_NULL) continue;
        if (v->origin && v->line) return qd_buf_printf(out, "file %s, line %u", v->origin, v->line);
        return qd_buf_c(out, v->origin ? v->origin : names[i]);
    }
    return qd_buf_c(out, "default");
}

bool qd_config_by_role(const qd_config *c, qd_str key)
{
    for (int i = LAYERS - 1; i > LAYER_ROLE; i--) {
        const qd_setting_value *v = qd_settings_get(c->layers[i], key);
        if (v && v->kind != QD_SETTING_NULL) return false;
    }
    return qd_settings_get(c->layers[LAYER_ROLE], key) != NULL;
}

bool qd_config_bind_addr(const qd_config *c)
{
    return c->bind_by_environment;
}

/* --- updates ------------------------------------------------------------------------------------
 */

int qd_config_listen(qd_config *c, const char *key,
                     int (*check)(void *arg, const qd_values *next, qd_err *err),
                     void (*apply)(void *arg, const qd_values *next), void *arg, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    listener l = {key, check, apply, arg};
    return qd_vec_push(&c->listeners, NULL, l) ? qd_err_nomem(err, "settings") : 0;
}

static bool value_changed(const qd_setting_value *a, const qd_setting_value *b)
{
    bool an = !a || a->kind == QD_SETTING_NULL, bn = !b || b->kind == QD_SETTING_NULL;
    return an || bn ? an != bn : !qd_str_eq(a->text, b->text);
}

/* Does anything that l listens to differ? */
static bool concerns(const listener *l, const qd_settings *a, const qd_settings *b)
{
    qd_str key = qd_str_c(l->key);
    if (key.n == 0 || key.p[key.n - 1] != '.')
        return value_changed(qd_settings_get(a, key), qd_settings_get(b, key));
    for (int side = 0; side < 2; side++) {
        const qd_settings *x = side ? b : a, *y = side ? a : b;
        size_t n, first = qd_settings_group(x, key, &n);
        for (size_t i = first; i < first + n; i++) {
            const qd_setting_value *v = qd_settings_at(x, i);
            if (value_changed(v, qd_settings_get(y, v->key))) return true;
        }
    }
    return false;
}

/* Do all listeners take next? */
static int ask_listeners(const qd_config *c, const qd_values *next, qd_err *err)
{
    const qd_settings *before = qd_config_settings(c), *after = qd_values_settings(next);
    int rc = 0;
    for (size_t i = 0; i < c->listeners.n && rc == 0; i++) {
        const listener *l = &c->listeners.at[i];
        if (l->check && concerns(l, before, after)) rc = l->check(l->arg, next, err);
    }
    return rc;
}

/* Checks, then publishes and applies. On success the layers are taken. */
static int update(qd_config *c, qd_settings *const layers[LAYERS], qd_err *err)
{
    qd_values *next = NULL;
    const qd_settings *before = qd_config_settings(c);
    int rc = make_values(c, layers, &next, err);
    if (rc != 0) return rc;
    rc = ask_listeners(c, next, err);
    if (rc == 0) rc = publish(c, &next, err);
    if (rc != 0) {
        qd_values_unref(next);
        return rc;
    }
    const qd_settings *after = qd_values_settings(next);
    for (int i = 0; i < LAYERS; i++) {
        if (layers[i] == c->layers[i]) continue;
        qd_settings_unref(c->layers[i]);
        c->layers[i] = qd_settings_ref(layers[i]);
    }
    for (size_t i = 0; i < c->listeners.n; i++) {
        listener *l = &c->listeners.at[i];
        if (l->apply && concerns(l, before, after)) l->apply(l->arg, next);
    }
    return 0;
}

int qd_config_try(qd_config *c, qd_settings *all, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_values *next = NULL;
    int rc = parse_values(c, all, &next, err);
    if (rc != 0) return rc;
    rc = ask_listeners(c, next, err);
    qd_values_unref(next);
    return rc;
}

int qdi_config_fits(qd_config *c, qd_settings *persistent, qd_settings *transient, qd_err *err)
{
    qd_settings *layers[LAYERS];
    qd_values *next = NULL;
    memcpy(layers, c->layers, sizeof layers);
    layers[LAYER_PERSISTENT] = persistent;
    layers[LAYER_TRANSIENT] = transient;
    int rc = make_values(c, layers, &next, err);
    if (rc != 0) return rc;
    rc = ask_listeners(c, next, err);
    qd_values_unref(next);
    return rc;
}

int qd_config_cluster(qd_config *c, qd_settings *persistent, qd_settings *transient,
                      qd_config_left left, void *arg, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(c->ready);
    qd_settings *layers[LAYERS], *sets[2] = {NULL, NULL};
    memcpy(layers, c->layers, sizeof layers);
    int rc = qdi_usable(c, persistent, transient, left, arg, sets, err);
    layers[LAYER_PERSISTENT] = sets[0];
    layers[LAYER_TRANSIENT] = sets[1];
    if (rc == 0) rc = update(c, layers, err);
    qd_settings_unref(sets[0]);
    qd_settings_unref(sets[1]);
    return rc;
}

static bool reloadable(qd_str key)
{
    const qd_setting_def *d = qd_schema_find(&qd_schema_node, key, NULL);
    return d && (d->flags & (QD_SF_RELOAD | QD_SF_DYNAMIC)) != 0;
}

static void note_restart(qd_buf *restart, qd_str key)
{
    if (restart->n) qd_buf_c(restart, ", ");
    qd_buf_str(restart, key);
}

int qd_config_reload(qd_config *c, qd_str text, const char *(*get)(const char *name),
                     qd_buf *restart, qd_err *err)
{
    QD_CHECK(c, CONFIG_MAGIC);
    qd_assert(c->ready);
    const qd_settings *old = c->layers[LAYER_FILE];
    qd_settings *read = NULL, *next = NULL;
    int rc = read_file(c, text, get, &read, err);
    if (rc == 0) rc = qd_settings_new(NULL, &next, err);
    for (size_t i = 0; rc == 0 && i < qd_settings_count(old); i++) {
        const qd_setting_value *v = qd_settings_at(old, i);
        const qd_setting_value *now = qd_settings_get(read, v->key);
        if (!reloadable(v->key)) {
            if (value_changed(v, now)) note_restart(restart, v->key);
            rc = qd_settings_put_value(next, v->key, v, err);
        }
    }
    for (size_t i = 0; rc == 0 && i < qd_settings_count(read); i++) {
        const qd_setting_value *v = qd_settings_at(read, i);
        if (reloadable(v->key))
            rc = qd_settings_put_value(next, v->key, v, err);
        else if (!qd_settings_get(old, v->key))
            note_restart(restart, v->key);
    }
    if (rc == 0) rc = qd_settings_seal(next, err);
    qd_settings *layers[LAYERS];
    memcpy(layers, c->layers, sizeof layers);
    layers[LAYER_FILE] = next;
    if (rc == 0) rc = update(c, layers, err);
    qd_settings_unref(read);
    qd_settings_unref(next);
    return rc;
}
