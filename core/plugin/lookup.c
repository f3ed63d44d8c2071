/*
 * lookup.c: a plugin uses what another one provides. Who looks up whom is kept as edges between
 * plugins: they never close a circle, and a plugin stops before those that it has looked up.
 */
#include "plugin/host_int.h"
#include <stdio.h>

/* Which host this thread loads or starts. Others look up when all are started; a tool, which starts
 * none, on the thread that has loaded them. */
static _Thread_local const qd_plugin_host *busy_here;

void qdi_lookup_loads(qd_plugin_host *h)
{
    h->loader = &busy_here;
}

const qd_plugin_host *qdi_lookup_busy(const qd_plugin_host *h)
{
    const qd_plugin_host *before = busy_here;
    busy_here = h;
    return before;
}

/* --- edges; all under h->lock --- */

static bool has_edge(const qd_plugin_host *h, const qd_self *from, const qd_self *to)
{
    for (size_t i = 0; i < h->edges.n; i++)
        if (h->edges.at[i].from == from && h->edges.at[i].to == to) return true;
    return false;
}

/* Is there a way from one plugin to another? Each plugin on it points back by `via`. */
static bool reaches(qd_plugin_host *h, qd_self *from, const qd_self *to)
{
    h->search++;
    from->search = h->search;
    from->via = NULL;
    for (bool more = from != to; more;) {
        more = false;
        for (size_t i = 0; i < h->edges.n; i++) {
            qd_self *a = h->edges.at[i].from, *b = h->edges.at[i].to;
            if (a->search != h->search || b->search == h->search) continue;
            b->search = h->search;
            b->via = a;
            if (b == to) return true;
            more = true;
        }
    }
    return from == to;
}

/* Names from `first` on, by next(), and `last` behind them: "a -> b -> a". */
static void add_name(char *text, size_t room, const char *name)
{
    size_t n = strlen(text);
    if (n < room) snprintf(text + n, room - n, "%s%s", n ? " -> " : "", name);
}

/* The way that reaches() has found, from its end back to its beginning, told in its direction. */
static void add_way(char *text, size_t room, const qd_self *end)
{
    if (!end) return;
    const qd_self *way[QD_PLUGINS_MAX];
    size_t n = 0;
    for (; end && n < QD_COUNT_OF(way); end = end->via) way[n++] = end;
    while (n-- > 0) add_name(text, room, way[n]->name);
}

static int refuse_circle(const qd_self *self, uint32_t kind, const char *name, const char *chain,
                         qd_err *err)
{
    return qd_err_set(err, QD_E_STATE,
                      "plugin [%s] looks up %s [%s]: wanted plugins that use each other in one "
                      "direction, found the circle %s",
                      self->name, qd_plugin_kind_name(kind), name, chain);
}

static int check_running(const qd_self *self, const qd_self *owner, qd_err *err)
{
    const qd_self *stopped = owner->state == QD_PLUGIN_STOPPED  ? owner
                             : self->state == QD_PLUGIN_STOPPED ? self
                                                                : NULL;
    return stopped ? qd_err_set(err, QD_E_CLOSED, "plugin [%s] is stopped", stopped->name) : 0;
}

/* Keeps that self uses owner, or refuses it: either the edge holds up owner's stop, or the stop
 * has begun before. */
static int add_edge(qd_self *self, qd_self *owner, uint32_t kind, const char *name, qd_err *err)
{
    qd_plugin_host *h = self->host;
    qd_mutex_lock(&h->lock);
    int rc = check_running(self, owner, err);
    if (!rc && !has_edge(h, self, owner)) {
        if (reaches(h, owner, self)) {
            char chain[1024] = "";
            add_name(chain, sizeof chain, self->name);
            add_way(chain, sizeof chain, self);
            rc = refuse_circle(self, kind, name, chain, err);
        } else if (qd_vec_push(&h->edges, &h->account, ((qd_plugin_edge){self, owner}))) {
            rc = qd_err_nomem(err, "a look-up");
        }
    }
    qd_mutex_unlock(&h->lock);
    return rc;
}

void qdi_edges_drop(qd_self *self)
{
    qd_plugin_host *h = self->host;
    size_t kept = 0;
    qd_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->edges.n; i++)
        if (h->edges.at[i].from != self) h->edges.at[kept++] = h->edges.at[i];
    h->edges.n = kept;
    qd_mutex_unlock(&h->lock);
}

/* Has a plugin that is not stopped looked it up? */
static bool used_by_running(const qd_plugin_host *h, const qd_self *self)
{
    for (size_t i = 0; i < h->edges.n; i++) {
        const qd_plugin_edge *e = &h->edges.at[i];
        if (e->to == self && e->from->state != QD_PLUGIN_STOPPED) return true;
    }
    return false;
}

qd_self *qdi_stop_begin(qd_plugin_host *h)
{
    qd_self *found = NULL;
    qd_mutex_lock(&h->lock);
    for (size_t i = h->plugins.n; i-- > 0 && !found;) {
        qd_self *self = h->plugins.at[i];
        bool runs = self->state == QD_PLUGIN_STARTED || self->state == QD_PLUGIN_LOADED;
        if (runs && !used_by_running(h, self)) found = self;
    }
    if (found) found->state = QD_PLUGIN_STOPPED;
    qd_mutex_unlock(&h->lock);
    return found;
}

/* --- looking up --- */

/* Plugins that are being initialised, from `last`, the outermost, to the present one, and last. */
static void add_initialising(char *text, size_t room, const qd_self *now, const qd_self *last)
{
    if (now != last) add_initialising(text, room, now->under, last);
    add_name(text, room, now->name);
}

/* A plugin that is being initialised is the one that provides it, or may come to. */
static int refuse_initialising(const qd_self *self, const qd_self *other, uint32_t kind,
                               const char *name, qd_err *err)
{
    char chain[1024] = "";
    add_initialising(chain, sizeof chain, self, other);
    add_name(chain, sizeof chain, other->name);
    return refuse_circle(self, kind, name, chain, err);
}

/* The one on the way to the present init that announces the kind and is not self. */
static const qd_self *announcing(const qd_self *self, uint32_t kind)
{
    for (const qd_self *s = self->under; s; s = s->under)
        if (s->announced & (1u << kind)) return s;
    return NULL;
}

static bool initialising(const qd_plugin_host *h, const qd_self *one)
{
    for (const qd_self *s = h->initialising; s; s = s->under)
        if (s == one) return true;
    return false;
}

/* Finds the provider; in init, initialises those that may be it. */
static int find(qd_self *self, uint32_t kind, const char *name, const void **vtable,
                qd_self **owner, qd_err *err)
{
    qd_plugin_host *h = self->host;
    qd_str text = qd_str_c(name);
    bool loading = busy_here == h && h->initialising == self;
    *vtable = qd_plugin_find(h, kind, text, owner);
    if (!*vtable && loading) {
        int rc = qdi_init_announcing(h, kind, text, err);
        if (rc) return rc;
        *vtable = qd_plugin_find(h, kind, text, owner);
    }
    if (*vtable && *owner != self && initialising(h, *owner))
        return refuse_initialising(self, *owner, kind, name, err);
    if (*vtable) return 0;
    const qd_self *other = loading ? announcing(self, kind) : NULL;
    if (other) return refuse_initialising(self, other, kind, name, err);
    char who[80];
    snprintf(who, sizeof who, "plugin [%s]", self->name);
    return qd_plugin_need(h, kind, text, who, vtable, owner, err);
}

static int check_version(const qd_self *self, uint32_t kind, const char *name, uint16_t major,
                         uint16_t minor, qd_err *err)
{
    uint16_t host_major, host_minor;
    qdi_kind_version(kind, &host_major, &host_minor);
    bool fits = major == host_major && (major == 0 ? minor == host_minor : minor <= host_minor);
    if (!fits)
        return qd_err_set(err, QD_E_ABI,
                          "plugin [%s] looks up %s [%s]: wanted version %u.%u of the kind, found "
                          "%u.%u; rebuild the plugin with this host's SDK",
                          self->name, qd_plugin_kind_name(kind), name, host_major, host_minor,
                          major, minor);
    bool own = self->builtin ||
               (self->plugin.build_id && strcmp(self->plugin.build_id, qd_plugin_build_id()) == 0);
    if (major == 0 && !own && !self->host->config.allow_unstable)
        return qd_err_set(err, QD_E_ABI,
                          "plugin [%s] looks up %s [%s], an unstable kind (%u.%u): wanted build id "
                          "[%s] or plugins.allow_unstable: true, found build id [%s]",
                          self->name, qd_plugin_kind_name(kind), name, major, minor,
                          qd_plugin_build_id(), self->plugin.build_id ? self->plugin.build_id : "");
    return 0;
}

int32_t qdi_lookup(qd_self *self, uint32_t kind, const char *name, uint16_t major, uint16_t minor,
                   const void **vtable, qd_self **owner, qd_err *err)
{
    if (!self || !vtable || !owner || !name)
        return qd_err_set(err, QD_E_ARG, "lookup wants a self, a name, a vtable and an owner");
    QD_CHECK(self, QD_SELF_MAGIC);
    *vtable = NULL;
    *owner = NULL;
    qd_plugin_host *h = self->host;
    if (!qd_plugin_kind_name(kind))
        return qd_err_set(err, QD_E_ABI, "plugin [%s] looks up [%s] of the unknown kind %u",
                          self->name, name, kind);
    bool here = busy_here == h;
    if (!h->started && !here && h->loader != &busy_here)
        return qd_err_set(err, QD_E_STATE,
                          "plugin [%s] looks up %s [%s] before all plugins are started: wanted the "
                          "thread of init or start, found another one",
                          self->name, qd_plugin_kind_name(kind), name);
    int rc = check_version(self, kind, name, major, minor, err);
    const void *found = NULL;
    qd_self *other = NULL;
    if (!rc) rc = find(self, kind, name, &found, &other, err);
    if (!rc) rc = add_edge(self, other, kind, name, err);
    /* A provider runs before who has looked it up does. */
    if (!rc && here && h->starting) rc = qdi_start_one(other, err);
    if (rc) return rc;
    *vtable = found;
    *owner = other;
    return 0;
}
