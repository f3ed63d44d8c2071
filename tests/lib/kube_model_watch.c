/*
 * kube_model_watch.c: watches: from a revision on, filtered, as old as the cache behind them, with
 * bookmarks, an end, and the ways in which they fail.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"
#include <inttypes.h>

void km_watch_free(km_watch *w)
{
    if (!w) return;
    json_decref(w->labels);
    free(w->ns);
    free(w->name);
    free(w);
}

/* {"type": ..., "object": ...} and a newline. */
static char *line_of(const char *type, const char *text, size_t *n)
{
    size_t room = strlen(text) + 64;
    char *out = km_alloc(room);
    *n = (size_t)snprintf(out, room, "{\"type\":\"%s\",\"object\":%s}\n", type, text);
    return out;
}

static char *line(const char *type, json_t *object, size_t *n)
{
    char *text = json_dumps(object, JSON_COMPACT);
    char *out = line_of(type, text, n);
    free(text);
    return out;
}

static json_t *with_version(const km_kind *k, const json_t *like, uint64_t revision)
{
    json_t *o;
    if (like) {
        o = json_copy((json_t *)like);
        json_object_set_new(o, "metadata", json_copy(km_meta(like)));
    } else {
        char gv[160];
        snprintf(gv, sizeof gv, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
        o = json_pack("{s:s, s:s, s:{s:n}}", "kind", k->kind, "apiVersion", gv, "metadata",
                      "creationTimestamp");
    }
    json_object_set_new(km_meta(o), "resourceVersion", json_sprintf("%" PRIu64, revision));
    return o;
}

static void over(kube_model *m, km_exchange *e, int32_t outcome, const char *why)
{
    if (e->watch->over) return;
    e->watch->over = true;
    km_stream_end(m, e, outcome, why);
}

/* An ERROR event, and the end. */
static void gone(kube_model *m, km_exchange *e, uint64_t from)
{
    char why[128];
    size_t n;
    snprintf(why, sizeof why, "too old resource version: %" PRIu64 " (%" PRIu64 ")", from,
             m->compacted);
    json_t *s = km_status(410, "Expired", why);
    char *bytes = line("ERROR", s, &n);
    json_decref(s);
    km_stream(m, e, bytes, n);
    over(m, e, KUBE_ANSWERED, NULL);
}

/* The fault of a watch, when its events are told. false: the stream is over or silent. */
static bool goes_on(kube_model *m, km_exchange *e, char *bytes, size_t n)
{
    km_watch *w = e->watch;
    bool broken = e->fault >= KUBE_FAULT_WATCH_SILENT;
    if (!broken || e->events-- > 0) {
        km_stream(m, e, bytes, n);
        return true;
    }
    if (e->fault == KUBE_FAULT_WATCH_TORN)
        km_stream(m, e, bytes, km_below(m, n));
    else
        free(bytes);
    if (e->fault == KUBE_FAULT_WATCH_SILENT)
        w->silent = true;
    else if (e->fault == KUBE_FAULT_WATCH_TORN)
        over(m, e, KUBE_NO_ANSWER, "the stream broke off");
    else if (e->fault == KUBE_FAULT_WATCH_GONE)
        gone(m, e, w->sent);
    else
        over(m, e, KUBE_ANSWERED, NULL);
    return false;
}

static bool event(kube_model *m, km_exchange *e, const char *type, json_t *object)
{
    size_t n;
    char *bytes = line(type, object, &n);
    return goes_on(m, e, bytes, n);
}

static bool concerns(const km_watch *w, const json_t *o)
{
    return o && (!*w->name || !strcmp(w->name, km_name(o))) &&
           (!*w->ns || !strcmp(w->ns, km_ns(o))) && km_selected(w->labels, o);
}

static bool tell(kube_model *m, km_exchange *e, km_change *c)
{
    km_watch *w = e->watch;
    bool was = concerns(w, c->before), is = !c->deleted && concerns(w, c->after);
    w->sent = c->revision;
    if (is) { /* the same text for all that watch */
        size_t n;
        if (!c->text) c->text = json_dumps(c->after, JSON_COMPACT);
        char *bytes = line_of(was ? "MODIFIED" : "ADDED", c->text, &n);
        return goes_on(m, e, bytes, n);
    }
    if (!was) return true;
    /* deleted, or not selected any more: its last state that was, with the new version */
    json_t *o = with_version(w->kind, c->deleted ? c->after : c->before, c->revision);
    bool on = event(m, e, "DELETED", o);
    json_decref(o);
    return on;
}

static void pump_at(kube_model *m, km_exchange *e, uint64_t due_ns)
{
    if (e->watch->pumping) return;
    e->watch->pumping = true;
    km_do_at(m, due_ns, KM_PUMP, e, NULL);
}

/* The first change of its kind that it was not told. */
static km_change *next_change(const kube_model *m, const km_watch *w)
{
    for (size_t i = km_history_above(m, w->sent); i < m->nhistory; i++)
        if (m->history[i].kind == w->kind) return &m->history[i];
    return NULL;
}

void km_watch_pump(kube_model *m, km_exchange *e)
{
    km_watch *w = e->watch;
    km_change *c;
    if (!w) return;
    w->pumping = false;
    if (w->over || w->silent) return;
    while (!w->missed && (c = next_change(m, w))) {
        uint64_t due = c->at_ns + e->c->lag_ns;
        if (due > m->now_ns) {
            pump_at(m, e, due);
            return;
        }
        if (!tell(m, e, c)) return;
    }
    if (w->missed) gone(m, e, w->sent);
}

void km_watches_forget(kube_model *m, size_t n)
{
    for (km_exchange *e = m->exchanges; e; e = e->next) {
        km_watch *w = e->watch;
        if (!w || w->over) continue;
        for (size_t i = 0; i < n && !w->missed; i++)
            w->missed = m->history[i].kind == w->kind && m->history[i].revision > w->sent;
        if (!w->missed && n && m->history[n - 1].revision > w->sent)
            w->sent = m->history[n - 1].revision;
    }
}

void km_watches_changed(kube_model *m, const km_kind *k)
{
    for (km_exchange *e = m->exchanges; e; e = e->next)
        if (e->watch && e->watch->kind == k && !e->watch->over && !e->watch->silent)
            pump_at(m, e, m->now_ns + e->c->lag_ns);
}

/* The next bookmark: at its interval, and once 2 s before the end. */
static void mark_later(kube_model *m, km_exchange *e)
{
    uint64_t due = m->now_ns + m->config.bookmark_ns, last = e->watch->over_ns - 2000 * KM_MS;
    if (!e->watch->bookmarks) return;
    if (last > m->now_ns && last < due) due = last;
    km_do_at(m, due, KM_MARK, e, NULL);
}

/* A bookmark: everything up to what the cache knows was told. */
void km_watch_mark(kube_model *m, km_exchange *e)
{
    km_watch *w = e->watch;
    if (!w || w->over || w->silent) return;
    uint64_t lag = e->c->lag_ns < m->now_ns ? m->now_ns - e->c->lag_ns : 0;
    uint64_t known = km_revision_at(m, lag);
    const km_change *c = next_change(m, w);
    if (c && c->revision <= known) known = c->revision - 1;
    if (known > w->sent) w->sent = known;
    json_t *o = with_version(w->kind, NULL, w->sent);
    size_t n;
    char *bytes = line("BOOKMARK", o, &n);
    json_decref(o);
    km_stream(m, e, bytes, n);
    mark_later(m, e);
}

/* --- its beginning --- */

km_reply km_watch_start(km_call *c)
{
    const char *name, *ns, *rv = km_param(c, "resourceVersion");
    json_t *labels;
    char *end;
    uint64_t from = strtoull(rv, &end, 10);
    if (*end || *rv == '-') return km_no(c, 500, "", "resourceVersion: Invalid value: \"%s\"", rv);
    km_reply r = km_selectors(c, &name, &ns, &labels);
    if (r.status) return r;
    km_watch *w = km_alloc(sizeof *w);
    w->kind = c->kind;
    w->ns = km_dup(*c->ns ? c->ns : ns);
    w->name = km_dup(name);
    w->labels = labels;
    w->sent = from;
    w->bookmarks = km_flag(c, "allowWatchBookmarks");
    const char *seconds = km_param(c, "timeoutSeconds");
    uint64_t s = strtoull(seconds, NULL, 10);
    if (s == 0) s = 1800 + km_below(c->m, 1800);
    w->over_ns = c->m->now_ns + s * 1000 * KM_MS;
    return (km_reply){.status = 200, .watch = w};
}

/* Without a version it begins with all that is there. */
static bool begin_with_all(kube_model *m, km_exchange *e)
{
    km_watch *w = e->watch;
    uint64_t lag = e->c->lag_ns < m->now_ns ? m->now_ns - e->c->lag_ns : 0;
    uint64_t known = km_revision_at(m, lag);
    km_list l;
    bool on = true;
    km_list_at(m, w->kind, w->ns, known, &l);
    for (size_t i = 0; on && i < l.n; i++)
        if (concerns(w, l.at[i])) on = event(m, e, "ADDED", l.at[i]);
    free(l.at);
    w->sent = known;
    return on;
}

void km_watch_begin(kube_model *m, km_exchange *e)
{
    km_watch *w = e->watch;
    uint64_t oldest = w->kind->cache_from > m->compacted ? w->kind->cache_from : m->compacted;
    km_do_at(m, w->over_ns, KM_WATCH_OVER, e, NULL);
    mark_later(m, e);
    if (e->fault >= KUBE_FAULT_WATCH_SILENT && e->events == 0 &&
        e->fault != KUBE_FAULT_WATCH_TORN) {
        goes_on(m, e, km_alloc(1), 0);
        return;
    }
    if (w->sent == 0) {
        if (!begin_with_all(m, e)) return;
    } else if (w->sent < oldest) {
        gone(m, e, w->sent);
        return;
    }
    pump_at(m, e, m->now_ns);
}
