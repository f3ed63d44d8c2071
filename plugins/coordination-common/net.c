/*
 * net.c: the other masters, by the host's service "peers": messages come in on the transport's
 * thread and are copied into a bounded queue; what does not fit is lost, as any message may be.
 */
#include "store.h"

#define SAY_NS 10000000000ll /* between lines about the same */

static void wake(qd_coord *c)
{
    if (!c->awake) uv_async_send(&c->wake);
    c->awake = 1;
}

/* [loop of the transport] */
static void on_message(void *arg, const qd_peer *from, qd_str bytes)
{
    qd_coord *c = arg;
    (void)from;
    cr_mail *m = bytes.n <= QD_PEERS_MESSAGE_MAX ? cr_alloc(c->heap, sizeof *m + bytes.n) : NULL;
    if (!m) return;
    m->next = NULL;
    m->n = bytes.n;
    if (bytes.n) memcpy(m->bytes, bytes.p, bytes.n);
    pthread_mutex_lock(&c->lock);
    int take = !c->closing && c->mail_n < CR_MAIL_MAX && c->mail_bytes + m->n <= CR_MAIL_BYTES_MAX;
    if (take) {
        *(c->mail_last ? &c->mail_last->next : &c->mail) = m;
        c->mail_last = m;
        c->mail_n++;
        c->mail_bytes += m->n;
        wake(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (!take) cr_free(c->heap, m);
}

/* [loop of the transport] */
static void on_changed(void *arg, qd_str address, uint32_t event, const qd_peer *peer,
                       qd_str reason)
{
    qd_coord *c = arg;
    (void)peer;
    if (event == QD_PEER_REFUSED && reason.n) {
        int64_t now = cr_now(c);
        pthread_mutex_lock(&c->lock);
        int tell = now - c->refused_ns > SAY_NS;
        if (tell) c->refused_ns = now;
        snprintf(c->refused, sizeof c->refused, "%.*s", (int)(reason.n < 390 ? reason.n : 390),
                 reason.p);
        pthread_mutex_unlock(&c->lock);
        if (tell)
            cr_say(c, QD_LEVEL_WARN, "discovery: %.*s: %.*s", (int)address.n, address.p,
                   (int)(reason.n < 700 ? reason.n : 700), reason.p);
    }
    if (event == QD_PEER_UP) {
        pthread_mutex_lock(&c->lock);
        c->refused[0] = 0;
        pthread_mutex_unlock(&c->lock);
    }
    if (event != QD_PEER_GONE || address.n > CR_WIRE_ADDRESS_MAX) return;
    pthread_mutex_lock(&c->lock);
    uint32_t at = c->ngone % (sizeof c->gone / sizeof *c->gone);
    memcpy(c->gone[at], address.p, address.n);
    c->gone[at][address.n] = 0;
    c->ngone++;
    wake(c);
    pthread_mutex_unlock(&c->lock);
}

int32_t cr_net_open(qd_coord *c, qd_err *err)
{
    const qd_svc_peers *svc = c->plugin->peers;
    qd_peers_events events = {
        .struct_size = sizeof events, .message = on_message, .changed = on_changed, .arg = c};
    if (!svc) return 0;
    int32_t rc = svc->open(c->plugin->self, QD_STR("coordination"), &events, &c->peers, NULL);
    if (rc == QD_E_UNSUPPORTED) {
        c->peers = NULL;
        return 0;
    }
    return rc ? qd_plug_fail(c->plugin->err, err, rc,
                             "the coordination store cannot use the node's transport (%d)", rc)
              : 0;
}

void cr_net_close(qd_coord *c)
{
    if (c->peers) c->plugin->peers->close(c->peers);
    c->peers = NULL;
}

void cr_net_say(qd_coord *c, uint8_t type, uint64_t to, qd_str address, const uint8_t *body,
                size_t n)
{
    if (!c->peers || address.n == 0) return;
    cr_envelope e = {.type = type,
                     .recoveries = c->recoveries,
                     .from = c->raft_id,
                     .to = to,
                     .address = c->address,
                     .name = c->node_name};
    memcpy(e.store_id, c->cluster, 16);
    cr_bytes head = {.heap = c->heap};
    cr_wire_begin(&head, &e);
    const qd_iovec pieces[2] = {{head.p, head.n}, {body, n}};
    (void)c->plugin->peers->send(c->peers, address, pieces, n ? 2 : 1);
    cr_bytes_free(&head);
}

qd_str cr_net_place(const qd_coord *c, uint64_t id, qd_str told)
{
    for (uint32_t i = 0; i < c->nplaces; i++)
        if (c->places[i].id == id) return qd_plug_str(c->places[i].address);
    return told;
}

static void note_place(qd_coord *c, uint64_t id, qd_str address)
{
    uint32_t i = 0;
    if (id == 0 || id == c->raft_id || address.n == 0) return;
    while (i < c->nplaces && c->places[i].id != id) i++;
    if (i == CR_WIRE_MEMBERS_MAX) {
        memmove(c->places, c->places + 1, (CR_WIRE_MEMBERS_MAX - 1) * sizeof *c->places);
        i--;
    } else if (i == c->nplaces) {
        c->nplaces++;
    }
    c->places[i].id = id;
    memcpy(c->places[i].address, address.p, address.n);
    c->places[i].address[address.n] = 0;
}

void cr_on_send(void *arg, uint64_t to, qd_str address, const uint8_t *p, size_t n)
{
    cr_net_say(arg, CR_SAY_CONSENSUS, to, cr_net_place(arg, to, address), p, n);
}

void cr_net_watch(qd_coord *c)
{
    const cr_members *list = c->view.members;
    for (uint32_t i = 0; c->peers && list && i < list->n; i++)
        if (list->at[i].id != c->raft_id && list->at[i].address.n)
            (void)c->plugin->peers->watch(c->peers, list->at[i].address, NULL);
}

/* --- what comes in --- */

/* The store went on without this node: what it holds is of before. */
static void left_behind(qd_coord *c, const cr_envelope *e)
{
    char why[560];
    snprintf(
        why, sizeof why,
        "the masters were recovered by force without this node (%.*s at %.*s knows of recovery "
        "%llu, this node of %llu), so what it holds is of before. To let it join again stop "
        "it, remove this folder, and start it",
        (int)(e->name.n < 100 ? e->name.n : 100), e->name.p,
        (int)(e->address.n < 200 ? e->address.n : 200), e->address.p,
        (unsigned long long)e->recoveries, (unsigned long long)c->recoveries);
    if (!c->failed) cr_give_up(c, QD_E_NO_COORDINATION, why);
}

/* Of this store, or of nobody's when none is known here. */
static int ours(qd_coord *c, const cr_envelope *e)
{
    static const uint8_t none[16];
    int64_t now = cr_now(c);
    int same = memcmp(e->store_id, c->cluster, 16) == 0;
    int looks = e->type == CR_SAY_PROBE || e->type == CR_SAY_INFO || e->type == CR_SAY_FORM ||
                e->type == CR_SAY_JOIN || e->type == CR_SAY_JOINED;
    if (c->consensus && same && e->recoveries > c->recoveries) left_behind(c, e);
    if (looks) return 1; /* these look for themselves */
    if (memcmp(e->store_id, none, 16) == 0) return 0;
    if (memcmp(c->cluster, none, 16) == 0) {
        c->probed_ns = 0; /* somebody knows more than this node */
        return 0;
    }
    if (same && e->recoveries == c->recoveries) return 1;
    if (c->failed || now - c->strange_ns < SAY_NS) return 0;
    c->strange_ns = now;
    cr_found_tell(c, e); /* so that it knows why */
    if (same)
        cr_say(
            c, QD_LEVEL_WARN,
            "master %.*s at %.*s was left behind by a recovery by force: it is refused until its "
            "coordination folder is removed",
            (int)e->name.n, e->name.p, (int)e->address.n, e->address.p);
    else
        cr_say(c, QD_LEVEL_ERROR,
               "master %.*s at %.*s belongs to another cluster of the name [%.*s]: give one of the "
               "two another cluster.name, or remove the address from discovery.seed_hosts",
               (int)e->name.n, e->name.p, (int)e->address.n, e->address.p, (int)c->cluster_name.n,
               c->cluster_name.p);
    return 0;
}

static void on_numbers(qd_coord *c, const cr_envelope *e, cr_reader *r)
{
    uint64_t a, b;
    int32_t rc;
    qd_str text;
    if (cr_wire_numbers_read(r, &a, &rc, &b, &text)) return;
    if (e->type == CR_SAY_JOINED)
        cr_on_joined(c, e, rc, text);
    else
        cr_on_read_answer(c, a, rc, b);
}

static void on_answering(qd_coord *c, const cr_envelope *e, cr_reader *r)
{
    cr_answering *a = cr_must(c->heap, sizeof *a);
    *a = (cr_answering){0};
    if (cr_wire_answer_read(r, a) == 0) {
        if (e->type == CR_SAY_MORE)
            cr_on_more(c, a);
        else
            cr_on_answer(c, a);
    }
    cr_free(c->heap, a);
}

static void on_looking(qd_coord *c, const cr_envelope *e, cr_reader *r)
{
    if (e->type == CR_SAY_FORM) {
        cr_forming *f = cr_must(c->heap, sizeof *f);
        if (cr_wire_forming_read(r, f) == 0) cr_on_forming(c, e, f);
        cr_free(c->heap, f);
        return;
    }
    cr_info *i = cr_must(c->heap, sizeof *i);
    *i = (cr_info){0};
    if (cr_wire_info_read(r, i) == 0) cr_on_info(c, e, i);
    cr_free(c->heap, i);
}

static void take(qd_coord *c, const cr_mail *m)
{
    cr_reader r = {.p = m->bytes, .n = m->n};
    cr_envelope e;
    cr_request q;
    int32_t rc = cr_wire_read(&r, &e);
    if (rc || !ours(c, &e)) return;
    note_place(c, e.from, e.address);
    if (e.to && e.to != c->raft_id && e.type != CR_SAY_INFO && e.type != CR_SAY_PROBE) return;
    switch (e.type) {
    case CR_SAY_CONSENSUS:
        if (c->consensus && !c->failed) cr_consensus_receive(c->consensus, r.p, r.n);
        cr_members_moved(c, e.from, e.name, e.address);
        return;
    case CR_SAY_PROBE:
    case CR_SAY_INFO:
    case CR_SAY_FORM:
        on_looking(c, &e, &r);
        return;
    case CR_SAY_JOIN:
        if (r.n == 0) cr_on_join(c, &e);
        return;
    case CR_SAY_REQUEST:
        if (cr_wire_request_read(&r, &q) == 0) cr_on_request(c, &e, &q);
        return;
    case CR_SAY_MORE:
    case CR_SAY_ANSWER:
        on_answering(c, &e, &r);
        return;
    case CR_SAY_READ: {
        uint64_t number = cr_get64(&r);
        if (!r.bad && r.n == 0) cr_on_read(c, &e, number);
        return;
    }
    default:
        on_numbers(c, &e, &r);
        return;
    }
}

static void take_gone(qd_coord *c)
{
    char gone[sizeof c->gone / sizeof *c->gone][sizeof *c->gone];
    pthread_mutex_lock(&c->lock);
    uint32_t n =
        c->ngone < sizeof gone / sizeof *gone ? c->ngone : (uint32_t)(sizeof gone / sizeof *gone);
    memcpy(gone, c->gone, sizeof gone);
    c->ngone = 0;
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; c->consensus && i < n; i++)
        for (uint32_t k = 0; c->view.members && k < c->view.members->n; k++)
            if (qd_plug_is(c->view.members->at[k].address, gone[i]))
                cr_consensus_gone(c->consensus, c->view.members->at[k].id);
}

void cr_net_turn(qd_coord *c)
{
    pthread_mutex_lock(&c->lock);
    cr_mail *m = c->mail;
    c->mail = c->mail_last = NULL;
    c->mail_n = 0;
    c->mail_bytes = 0;
    int gone = c->ngone > 0;
    pthread_mutex_unlock(&c->lock);
    if (gone) take_gone(c);
    while (m) {
        cr_mail *next = m->next;
        if (c->ending < 2) take(c, m);
        cr_free(c->heap, m);
        m = next;
    }
}

void cr_net_free(qd_coord *c)
{
    while (c->mail) {
        cr_mail *next = c->mail->next;
        cr_free(c->heap, c->mail);
        c->mail = next;
    }
}
