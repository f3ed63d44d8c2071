/*
 * k8s.h: the log in the root object (consensus.h) as ck_core over lib/kube: what its files share.
 *
 *   consensus_k8s.c  the functions of consensus.h, turns of the core
 *   asks.c           what the core asks for, as requests to the API
 *   watches.c        what changed in the API: root and Lease; what the server refuses
 *   lease.c          the Lease as an object
 *   others.c         the other control nodes: roots pushed to them, who was heard from
 *   speakers.c       which of them talk to the API, and whether this one does
 *   sure.c           whether this leader leads still, as the others say
 *   relay.c          objects that a speaker reads for a node that is none
 *   peers.c          objects that other control nodes have, for one that does not reach the API
 *   held.c           which of them this node has
 *   state.c          the state as pages: checkpoints are made and loaded
 *   marked.c         the state's objects are marked for deletion
 *   sets.c           which members the platform wants
 *
 * All of it runs on the store's loop.
 */
#ifndef COORDINATION_K8S_K8S_H
#define COORDINATION_K8S_K8S_H

#include "core/core.h"
#include "curl.h"
#include "list.h"
#include "rules.h"
#include "store.h"
#include "watch.h"

#define CK_GROUP "quidditch.io"
#define CK_VERSION "v1"
#define CK_PLURAL "quidditchstates"
#define CK_LEASE_GROUP "coordination.k8s.io"
#define CK_LEASE_PLURAL "leases"
#define CK_TOUCHED "quidditch.io/touched"

/* An ask under way. */
typedef struct ck_io {
    struct ck_io *next, *previous;
    cr_consensus *c;
    ck_ask *ask;
    ck_record acted; /* what this node had acted on when it asked */
    kube_request request;
    json_t *body;
    int freed;        /* of CK_BLOB_DELETE: the finalizer is off */
    uint64_t relayed; /* number under which another node asks it, or is asked; 0: this one does */
    int64_t until_ns; /* relayed: for so long */
    int api;          /* CK_API_... */
    int64_t also_ns;  /* others are asked, too, when the API is silent until then; 0: not */
    int peers;        /* CK_PEERS_... */
    uint64_t peer;    /* peers.c: who is asked now; 0: nobody */
    uint64_t passed;  /* of this round all up to this id were */
    int round;
    char path[KUBE_PATH_MAX];
} ck_io;

/* Whether the API is asked for something, and other control nodes for an object. */
enum { CK_API_NOT, CK_API_ASKED, CK_API_DONE };
enum { CK_PEERS_NOT, CK_PEERS_WAIT, CK_PEERS_ASKED, CK_PEERS_DONE };

/* What one control node says to another: u8 kind, then (others.c, relay.c, peers.c, sure.c) */
enum {
    CK_SAY_HELLO = 1,
    CK_SAY_ROOT,
    CK_SAY_ASK,
    CK_SAY_ANSWER,
    CK_SAY_WANT,
    CK_SAY_SURE,
    CK_SAY_SURE_ANSWER
};

#define CK_POLLS 2
#define CK_POLL_MAX 64

/* Others are asked whether this node leads. */
typedef struct ck_poll {
    cr_read_wait *wait; /* for whom; NULL: none */
    uint64_t number;
    int64_t until_ns;
    uint64_t ids[CK_POLL_MAX]; /* who has not answered yet */
    uint32_t n;
} ck_poll;

/* What marked.c keeps. */
typedef struct ck_marked {
    int is;           /* the root is marked, as far as was seen */
    int busy;         /* a request or the list is out */
    int64_t again_ns; /* not looked at the namespace before that */
    kube_request request;
    kube_list list;
    json_t *names; /* objects whose finalizer goes, the root first */
    json_t *body;
    char path[KUBE_PATH_MAX], label[160];
} ck_marked;

/* state.c */
typedef struct ck_state ck_state;

/* sets.c */
typedef struct ck_set ck_set;

struct cr_consensus {
    qd_coord *store;
    const cr_heap *heap;
    cr_consensus_config k;
    kube_loop env;
    kube_transport *transport;
    kube_client *client;
    ck_core *core;
    ck_root *first; /* what a new store begins with */
    ck_state *state;
    uv_timer_t timer;
    uv_idle_t idle;
    ck_io *out;
    ck_set *sets;           /* asked for */
    cr_proposal *proposals; /* with the core */
    cr_read_wait *reads;
    ck_poll polls[CK_POLLS];
    uint64_t polled; /* number of the last one */
    kube_watch root_watch, lease_watch;
    kube_list lease_list;
    char lease_field[CK_NAME + 32];
    int watches, lease_watches; /* the watch was started */
    int root_relist;            /* it rests until the root was read */
    int64_t lease_again_ns;     /* list it then; 0: not */
    json_t *lease;              /* as last seen; NULL: none */
    kube_rules rules;
    int rules_out;
    int64_t rules_ns; /* when they were last asked for */
    uint32_t trouble; /* the ask that brought what is told as trouble; 0: none */
    int64_t well_ns;  /* when the API last did as asked */
    int outage;       /* this node led, and cannot reach the API: it says that nobody leads */
    uint64_t leader;  /* as last looked at */
    int64_t leader_ns;
    int leader_silent; /* it was told so, or is */
    uint64_t at_turn,
        no_news; /* writes of the root known at the last turn of hellos, the one before */
    int64_t spoke_ns, sought_ns; /* sought: when the root was read for want of a leader */
    ck_marked marked;
    /* speakers.c */
    int listens;      /* speakers are heard, and this node is none: it asks nothing of the API */
    int alone;        /* it is none, and hears none */
    int64_t heard_ns; /* a speaker was heard that reaches the API; 0: none was yet */
    int64_t look_ns;  /* alone: the root is read then */
    int64_t look_wait;
    int64_t led_ns;   /* this node leads since then */
    int64_t kept_ns;  /* leading: it looked at who speaks */
    uint64_t gone[8]; /* processes that are certainly gone */
    uint32_t ngone;
    uint64_t relayed;         /* number of the last ask that was relayed */
    struct ck_served *served; /* relay.c: what is read for others */
    uint32_t nserved;
    int away;               /* what was last asked of the API it did not do */
    uint32_t npeer_asks;    /* peers.c: objects that others are being asked for */
    struct ck_wants *wants; /* what others want of this node */
    struct ck_held *held;   /* held.c */
    cr_members *members;
    uint64_t members_sum;
    int members_old;
    int in_turn, asked, closing, handles;
    int64_t close_ns;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* --- consensus_k8s.c --- */
/* A turn of the core soon. */
void ck_soon(cr_consensus *c);
int64_t ck_now(const cr_consensus *c);
/* A read that was begun by cr_consensus_read is over. */
void ck_read_done(cr_consensus *c, cr_read_wait *r, int32_t rc);

/* --- asks.c --- */
/* Begins what the core asks for. */
void ck_ask_start(cr_consensus *c, ck_ask *a);
/* Gives up all that are out. */
void ck_asks_cancel(cr_consensus *c);
/* One that was relayed has its answer: an object with CK_OK, else NULL. */
void ck_ask_relayed(ck_io *io, uint32_t outcome, json_t *object);
/* Another control node gave the object. */
void ck_ask_from_peer(ck_io *io, json_t *object);
/* None has it. */
void ck_ask_no_peer(ck_io *io);
/* The path of a state object; name NULL: of all. */
int32_t ck_state_path(cr_consensus *c, char out[KUBE_PATH_MAX], const char *name,
                      const char *query);
/* Reads a root; what its tail shares with the one that is known is not unpacked again. */
int32_t ck_root_take(cr_consensus *c, const json_t *object, ck_root **out, char *why);

/* --- watches.c --- */
/* Starts what can be started. */
void ck_watches_turn(cr_consensus *c);
/* Stops all. */
void ck_watches_stop(cr_consensus *c);
/* Another node is told by speakers: it watches nothing. */
void ck_watches_rest(cr_consensus *c);
/* The root was read: a watch that rests goes on. */
void ck_watches_read(cr_consensus *c, const char *version);
/* What became of a request; of an ask of this type. */
void ck_told(cr_consensus *c, uint32_t type, const kube_result *r);
/* Asks what this identity may do, and says what is missing. */
void ck_rules_look(cr_consensus *c);

/* --- lease.c --- */
/* The object for a POST or PUT of l; before: as last seen, NULL: none. make; NULL: no memory. */
json_t *ck_lease_object(cr_consensus *c, const ck_lease *l, const json_t *before);
/* Reads one. */
void ck_lease_read(const json_t *object, ck_lease *out);
/* Keeps the object as the last seen one. */
void ck_lease_keep(cr_consensus *c, json_t *object);
/* Seconds since 1970 of an RFC 3339 text in UTC; 0: it is none. */
int64_t ck_time_read(const char *text);
/* Such a text, with microseconds. */
void ck_time_write(int64_t wall_ns, char out[40]);

/* --- others.c --- */
/* Says that this node is there, now and then. */
void ck_others_turn(cr_consensus *c);
/* The next moment for that. */
int64_t ck_others_next(const cr_consensus *c);
/* The root that was just written goes to the others. */
void ck_others_push(cr_consensus *c, const json_t *root);
void ck_others_receive(cr_consensus *c, const uint8_t *p, size_t n);
/* The control nodes that are known, this one among them. */
void ck_others_list(cr_consensus *c, const ck_core_view *v);

/* 1 when nothing was heard of the leader for a while, or it said that it cannot lead. */
int ck_others_silent(cr_consensus *c, const ck_core_view *v);
/* Bytes for a control node that was heard from. */
void ck_others_say(cr_consensus *c, uint64_t to, const void *p, size_t n);

/* --- speakers.c --- */
/* 1 when this node is one of those that talk to the API, as far as the root tells. */
int ck_speaks(const cr_consensus *c);
/* Whether it is told by others; what a leader changes about who speaks. */
void ck_speakers_turn(cr_consensus *c);
/* The next moment for that. */
int64_t ck_speakers_next(const cr_consensus *c);
/* A control node spoke, and says that it reaches the API. */
void ck_speakers_heard(cr_consensus *c, uint64_t id);
/* A process is certainly gone. */
void ck_speakers_gone(cr_consensus *c, uint64_t id);
/* Who speaks, in a root that this leader is about to write. */
void ck_speakers_stamp(cr_consensus *c, ck_root *next);
/* One that was heard, to be asked; 0: none. */
uint64_t ck_speakers_one(cr_consensus *c);

/* --- sure.c --- */
/* Asks everyone who might lead instead; r ends in a turn, perhaps after a reading of the root. 0:
 * that is to be begun at once. */
int ck_sure_ask(cr_consensus *c, cr_read_wait *r);
void ck_sure_turn(cr_consensus *c);
/* The next moment for that. */
int64_t ck_sure_next(const cr_consensus *c);
/* Another one asks, or answers. */
void ck_sure_receive(cr_consensus *c, const uint8_t *p, size_t n);
/* What waits is told otherwise. */
void ck_sure_stop(cr_consensus *c);

/* --- relay.c --- */
/* Lets a speaker read it. 0: there is none, or it is nothing that others read. */
int ck_relay_ask(cr_consensus *c, ck_io *io);
/* Gives up what had no answer in time; all: also what had time yet. */
void ck_relay_turn(cr_consensus *c, int all);
void ck_relay_receive(cr_consensus *c, const uint8_t *p, size_t n);
/* Answers who asked, under its number: an object with CK_OK, else NULL. */
void ck_relay_answer(cr_consensus *c, uint64_t to, uint64_t number, uint32_t outcome,
                     const json_t *object);
/* Nothing is read for others any more. */
void ck_relay_stop(cr_consensus *c);

/* --- peers.c --- */
/* Lets others be asked. 0: it is nothing that they have, they were, or there are none. */
int ck_peers_ask(cr_consensus *c, ck_io *io);
/* The API gave what they are asked for, or does not have it. */
void ck_peers_leave(cr_consensus *c, ck_io *io);
/* When it is to be looked whether they are asked too; INT64_MAX: not. */
int64_t ck_peers_next(const ck_io *io);
/* Who was asked answered, or had no answer in time; object: with CK_OK. */
void ck_peers_answered(ck_io *io, uint32_t outcome, json_t *object);
/* Another one wants an object. */
void ck_peers_want(cr_consensus *c, const uint8_t *p, size_t n);
/* Asks the next ones, and answers one. */
void ck_peers_turn(cr_consensus *c);
void ck_peers_stop(cr_consensus *c);

/* --- held.c --- */
/* The object of a slice whose hash is known by its first 20 bytes, as the API has it; page: which
 * one needs it, of a value. make; NULL: this node does not have it. */
json_t *ck_held_object(cr_consensus *c, const ck_blob *b, uint32_t page);
/* Forgets what is kept for the next of them: after a while; at once. */
void ck_held_turn(cr_consensus *c);
void ck_held_free(cr_consensus *c);

/* --- marked.c --- */
/* A root as it came: says once that it is marked. */
void ck_marked_look(cr_consensus *c, const ck_root *r);
/* Whether the namespace is going, asked now and then by a leader whose root is marked. */
void ck_marked_turn(cr_consensus *c);
/* The next moment for that. */
int64_t ck_marked_next(const cr_consensus *c);
/* Gives up what is out. */
void ck_marked_stop(cr_consensus *c);

/* --- sets.c --- */
/* Answers a command: the members that the set of this one has by its number of replicas. */
void ck_set_ask(cr_consensus *c, cr_name name, qd_str member);
void ck_sets_cancel(cr_consensus *c);

/* --- state.c --- */
ck_state *ck_state_make(cr_consensus *c);
void ck_state_free(ck_state *s);
/* A newer root: pages that are the same here as in its checkpoint. */
void ck_state_seen(ck_state *s, const ck_root *r);
/* The answer to FREEZE. */
ck_checkpoint *ck_state_freeze(ck_state *s, const ck_ask *a);
/* Callbacks of the core. */
void ck_state_thaw(void *arg, ck_checkpoint *p, int committed);
/* The page for which a value is loaded; CK_PAGES: for none. */
uint32_t ck_state_page_of(const ck_state *s, const ck_blob *b);
int32_t ck_state_load_begin(void *arg, uint32_t what, const ck_root *r);
uint32_t ck_state_load_want(void *arg, ck_blob *out, uint32_t max);
int32_t ck_state_load_blob(void *arg, int kind, const ck_hash *h, const uint8_t *p, size_t n);
int32_t ck_state_load_end(void *arg, int32_t rc);
int ck_state_reaches(void *arg, const ck_hash *h);

#endif
