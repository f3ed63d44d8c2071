/*
 * usable.c: each of the cluster's settings is applied for itself. What is stored may be of another
 * version, which knew other names and bounds, or may have been set by mistake: it must not keep
 * this node from starting, nor from following all other settings.
 */
#include "base/vec.h"
#include "config/breakers_int.h"
#include "config/config_int.h"
#include "config/value.h"
#include <stdio.h>

typedef struct item {
    const qd_setting_value *v;
    bool transient, out;
    char raised[32]; /* the value in place of its own; empty: none */
} item;

typedef struct usable {
    qd_config *c;
    qd_config_left left;
    void *arg;
    QD_VEC(item) items;
    qd_settings *sets[2]; /* persistent, transient */
} usable;

static void tell(const usable *u, const item *it, const char *why)
{
    if (u->left) u->left(u->arg, it->v->key, it->v->text, why);
}

/* Is it among the names and patterns of cluster.settings.ignore? */
static bool ignored(const usable *u, qd_str key)
{
    uint32_t n;
    const qd_str *names = qd_values_list(qd_config_values(u->c), QD_SET_CLUSTER_IGNORE, &n);
    for (uint32_t i = 0; i < n; i++) {
        qd_str name = names[i];
        bool open = qd_str_ends(name, QD_STR("*"));
        if (open ? qd_str_starts(key, qd_str_sub(name, 0, name.n - 1)) : qd_str_eq(key, name))
            return true;
    }
    return false;
}

/* A set of the items that are in; only: of this one alone. */
static int make_set(const usable *u, bool transient, const item *only, qd_settings **out,
                    qd_err *err)
{
    int rc = qd_settings_new(NULL, out, err);
    for (size_t i = 0; i < u->items.n && !rc; i++) {
        const item *it = &u->items.at[i];
        if (only ? it != only : it->out || it->transient != transient) continue;
        rc = it->raised[0] ? qd_settings_put(*out, it->v->key, qd_str_c(it->raised), err)
                           : qd_settings_put_value(*out, it->v->key, it->v, err);
    }
    return rc ? rc : qd_settings_seal(*out, err);
}

static void drop_sets(usable *u)
{
    for (int i = 0; i < 2; i++) {
        qd_settings_unref(u->sets[i]);
        u->sets[i] = NULL;
    }
}

/* Do the items that are in fit each other and the node? QD_E_NOMEM ends it all. */
static int fits(usable *u, qd_err *err)
{
    drop_sets(u);
    int rc = make_set(u, false, NULL, &u->sets[0], err);
    if (!rc) rc = make_set(u, true, NULL, &u->sets[1], err);
    return rc ? rc : qdi_config_fits(u->c, u->sets[0], u->sets[1], err);
}

/* What can be seen of one setting without the others. */
static int judge(usable *u, item *it, qd_err *err)
{
    qd_settings *one = NULL;
    qd_err why;
    if (ignored(u, it->v->key)) {
        it->out = true;
        tell(u, it, "the node's own setting [cluster.settings.ignore] names it");
        return 0;
    }
    qd_err_init(&why);
    int rc = make_set(u, it->transient, it, &one, &why);
    if (!rc)
        rc = qd_schema_check_dynamic(&qd_schema_node, one,
                                     it->transient ? "transient" : "persistent", &why);
    if (!rc) rc = qd_schema_check(&qd_schema_node, one, false, &why);
    if (!rc) rc = qd_index_defaults_check(one, &why);
    if (rc && rc != QD_E_NOMEM) {
        it->out = true;
        tell(u, it, qd_err_reason(&why));
    } else if (!rc &&
               qdi_breaker_raise(it->v->key, it->v->text, qd_config_memory(u->c), it->raised)) {
        char text[96];
        snprintf(text, sizeof text, "it is below the floor and counts as [%s]", it->raised);
        tell(u, it, text);
    }
    if (rc == QD_E_NOMEM) qd_err_copy(err, &why);
    qd_err_fini(&why);
    qd_settings_unref(one);
    return rc == QD_E_NOMEM ? rc : 0;
}

/* One that stands in the way of all others. *found: it is out, and the rest fits. */
static int leave_one(usable *u, const qd_err *why, bool *found, qd_err *err)
{
    int rc = QD_E_ARG;
    for (size_t i = 0; i < u->items.n && rc; i++) {
        item *it = &u->items.at[i];
        if (it->out) continue;
        it->out = true;
        rc = fits(u, err);
        if (rc == QD_E_NOMEM) return rc;
        if (rc) {
            it->out = false;
        } else {
            tell(u, it, qd_err_reason(why));
        }
    }
    *found = rc == 0;
    return 0;
}

/* As many as go together, one after the other. */
static int gather(usable *u, qd_err *err)
{
    QD_VEC(size_t) waiting = {0};
    int rc = 0;
    for (size_t i = 0; i < u->items.n && !rc; i++) {
        item *it = &u->items.at[i];
        if (it->out) continue;
        it->out = true;
        if (qd_vec_push(&waiting, NULL, i)) rc = qd_err_nomem(err, "settings");
    }
    for (bool more = true; more && !rc;) {
        more = false;
        for (size_t k = 0; k < waiting.n && !rc; k++) {
            item *it = &u->items.at[waiting.at[k]];
            if (!it->out) continue;
            it->out = false;
            rc = fits(u, NULL);
            if (rc == QD_E_NOMEM) break;
            if (rc) it->out = true;
            more |= !rc;
            rc = 0;
        }
    }
    for (size_t k = 0; k < waiting.n && !rc; k++) {
        const item *it = &u->items.at[waiting.at[k]];
        if (it->out) tell(u, it, "it does not fit the other settings");
    }
    qd_vec_fini(&waiting);
    return rc ? rc : fits(u, err);
}

static int add(usable *u, const qd_settings *s, bool transient, qd_err *err)
{
    size_t n = s ? qd_settings_count(s) : 0;
    for (size_t i = 0; i < n; i++) {
        item it = {.v = qd_settings_at(s, i), .transient = transient};
        if (qd_vec_push(&u->items, NULL, it)) return qd_err_nomem(err, "settings");
    }
    return 0;
}

static int choose(usable *u, qd_err *err)
{
    bool found = true;
    qd_err why;
    int rc = 0;
    for (size_t i = 0; i < u->items.n && !rc; i++) rc = judge(u, &u->items.at[i], err);
    if (rc) return rc;
    qd_err_init(&why);
    rc = fits(u, &why);
    if (rc == QD_E_NOMEM) {
        qd_err_copy(err, &why);
    } else if (rc) {
        qd_err ignore;
        qd_err_init(&ignore);
        rc = leave_one(u, &why, &found, &ignore);
        if (!rc && !found) rc = gather(u, err);
        qd_err_fini(&ignore);
    }
    qd_err_fini(&why);
    return rc;
}

int qdi_usable(qd_config *c, const qd_settings *persistent, const qd_settings *transient,
               qd_config_left left, void *arg, qd_settings *out[2], qd_err *err)
{
    usable u = {.c = c, .left = left, .arg = arg};
    int rc = add(&u, persistent, false, err);
    if (!rc) rc = add(&u, transient, true, err);
    if (!rc) rc = choose(&u, err);
    for (int i = 0; i < 2 && !rc; i++) out[i] = qd_settings_ref(u.sets[i]);
    drop_sets(&u);
    qd_vec_fini(&u.items);
    return rc;
}
