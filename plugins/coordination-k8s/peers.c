/*
 * peers.c: objects of the state from other control nodes, for one to whom the API does not answer,
 * or not soon: it asks for what it lacks those that it hears, one after the other; who is asked
 * answers from memory (held.c), never by a request of its own, with one object a turn of its loop.
 * What comes is the text that the API would give, and is verified by its hash as that is.
 *
 *   bytes  WANT: u64 id of who asks, u64 number, u8 page that needs a value (else CK_PAGES), the
 *          object's name
 *          the answer is relay.c's; MISSING: this node does not have it
 *
 * An object is at most CK_PART_MAX of text. A node has ASKS of them asked for at a time, others
 * wait; of all that ask it keeps WANTS in mind, more are refused at once. What is lost is asked of
 * the next one.
 */
#include "k8s.h"

#define PATIENCE_NS 2000000000ll /* with one of them */
#define AGAIN_NS 1000000000ll    /* nobody was heard: between looks */
enum { ASKS = 8, WANTS = 64, HEAD = 18 };

/* What another node wants. */
typedef struct wanted {
    uint64_t to, number;
    ck_blob blob;
    uint32_t page;
} wanted;
struct ck_wants {
    wanted at[WANTS];
    uint32_t first, n;
};

/* --- who asks --- */

enum { THE_LEADER, WHO_IS_HEARD, WHO_SPEAKS, NOBODY };

static int is_heard(const cr_consensus *c, uint64_t id)
{
    const cr_home *h = &c->store->home;
    for (uint32_t i = 0; i < h->nothers; i++)
        if (h->others[i].id == id && ck_now(c) - h->others[i].heard_ns < CK_HEARD_NS) return 1;
    return 0;
}

/* The next id behind one among those that are heard, or that the root names beside them. */
static uint64_t heard_after(const cr_consensus *c, uint64_t id)
{
    const cr_home *h = &c->store->home;
    uint64_t next = 0;
    for (uint32_t i = 0; i < h->nothers; i++) {
        uint64_t it = h->others[i].id;
        if (it > id && it != c->leader && (!next || it < next) && is_heard(c, it)) next = it;
    }
    return next;
}

static const ck_speaker *speaker_after(const cr_consensus *c, const ck_root *r, uint64_t id)
{
    const ck_speaker *next = NULL;
    for (uint32_t i = 0; r && i < r->nspeakers; i++) {
        const ck_speaker *s = &r->speakers[i];
        if (s->id > id && s->id != c->k.id && (!next || s->id < next->id) && !is_heard(c, s->id))
            next = s;
    }
    return next;
}

/* Whom to ask: the leader, then all others that are heard, then those that the root names, each by
 * their ids; with an address where it may be unknown. 0: all were asked. */
static uint64_t next_peer(const cr_consensus *c, ck_io *io, const char **address)
{
    ck_core_view v;
    *address = "";
    if (io->round == THE_LEADER) {
        io->round = WHO_IS_HEARD;
        if (c->leader != c->k.id && is_heard(c, c->leader)) return c->leader;
    }
    if (io->round == WHO_IS_HEARD) {
        io->passed = heard_after(c, io->passed);
        if (io->passed) return io->passed;
        io->round = WHO_SPEAKS;
    }
    ck_core_look(c->core, &v);
    const ck_speaker *s = io->round == WHO_SPEAKS ? speaker_after(c, v.root, io->passed) : NULL;
    if (!s) {
        io->round = NOBODY;
        return 0;
    }
    *address = s->address;
    return io->passed = s->id;
}

static int any_peer(const cr_consensus *c)
{
    const char *address;
    ck_io none = {0};
    return next_peer(c, &none, &address) != 0;
}

static void say(cr_consensus *c, const ck_io *io, const char *address)
{
    char name[CK_NAME];
    uint8_t p[HEAD + CK_NAME] = {CK_SAY_WANT};
    const ck_blob *b = &io->ask->blob;
    ck_blob_name(c->store->home.root, b->kind, &b->hash, b->slice, name);
    cr_store64(p + 1, c->k.id);
    cr_store64(p + 9, io->relayed);
    p[17] = (uint8_t)ck_state_page_of(c->state, b);
    memcpy(p + HEAD, name, strlen(name));
    qd_str where = {address, strlen(address)};
    c->k.send(c->k.arg, io->peer, where, p, HEAD + strlen(name));
}

/* Asks the next one; 0: all were. */
static int ask(cr_consensus *c, ck_io *io)
{
    const char *address;
    io->peer = next_peer(c, io, &address);
    if (!io->peer) return 0;
    io->relayed = ++c->relayed;
    io->until_ns = ck_now(c) + PATIENCE_NS;
    say(c, io, address);
    return 1;
}

/* One ends, another one may go. */
void ck_peers_leave(cr_consensus *c, ck_io *io)
{
    if (io->peers == CK_PEERS_NOT) return;
    if (io->peers == CK_PEERS_ASKED) c->npeer_asks--;
    io->peers = CK_PEERS_DONE;
    io->peer = io->relayed = 0;
    if (c->npeer_asks < ASKS) ck_soon(c);
}

static void begin(cr_consensus *c, ck_io *io)
{
    io->peers = CK_PEERS_ASKED;
    c->npeer_asks++;
    if (ask(c, io)) return;
    ck_peers_leave(c, io);
    ck_ask_no_peer(io);
}

int ck_peers_ask(cr_consensus *c, ck_io *io)
{
    int reads = io->ask->type == CK_BLOB_GET && io->ask->index == 0;
    if (!reads || io->peers || !c->k.send || !any_peer(c)) return 0;
    io->peers = CK_PEERS_WAIT;
    ck_soon(c);
    return 1;
}

void ck_peers_answered(ck_io *io, uint32_t outcome, json_t *object)
{
    cr_consensus *c = io->c;
    if (outcome != CK_OK && ask(c, io)) return;
    ck_peers_leave(c, io);
    if (outcome == CK_OK)
        ck_ask_from_peer(io, object);
    else
        ck_ask_no_peer(io);
}

int64_t ck_peers_next(const ck_io *io)
{
    int also = io->also_ns && io->api == CK_API_ASKED && !io->peers && !io->relayed;
    return also ? io->also_ns : INT64_MAX;
}

static void ask_turn(cr_consensus *c)
{
    int64_t now = ck_now(c);
    for (ck_io *io = c->out, *next; io; io = next) {
        next = io->next;
        if (io->peer && now >= io->until_ns)
            ck_peers_answered(io, CK_FAILED, NULL);
        else if (now >= ck_peers_next(io) && !ck_peers_ask(c, io))
            io->also_ns = now + AGAIN_NS;
    }
    for (ck_io *io = c->out, *next; io && c->npeer_asks < ASKS; io = next) {
        next = io->next;
        if (io->peers == CK_PEERS_WAIT) begin(c, io);
    }
}

/* --- who is asked --- */

void ck_peers_want(cr_consensus *c, const uint8_t *p, size_t n)
{
    if (n <= HEAD) return;
    wanted w = {.to = cr_load64(p + 1), .number = cr_load64(p + 9), .page = p[17]};
    qd_str name = {(const char *)p + HEAD, n - HEAD};
    if (ck_name_read(c->store->home.root, name, &w.blob.kind, &w.blob.hash, &w.blob.slice)) return;
    if (!c->wants) {
        c->wants = cr_must(c->heap, sizeof *c->wants);
        c->wants->first = c->wants->n = 0;
    }
    if (c->wants->n == WANTS) {
        ck_relay_answer(c, w.to, w.number, CK_FAILED, NULL);
        return;
    }
    c->wants->at[(c->wants->first + c->wants->n++) % WANTS] = w;
    ck_soon(c);
}

static void answer_one(cr_consensus *c)
{
    struct ck_wants *q = c->wants;
    if (!q || q->n == 0) return;
    wanted w = q->at[q->first];
    q->first = (q->first + 1) % WANTS;
    q->n--;
    json_t *object = ck_held_object(c, &w.blob, w.page);
    ck_relay_answer(c, w.to, w.number, object ? CK_OK : CK_MISSING, object);
    json_decref(object);
    if (q->n) ck_soon(c);
}

/* --- both --- */

void ck_peers_turn(cr_consensus *c)
{
    ask_turn(c);
    answer_one(c);
    ck_held_turn(c);
}

void ck_peers_stop(cr_consensus *c)
{
    ck_held_free(c);
    cr_free(c->heap, c->wants);
    c->wants = NULL;
}
