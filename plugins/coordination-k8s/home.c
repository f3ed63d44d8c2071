/*
 * home.c: coordination-k8s's own part of an open store: options, who the control nodes are, and
 * what is said while nobody leads. See home.h.
 */
#include "k8s.h"
#include "projections.h"
#include <stdio.h>

#define SAY_NS 10000000000ll /* between lines about the same */
#define LEASE_NS 15000000000ll
#define RENEW_NS 10000000000ll
#define RETRY_NS 2000000000ll

/* --- options --- */

/* Keeps a text of an option; an empty one is none. */
static int32_t keep(qd_coord *c, char **to, const qd_pair *o, size_t max, qd_err *err)
{
    if (o->value.n > max || (o->value.n && memchr(o->value.p, 0, o->value.n)))
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG, "coordination.%.*s: too long",
                            (int)o->key.n, o->key.p);
    cr_free(c->heap, *to);
    *to = NULL;
    if (o->value.n == 0) return 0;
    *to = cr_must(c->heap, o->value.n + 1);
    memcpy(*to, o->value.p, o->value.n);
    (*to)[o->value.n] = 0;
    return 0;
}

static int32_t keep_time(qd_coord *c, int64_t *to, const qd_pair *o, qd_err *err)
{
    int64_t v = cr_option_ms(o->value);
    if (v < 100)
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                            "coordination.%.*s: bad value \"%.*s\": give a time of 100ms or more, "
                            "as 15s",
                            (int)o->key.n, o->key.p, (int)o->value.n, o->value.p);
    *to = v * 1000000;
    return 0;
}

int32_t cr_home_option(qd_coord *c, const qd_pair *o, qd_err *err)
{
    cr_home *h = &c->home;
    if (qd_plug_is(o->key, "k8s.namespace")) return keep(c, &h->space_wanted, o, 63, err);
    if (qd_plug_is(o->key, "k8s.kubeconfig")) return keep(c, &h->kubeconfig, o, 4000, err);
    if (qd_plug_is(o->key, "k8s.context")) return keep(c, &h->context, o, 253, err);
    if (qd_plug_is(o->key, "k8s.api_server")) return keep(c, &h->api_server, o, 500, err);
    if (qd_plug_is(o->key, "k8s.token_file")) return keep(c, &h->token_file, o, 4000, err);
    if (qd_plug_is(o->key, "k8s.ca_file")) return keep(c, &h->ca_file, o, 4000, err);
    if (qd_plug_is(o->key, "k8s.lease_duration")) return keep_time(c, &h->lease_ns, o, err);
    if (qd_plug_is(o->key, "k8s.renew_interval")) return keep_time(c, &h->renew_ns, o, err);
    if (qd_plug_is(o->key, "k8s.retry_interval")) return keep_time(c, &h->retry_ns, o, err);
    if (qd_plug_is(o->key, "k8s.projections")) {
        h->projections_wanted = qd_plug_is(o->value, "true");
        return 0;
    }
    if (qd_plug_is(o->key, "k8s.claim")) {
        h->claims = qd_plug_is(o->value, "true");
        return 0;
    }
    if (qd_plug_is(o->key, "k8s.look")) {
        h->looks = qd_plug_is(o->value, "true");
        return 0;
    }
    if (qd_plug_is(o->key, "k8s.check")) {
        h->checks = qd_plug_is(o->value, "true");
        return 0;
    }
    /* of masters of our own: the host hands them to whatever back end there is */
    if (qd_plug_is(o->key, "election_timeout") || qd_plug_is(o->key, "heartbeat_interval") ||
        qd_plug_is(o->key, "snapshot_threshold"))
        return 0;
    return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                        "coordination.%.*s: unknown option (known: k8s.namespace, k8s.kubeconfig, "
                        "k8s.context, k8s.api_server, k8s.token_file, k8s.ca_file, "
                        "k8s.lease_duration, k8s.renew_interval, k8s.retry_interval, "
                        "k8s.projections, k8s.claim, k8s.look, k8s.check)",
                        (int)o->key.n, o->key.p);
}

int32_t cr_found_config(qd_coord *c, const qd_coord_config *k, qd_err *err)
{
    const cr_home *h = &c->home;
    (void)k; /* who else there is, the root tells */
    if (h->space_wanted && !ck_is_label((qd_str){h->space_wanted, strlen(h->space_wanted)}))
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                            "coordination.k8s.namespace (or LEADER_ELECTION_NAMESPACE, "
                            "POD_NAMESPACE): \"%s\" cannot be a namespace: up to 63 of a-z, 0-9 "
                            "and -, and no - at either end",
                            h->space_wanted);
    if (h->retry_ns < h->renew_ns && h->renew_ns + h->retry_ns < h->lease_ns) return 0;
    return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                        "coordination.k8s.lease_duration has to be longer than renew_interval and "
                        "retry_interval together, and renew_interval longer than retry_interval");
}

void cr_home_defaults(qd_coord *c)
{
    c->home.lock_fd = c->home.record_fd = -1;
    c->home.lease_ns = LEASE_NS;
    c->home.renew_ns = RENEW_NS;
    c->home.retry_ns = RETRY_NS;
}

/* --- opening --- */

int32_t cr_home_open(qd_coord *c, qd_err *err)
{
    cr_home *h = &c->home;
    if (c->recover)
        return qd_plug_fail(c->plugin->err, err, QD_E_UNSUPPORTED,
                            "the state is kept by the Kubernetes API server: no voters can be "
                            "lost, there is nothing to force");
    if (h->checks) {
        int32_t bad = ck_api_open(c, err);
        return bad ? bad
                   : qd_plug_fail(c->plugin->err, err, QD_E_CLOSED,
                                  "the settings are sound; no store was to be opened");
    }
    c->raft_id = c->plugin->rand->u64(c->plugin->self) >> 1 | 1;
    ck_object_name(c->cluster_name, c->cluster_name, h->root);
    if (qd_plug_is(c->cluster_name, "quidditch"))
        snprintf(h->lease, sizeof h->lease, "quidditch-leader");
    else
        snprintf(h->lease, sizeof h->lease, "%s-leader", h->root);
    int32_t rc = ck_record_open(c, err);
    if (rc == 0) rc = ck_api_open(c, err);
    h->site = (ck_site){.space = h->space, .root = h->root, .cluster = c->cluster_name};
    return rc;
}

int32_t cr_home_load(qd_coord *c, qd_err *err)
{
    c->home.pages = ck_pages_make(c->heap);
    return ck_projections_open(c, err);
}

void cr_home_free(qd_coord *c)
{
    cr_home *h = &c->home;
    ck_projections_close(h->projections);
    h->projections = NULL;
    ck_pages_free(h->pages);
    ck_api_close(c);
    ck_record_close(c);
    cr_free(c->heap, h->space_wanted);
    cr_free(c->heap, h->kubeconfig);
    cr_free(c->heap, h->context);
    cr_free(c->heap, h->api_server);
    cr_free(c->heap, h->token_file);
    cr_free(c->heap, h->ca_file);
}

/* Only a store that is in charge is shown: not one that follows another or was followed. */
static void show(qd_coord *c)
{
    ck_projections_lead(c->home.projections, cr_leads(c) && c->machine->state == QD_COORD_ACTIVE);
    ck_projections_changed(c->home.projections, c->machine->revision);
}

void cr_home_applied(qd_coord *c, cr_items *rows, uint64_t index, int replaced)
{
    ck_pages_push(c->home.pages, index, rows, replaced);
    cr_items_free(c->heap, rows);
    show(c);
}

/* --- moments --- */

void cr_home_looked(qd_coord *c)
{
    show(c);
}
int32_t cr_home_led(qd_coord *c)
{
    (void)c;
    return 0;
}
void cr_home_ready(qd_coord *c)
{
    (void)c;
}
int64_t cr_home_next(const qd_coord *c, int64_t now, int64_t at)
{
    (void)c;
    (void)now;
    return at;
}
int cr_home_waits(const qd_coord *c)
{
    (void)c;
    return 0;
}
void cr_home_tick(qd_coord *c)
{
    (void)c;
}
/* As the root says, whatever this node would have made: it is the claim. */
int cr_home_forms(const qd_coord *c)
{
    return ck_root_forms(c);
}
int32_t cr_space(qd_coord *c)
{
    (void)c;
    return 0;
}

/* --- the control nodes --- */

void ck_heard(qd_coord *c, uint64_t id, qd_str name, qd_str address)
{
    cr_home *h = &c->home;
    uint32_t i = 0;
    if (id == 0 || id == c->raft_id || name.n > CR_WIRE_NAME_MAX ||
        address.n > CR_WIRE_ADDRESS_MAX || address.n == 0)
        return;
    while (i < h->nothers && h->others[i].id != id && !qd_plug_is(address, h->others[i].address))
        i++;
    if (i == CR_WIRE_MEMBERS_MAX) return;
    int same = i < h->nothers && h->others[i].id == id;
    if (i == h->nothers) h->nothers++;
    ck_other *o = &h->others[i];
    o->id = id;
    o->heard_ns = cr_now(c);
    memcpy(o->name, name.p ? name.p : "", name.n);
    o->name[name.n] = 0;
    memcpy(o->address, address.p, address.n);
    o->address[address.n] = 0;
    if (!same) c->dirty = 1;
}

void cr_members_moved(qd_coord *c, uint64_t id, qd_str name, qd_str address)
{
    ck_heard(c, id, name, address);
}

uint32_t cr_members_seen(qd_coord *c, cr_who *out)
{
    const cr_members *list = c->view.members;
    int64_t now = cr_now(c);
    uint32_t n = 0;
    for (uint32_t i = 0; list && i < list->n && n < CR_WIRE_MEMBERS_MAX; i++) {
        const cr_member *m = &list->at[i];
        cr_who *w = &out[n++];
        *w = (cr_who){.id = m->id,
                      .role = m->role,
                      .leader = m->id == c->view.leader,
                      .name = m->name,
                      .address = m->address};
        w->alive = w->leader || m->id == c->raft_id;
        for (uint32_t k = 0; k < c->home.nothers; k++)
            w->alive |=
                c->home.others[k].id == m->id && now - c->home.others[k].heard_ns < CK_HEARD_NS;
    }
    return n;
}

void cr_members_ask(qd_coord *c, cr_name name, const uint8_t *command, size_t n)
{
    cr_reader r = {.p = command + 1, .n = n - 1};
    uint32_t action = cr_get32(&r);
    if (!r.bad && action == QD_COORD_MEMBERS_WANTED) {
        (void)cr_get64(&r);
        (void)cr_get32(&r);
        ck_set_ask(c->consensus, name, cr_get_str(&r));
        return;
    }
    cr_answering *a = cr_must(c->heap, sizeof *a);
    *a = (cr_answering){.rc = QD_E_UNSUPPORTED,
                        .text = QD_STR("control nodes on Kubernetes have no votes: each that may "
                                       "use the API takes part, there is nothing to change")};
    if (r.bad || action < QD_COORD_MEMBERS_LIST || action > QD_COORD_MEMBERS_INCLUDE)
        *a = (cr_answering){.rc = QD_E_ARG, .text = QD_STR("members: an action that cannot be")};
    if (!r.bad && action == QD_COORD_MEMBERS_LIST) {
        *a = (cr_answering){.rc = 0};
        a->nmembers = cr_members_seen(c, a->members);
    }
    cr_told(c, name, a);
    cr_free(c->heap, a);
}

/* Nobody asks to be let in, nobody is: who may use the API takes part. */
int32_t cr_members_admit(qd_coord *c, const cr_who *who, char *why, size_t size)
{
    (void)c;
    (void)who;
    snprintf(why, size, "control nodes on Kubernetes are not let in by each other");
    return QD_E_UNSUPPORTED;
}
void cr_members_turn(qd_coord *c)
{
    (void)c;
}

/* --- finding the store: its name says where it is --- */

void ck_trouble(qd_coord *c, const char *text)
{
    snprintf(c->home.trouble, sizeof c->home.trouble, "%s", text ? text : "");
}

void cr_found_turn(qd_coord *c)
{
    cr_home *h = &c->home;
    int64_t now = cr_now(c);
    if (!c->no_leader_ns) {
        c->status[0] = 0;
        return;
    }
    const char *why = *h->trouble      ? h->trouble
                      : c->view.leader ? "the one that led is silent, its lease is waited for"
                                       : "waiting for a control node to take the lead";
    snprintf(c->status, sizeof c->status, "no leader: %.900s", why);
    int64_t since = now - c->no_leader_ns;
    if (since < CR_PATIENCE_NS && !*h->trouble) return;
    if (h->said_ns && now - h->said_ns < SAY_NS) return;
    h->said_ns = now;
    cr_say(c, *h->trouble ? QD_LEVEL_WARN : QD_LEVEL_INFO, "discovery: %.980s", c->status);
}

void cr_found_tell(qd_coord *c, const cr_envelope *e)
{
    (void)c;
    (void)e;
}
void cr_on_info(qd_coord *c, const cr_envelope *e, const cr_info *i)
{
    (void)c;
    (void)e;
    (void)i;
}
void cr_on_forming(qd_coord *c, const cr_envelope *e, const cr_forming *f)
{
    (void)c;
    (void)e;
    (void)f;
}
void cr_on_join(qd_coord *c, const cr_envelope *e)
{
    (void)c;
    (void)e;
}
void cr_on_joined(qd_coord *c, const cr_envelope *e, int32_t rc, qd_str text)
{
    (void)c;
    (void)e;
    (void)rc;
    (void)text;
}

void cr_found_begin(qd_coord *c)
{
    char why[CR_WHY], text[CR_WHY + 32];
    cr_consensus_config k = {.dir = c->path, .id = c->raft_id};
    cr_store_callbacks(c, &k);
    int32_t rc = cr_consensus_open(&k, &c->consensus, why);
    if (rc) {
        c->consensus = NULL;
        snprintf(text, sizeof text, "Kubernetes API: %s", why);
        cr_give_up(c, rc, text);
        return;
    }
    cr_store_look(c);
    cr_identity_update(c);
    c->dirty = 1;
}

/* What the server said last, as long as it does not do what it is asked for. */
void cr_why_slow(const qd_coord *c, char *out, size_t room)
{
    snprintf(out, room, "%.980s",
             *c->home.trouble ? c->home.trouble
                              : "the Kubernetes API server or the way to it is slow, or no control "
                                "node led");
}
