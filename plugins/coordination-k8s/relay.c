/*
 * relay.c: a control node that does not talk to the API lets a speaker read objects of the state
 * for it: pages, values, entries, the root. What comes is verified as what the API gave: blobs by
 * their hash, roots against the one that is known.
 *
 *   bytes  ASK: u64 id of who asks, u64 number, the object's name
 *          ANSWER: u64 number, u8 outcome (CK_OK, CK_MISSING, CK_FAILED), the object's text
 */
#include "k8s.h"

#define PATIENCE_NS 5000000000ll
enum { SERVED_MAX = 64, HEAD = 17, BACK = 10 };

/* An object that is read for another node. */
typedef struct ck_served {
    struct ck_served *next;
    cr_consensus *c;
    uint64_t to, number;
    kube_request request;
    char path[KUBE_PATH_MAX];
} ck_served;

/* --- who asks --- */

int ck_relay_ask(cr_consensus *c, ck_io *io)
{
    char name[CK_NAME];
    uint8_t p[HEAD + CK_NAME] = {CK_SAY_ASK};
    const ck_ask *a = io->ask;
    uint64_t to = ck_speakers_one(c);
    if (!to || (a->type != CK_GET_ROOT && a->type != CK_BLOB_GET)) return 0;
    if (a->type == CK_GET_ROOT)
        snprintf(name, sizeof name, "%s", c->store->home.root);
    else
        ck_blob_name(c->store->home.root, a->blob.kind, &a->blob.hash, a->blob.slice, name);
    io->relayed = ++c->relayed;
    io->until_ns = ck_now(c) + PATIENCE_NS;
    cr_store64(p + 1, c->k.id);
    cr_store64(p + 9, io->relayed);
    memcpy(p + HEAD, name, strlen(name));
    ck_others_say(c, to, p, HEAD + strlen(name));
    return 1;
}

void ck_relay_turn(cr_consensus *c, int all)
{
    int64_t now = ck_now(c);
    for (ck_io *io = c->out, *next; io; io = next) {
        next = io->next;
        if (io->relayed && !io->peer && (all || now >= io->until_ns))
            ck_ask_relayed(io, CK_FAILED, NULL);
    }
}

static void on_answer(cr_consensus *c, const uint8_t *p, size_t n)
{
    uint64_t number = cr_load64(p + 1);
    uint32_t outcome = p[9];
    ck_io *io = c->out;
    while (io && io->relayed != number) io = io->next;
    if (!io || number == 0) return;
    json_t *object = NULL;
    if (outcome == CK_OK)
        object = json_loadb((const char *)p + BACK, n - BACK,
                            JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (outcome != CK_MISSING) outcome = object ? CK_OK : CK_FAILED;
    if (io->peer)
        ck_peers_answered(io, outcome, object);
    else
        ck_ask_relayed(io, outcome, object);
    json_decref(object);
}

/* --- who reads --- */

static void forget(ck_served *s)
{
    ck_served **p = &s->c->served;
    while (*p != s) p = &(*p)->next;
    *p = s->next;
    s->c->nserved--;
    cr_free(s->c->heap, s);
}

void ck_relay_answer(cr_consensus *c, uint64_t to, uint64_t number, uint32_t outcome,
                     const json_t *object)
{
    size_t n = object ? json_dumpb(object, NULL, 0, JSON_COMPACT) : 0;
    if (n + BACK > CR_MESSAGE_MAX) return;
    uint8_t *p = cr_must(c->heap, BACK + n);
    p[0] = CK_SAY_ANSWER;
    cr_store64(p + 1, number);
    p[9] = (uint8_t)outcome;
    if (n) n = json_dumpb(object, (char *)p + BACK, n, JSON_COMPACT);
    ck_others_say(c, to, p, BACK + n);
    cr_free(c->heap, p);
}

static void on_read(kube_request *r)
{
    ck_served *s = r->user;
    cr_consensus *c = s->c;
    const json_t *details = json_object_get(r->result.object, "details");
    int missing = r->result.code == 404 && json_object_get(details, "name");
    ck_told(c, CK_BLOB_GET, &r->result);
    if (r->result.outcome == KUBE_DONE)
        ck_relay_answer(c, s->to, s->number, CK_OK, r->result.object);
    else
        ck_relay_answer(c, s->to, s->number, missing ? CK_MISSING : CK_FAILED, NULL);
    forget(s);
}

/* 1 when it names an object of this state. */
static int is_ours(const cr_consensus *c, qd_str name)
{
    int kind;
    ck_hash hash;
    uint32_t slice;
    const char *root = c->store->home.root;
    return qd_plug_is(name, root) || ck_name_read(root, name, &kind, &hash, &slice) == 0;
}

static void on_ask(cr_consensus *c, const uint8_t *p, size_t n)
{
    char name[CK_NAME];
    uint64_t to = cr_load64(p + 1), number = cr_load64(p + 9);
    qd_str wanted = {(const char *)p + HEAD, n - HEAD};
    if (wanted.n >= sizeof name || !is_ours(c, wanted)) return;
    memcpy(name, wanted.p, wanted.n);
    name[wanted.n] = 0;
    ck_served *s = c->nserved < SERVED_MAX && !c->listens ? cr_must(c->heap, sizeof *s) : NULL;
    if (!s) {
        ck_relay_answer(c, to, number, CK_FAILED, NULL);
        return;
    }
    *s = (ck_served){.next = c->served, .c = c, .to = to, .number = number};
    c->served = s;
    c->nserved++;
    s->request = (kube_request){
        .method = "GET", .path = s->path, .timeout_ns = PATIENCE_NS, .done = on_read, .user = s};
    if (ck_state_path(c, s->path, name, NULL) == 0 && kube_send(c->client, &s->request) == 0)
        return;
    ck_relay_answer(c, to, number, CK_FAILED, NULL);
    forget(s);
}

void ck_relay_receive(cr_consensus *c, const uint8_t *p, size_t n)
{
    if (p[0] == CK_SAY_ASK && n > HEAD) on_ask(c, p, n);
    if (p[0] == CK_SAY_ANSWER && n >= BACK) on_answer(c, p, n);
}

void ck_relay_stop(cr_consensus *c)
{
    while (c->served) {
        (void)kube_cancel(&c->served->request);
        forget(c->served);
    }
}
