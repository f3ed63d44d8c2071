/*
 * store.h: an open store: what the files of the shell share. The shell is everything around the
 * machine: requests from any thread, the loop and its thread, the way to the leader, sessions'
 * deadlines by the leader's clock, watches, members, the engine and the rows.
 *
 * Threads. Slots of the kind put requests into the inbox under `lock` and wake the loop; so does
 * the transport with messages. All else happens on the loop's thread (open, before that thread is
 * there, on the caller's). Requests are linked through the four words that the kind's structs have
 * for the plugin: a node.
 *
 * A request's way. What is read waits for a round (rounds.c) and is answered from the machine here.
 * What changes something becomes a flight (flight.c): a command with a name of its own, (owner,
 * number); it goes into this node's log when it leads, else to the leader, where it is a guest
 * (guest.c), again and again until it is seen applied here, or answered; the machine does a command
 * of one name once.
 */
#ifndef COORDINATION_COMMON_STORE_H
#define COORDINATION_COMMON_STORE_H

#include "consensus.h"
#include "entry.h"
#include "machine.h"
#include "metrics.h"
#include "wire.h"
#include <pthread.h>
#include <quidditch/peers.h>

/* What init fetched; one for each node of the process. */
typedef struct cr_plugin {
    qd_self *self;
    const qd_host *host;
    cr_heap heap;
    const qd_svc_log *log;
    const qd_svc_err *err;
    const qd_svc_conf *conf;
    const qd_svc_clock *clock;
    const qd_svc_rand *rand;
    const qd_svc_loop *loop;
    const qd_svc_peers *peers; /* NULL: the host has no transport */
    cr_metrics metrics;
    pthread_mutex_t lock;
    pthread_t ended; /* under lock: the thread of the store that was closed last, not yet joined */
    int any_ended;
} cr_plugin;

/* Kinds of requests, and what they wait for. */
enum {
    CR_RANGE,
    CR_TXN_REQUEST,
    CR_SESSION_REQUEST,
    CR_ELECTION_REQUEST,
    CR_MEMBERS,
    CR_AUTHORITY_REQUEST,
    CR_EXPORT,
    CR_IMPORT_REQUEST
};
enum {
    CR_QUEUED,  /* just came */
    CR_FLYING,  /* flight `number` */
    CR_READING, /* round `number` */
    CR_WAITING  /* a range for its revision, a candidate for its election */
};
typedef struct cr_node {
    struct cr_node *next, *previous;
    uint32_t kind, state;
    uint64_t number;
} cr_node;
_Static_assert(sizeof(cr_node) <= 4 * sizeof(void *), "room in the requests");
#define CR_CONTAINER(type, n) ((type *)((char *)(n)-offsetof(type, plugin)))

/* A list of nodes. */
typedef struct cr_nodes {
    cr_node *first, *last;
} cr_nodes;

/* A command on its way into the log. */
enum {
    CR_HERE,   /* waits for a leader */
    CR_LOGGED, /* proposed by this node */
    CR_SENT,   /* to the leader */
    CR_ROUND   /* needs no entry, but this node's leadership confirmed: by round `round` */
};
typedef struct cr_flight {
    struct cr_flight *next, *previous, *chain;
    cr_node *node;   /* NULL: nobody waits */
    uint64_t number; /* its name, with the store's incarnation */
    uint64_t seen;   /* see cr_machine_remembers */
    uint64_t to;     /* SENT: whom */
    uint64_t round, touch;
    int where, tried; /* tried: what was sent or proposed may live on somewhere */
    int64_t told_ns;  /* SENT: when something went out or came back; HERE: not before */
    int64_t began_ns, heard_ns;
    cr_bytes command; /* u8 type, payload */
} cr_flight;
typedef struct cr_flights {
    cr_flight *first, *last;
    cr_flight *chains[1024];
    uint32_t n;
} cr_flights;

/* A flight of another member's, on the leader. */
enum { CR_GATHERING, CR_UNDER_WAY, CR_IN_ROUND };
typedef struct cr_guest {
    struct cr_guest *next, *previous, *chain;
    uint64_t owner, number, seen, round, touch;
    uint64_t from; /* member */
    int where;
    int64_t heard_ns;
    uint32_t total;
    cr_bytes command;
    char address[CR_WIRE_ADDRESS_MAX + 1];
} cr_guest;
typedef struct cr_guests {
    cr_guest *first, *last;
    cr_guest *chains[1024];
    uint32_t n;
    size_t bytes;
} cr_guests;

/* A name of a command. */
typedef struct cr_name {
    uint64_t owner, number; /* owner 0: the store's own */
} cr_name;
/* An entry under way. */
typedef struct cr_batch {
    cr_proposal proposal;
    struct qd_coord *store;
    uint64_t number; /* from 1 on */
    uint32_t n;
    cr_name names[CR_ENTRY_COMMANDS];
} cr_batch;

/* A member that asks where the log ends. */
typedef struct cr_asking {
    uint64_t from, number, round;
    char address[CR_WIRE_ADDRESS_MAX + 1];
} cr_asking;
/* Rounds: what must be confirmed by the majority before reads and renewals are answered. */
typedef struct cr_rounds {
    cr_read_wait wait; /* this node leads */
    int engine;        /* the engine has it */
    uint64_t number;   /* of the last one begun */
    int busy;
    int indexed; /* follower: the leader has answered, `index` is to be applied */
    uint64_t index;
    int64_t told_ns;
    cr_asking *asking;
    uint32_t nasking, asking_cap;
    cr_read_wait touch; /* renewals count from here, before they are answered */
    int touching;
    uint64_t touches;
} cr_rounds;

/* Where a member was last heard from: it may have moved, or not be in the list of members yet. */
typedef struct cr_place {
    uint64_t id;
    char address[CR_WIRE_ADDRESS_MAX + 1];
} cr_place;

/* When a session ends unless it is renewed. */
typedef struct cr_deadline {
    uint64_t session;
    int64_t at_ns;
    uint64_t ending; /* number of the batch with its end, which may be in the log; 0: none */
} cr_deadline;

/* A message that came in. */
typedef struct cr_mail {
    struct cr_mail *next;
    size_t n;
    uint8_t bytes[];
} cr_mail;

struct qd_coord_watch {
    const cr_heap *heap;
    pthread_mutex_t lock; /* of store */
    qd_coord *store;      /* NULL: it is closed */
    qd_coord_watch *next; /* in the store's list, or among those coming or going */
    uint32_t flags;
    qd_str key, end;
    uint64_t from; /* next revision to tell */
    int ended, closing, is_new;
    void (*events)(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                   int32_t rc);
    void *arg;
    void (*done)(void *arg);
    void *done_arg;
};

struct qd_coord_result {
    const cr_heap *heap;
    uint32_t nitems;
    cr_item **items;
};

/* What the plugin keeps beside: where its log lives, how it comes to its store (cr_home). */
#include "home.h"

struct qd_coord {
    cr_plugin *plugin;
    const cr_heap *heap;
    char path[3800];
    int bootstrap, recover;
    uint64_t raft_id;
    uint64_t incarnation; /* of this open handle: owner of its commands, ... */
    uint64_t last_number; /* ... and the last one's number */
    uint8_t cluster[16];  /* the store's id; zeros: not known yet */
    uint64_t recoveries;
    char *texts; /* of the next ones */
    qd_str cluster_name, node_id, node_name, address;
    uint32_t election_ms, heartbeat_ms;
    uint64_t history_bytes;
    int64_t history_max;
    int has_loop;
    uint64_t since_snapshot; /* bytes of entries */
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    uv_prepare_t after; /* a turn after entries were applied */
    pthread_t thread;

    pthread_mutex_t lock;
    cr_nodes inbox;
    uint32_t live, updates; /* requests not ended, and those among them that change something */
    size_t bytes;           /* of updates */
    qd_op **cancels;
    size_t ncancels, cancels_cap;
    qd_coord_watch *watches_in, *watches_out;
    cr_mail *mail, *mail_last;
    size_t mail_bytes;
    uint32_t mail_n;
    char gone[8][CR_WIRE_ADDRESS_MAX + 1]; /* addresses whose process has ended */
    uint32_t ngone;
    int64_t refused_ns; /* when a refusal was last told */
    char refused[400];  /* the last one, by a peer that is not connected; empty: none */
    uint64_t compact;
    qd_coord_identity identity;
    void (*closed)(void *arg);
    void *closed_arg;
    int closing, awake;

    /* the loop's */
    qd_peers *peers; /* NULL: no transport */
    cr_machine *machine;
    cr_consensus *consensus; /* NULL: no store yet */
    cr_consensus_view view;  /* as of the last look; texts do not last: leader_address below */
    cr_members *members;     /* those of the view, a reference */
    char leader_address[CR_WIRE_ADDRESS_MAX + 1];
    uint64_t applied; /* index of the log */
    cr_nodes pending; /* all that the loop knows and has not ended, in order of arrival */
    cr_flights flights;
    cr_guests guests;
    cr_rounds rounds;
    uint64_t coming; /* commands in this leader's log, not yet applied */
    qd_coord_watch *watches;
    cr_deadline *deadlines; /* by session */
    size_t ndeadlines, deadlines_cap;
    uint64_t deadlines_term; /* of the lead in which they began */
    int ready, failed, disk_failed, ending, dirty;
    /* when the loop last looked at the clock, or wanted to do so at the latest; INT64_MAX: it need
     * not */
    int64_t looked_ns;
    int unsure;        /* something waits for a leader: look again soon */
    int32_t fail_code; /* what requests are told then */
    char fail_reason[4400];
    char status[1024];    /* what is waited for while there is no leader */
    int64_t no_leader_ns; /* since when there is none */
    int64_t ready_ns;     /* since when it leads */
    cr_writer writer;
    cr_batch *batch; /* being written */
    uint64_t batches;
    cr_proposal leading;
    int leading_out;          /* it is under way */
    int64_t leading_again_ns; /* it failed and this node leads still: once more then; 0: not */
    int64_t probed_ns, strange_ns;
    int64_t slow_ns; /* when a slow change was last told */
    cr_place places[CR_WIRE_MEMBERS_MAX];
    uint32_t nplaces;
    int handing_over;
    cr_home home;
};

enum { CR_HISTORY_MIN = 65536 };
enum { CR_LIVE_MAX = 8192, CR_UPDATES_MAX = 1024, CR_UPDATE_BYTES_MAX = 96 << 20 };
enum { CR_MAIL_MAX = 4096, CR_MAIL_BYTES_MAX = 64 << 20 };
enum { CR_GUESTS_MAX = 2048, CR_GUEST_BYTES_MAX = 96 << 20 };
#define CR_PATIENCE_NS 5000000000ll /* that requests wait for a leader */
#define CR_RESEND_NS 1000000000ll   /* after silence */

/* --- store.c --- */
/* Opens folder and rows, starts the thread, which opens the log or looks for others. */
int32_t cr_store_open(qd_coord *c, qd_err *err);
/* Frees what open made; the thread is not there, or ends. */
void cr_store_free(qd_coord *c);
/* Shows what identity answers. */
void cr_identity_update(qd_coord *c);
/* Makes c->view anew; there is a log. */
void cr_view_look(qd_coord *c);
/* The same, and what follows from it: another leader, none, one again. */
void cr_store_look(qd_coord *c);
/* What consensus tells the shell. */
void cr_store_callbacks(qd_coord *c, cr_consensus_config *k);
/* Takes one record into the machine that is being loaded. */
int32_t cr_store_load_row(void *arg, cr_item *row);
/* Makes the machine's state that of all these rows, of a state as of an index of the log. What the
 * home keeps of rows is the caller's matter. QD_E_CORRUPT. */
int32_t cr_store_restore(qd_coord *c, const cr_items *rows, uint64_t index);
/* Nothing goes on; every request gets the code and the reason. */
void cr_give_up(qd_coord *c, int32_t code, const char *why);
/* Writes a log line. [any] */
void cr_say(qd_coord *c, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The time that all waits and leases count in; it goes on while the machine is suspended, as that
 * of the others does. */
int64_t cr_now(qd_coord *c);
/* This node leads, and all before its term is applied. */
int cr_leads(const qd_coord *c);
/* Somebody else leads and can be sent to. */
int cr_follows(const qd_coord *c);

/* --- requests.c --- */
/* The first member of every request is its op. */
qd_op *cr_op_of(cr_node *n);
/* Bytes that a request brings to the log; 0: it changes nothing. */
size_t cr_weight(const cr_node *n);
void cr_nodes_append(cr_nodes *l, cr_node *n);
void cr_nodes_unlink(cr_nodes *l, cr_node *n);
/* Ends a request. reason may be NULL. */
void cr_end(qd_coord *c, cr_node *n, int32_t rc, const char *reason);
/* What a code says to whoever made a request. */
const char *cr_reason_of(int32_t rc);
/* Hands what came of a request to it and ends it, or lets it wait on. */
void cr_finish(qd_coord *c, cr_node *n, const cr_answering *a);

/* --- sessions.c --- */
/* Renews, drops, makes deadlines after the sessions changed; anew: all begin again. */
void cr_deadlines_update(qd_coord *c, int anew);
/* The time, by which sessions may be judged: whoever compares their ends with a time of its own
 * would end those that nobody could renew, as nothing ran here. Since it was looked at last too
 * much may have passed; then all of them begin anew. */
int64_t cr_sessions_look(qd_coord *c);
/* Ends in a batch that is not in the log are looked at again; others are still under way. */
void cr_deadlines_again(qd_coord *c, uint64_t batch);
/* Nobody knows of those ends: they may come still, and are asked for again in time. */
void cr_deadlines_unsure(qd_coord *c, uint64_t batch);
/* Ends the sessions whose time has passed. */
void cr_sessions_expire(qd_coord *c);
/* The next deadline; INT64_MAX: none. */
int64_t cr_sessions_next(const qd_coord *c);
/* Its time begins anew, leadership being confirmed; nothing is told. */
void cr_session_touch(qd_coord *c, uint64_t session);
/* Renews a session, leadership being confirmed. QD_E_REJECTED: its end may be in the log, so an
 * entry must say what comes first. */
int32_t cr_session_keep(qd_coord *c, uint64_t session);

/* --- propose.c: from commands to entries --- */
/* Writes a command (u8 type, payload) of this name into the open entry; owner 0: as it is. */
void cr_propose(qd_coord *c, cr_name name, const uint8_t *command, size_t n);
/* Proposes what was written. */
void cr_flush(qd_coord *c);
/* The same, or later when it would only wait: what comes until then joins it. */
void cr_flush_soon(qd_coord *c);
/* Callback of the engine. */
int32_t cr_on_apply(void *arg, uint64_t index, const uint8_t *entry, size_t n);

/* --- flight.c --- */
/* Makes a request's flight. */
void cr_fly(qd_coord *c, cr_node *n);
/* One of nobody's; takes the command over. */
void cr_fly_alone(qd_coord *c, cr_bytes *command);
cr_flight *cr_flight_find(qd_coord *c, uint64_t number);
/* It came to this. */
void cr_flight_done(qd_coord *c, cr_flight *f, const cr_answering *a);
/* Its place in the log is lost (NOT_LEADER, NO_COORDINATION), or nobody knows (UNKNOWN_OUTCOME): it
 * is sent again; other codes end it. */
void cr_flight_back(qd_coord *c, cr_flight *f, int32_t rc);
/* Its request wants to end early. */
void cr_flight_cancel(qd_coord *c, cr_flight *f);
/* Proposes, sends, sends again, gives up. */
void cr_flights_turn(qd_coord *c);
/* All of them may have to be sent again: leader or state changed. */
void cr_flights_anew(qd_coord *c);
/* The state was replaced by a later one: what became of candidates is looked up. */
void cr_candidates_recheck(qd_coord *c);
void cr_on_more(qd_coord *c, const cr_answering *a);
void cr_on_answer(qd_coord *c, const cr_answering *a);
/* Ends all. */
void cr_flights_end(qd_coord *c, int32_t rc);

/* --- guest.c: on the leader --- */
void cr_on_request(qd_coord *c, const cr_envelope *e, const cr_request *q);
cr_guest *cr_guest_find(qd_coord *c, uint64_t owner, uint64_t number);
/* Answers and forgets it. */
void cr_guest_done(qd_coord *c, cr_guest *g, const cr_answering *a);
/* Forgets who fell silent; all when this node does not lead. */
void cr_guests_turn(qd_coord *c);
void cr_guests_free(qd_coord *c);
/* Whoever has this name, here or there, gets the answer. */
void cr_told(qd_coord *c, cr_name name, const cr_answering *a);

/* --- rounds.c --- */
/* Does a request or command wait for a round instead of an entry? */
int cr_reads_only(const cr_node *n);
int cr_is_soft(uint8_t type);
/* Begins a round when something waits for one, goes on with the present one. */
void cr_rounds_turn(qd_coord *c);
void cr_on_read(qd_coord *c, const cr_envelope *e, uint64_t number);
void cr_on_read_answer(qd_coord *c, uint64_t number, int32_t rc, uint64_t index);
/* Leadership went, or another leader came. */
void cr_rounds_anew(qd_coord *c);

/* --- read.c: what needs no entry --- */
/* Answers a reading request from the machine as it is now. */
void cr_read_now(qd_coord *c, cr_node *n);
void cr_result_free(qd_coord *c, qd_coord_result *r);
/* Makes the result of a list of members; 0 or QD_E_NOMEM. */
int32_t cr_members_result(qd_coord *c, qd_coord_members *r, const cr_who *m, uint32_t n);

/* --- watch.c --- */
int32_t cr_watch_open(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                      qd_err *err);
void cr_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg);
/* Takes in new ones, tells all what they lack, lets closed ones go. */
void cr_watches_turn(qd_coord *c);
/* The store ends: last calls; handles live on until they are closed. */
void cr_watches_end(qd_coord *c);

/* --- net.c --- */
/* Opens the channel to the other masters; without transport nothing. */
int32_t cr_net_open(qd_coord *c, qd_err *err);
/* Closes it, from outside the transport's threads. */
void cr_net_close(qd_coord *c);
/* Sends one message: the envelope is made here, the body is appended by the caller's bytes. */
void cr_net_say(qd_coord *c, uint8_t type, uint64_t to, qd_str address, const uint8_t *body,
                size_t n);
/* Takes what came in. */
void cr_net_turn(qd_coord *c);
void cr_net_free(qd_coord *c);
/* Keeps connections to all members, so that it is told at once when one ends. */
void cr_net_watch(qd_coord *c);
/* Where a member is: as last heard, else as told. */
qd_str cr_net_place(const qd_coord *c, uint64_t id, qd_str told);
/* Callback of the engine. */
void cr_on_send(void *arg, uint64_t to, qd_str address, const uint8_t *p, size_t n);

/* --- the plugin's own: where its log lives --- */
/* An option of the configuration, coordination.<key>. QD_E_CONFIG. */
int32_t cr_home_option(qd_coord *c, const qd_pair *o, qd_err *err);
/* All options are known: checks and keeps lists of others. */
int32_t cr_found_config(qd_coord *c, const qd_coord_config *k, qd_err *err);
/* Before anything else: what is set when nothing is configured. */
void cr_home_defaults(qd_coord *c);
/* Finds out which node this is (folder, lock), before the machine is there. */
int32_t cr_home_open(qd_coord *c, qd_err *err);
/* Loads what is known of the state; the machine and the loop are there, the thread is not. */
int32_t cr_home_load(qd_coord *c, qd_err *err);
/* Rows that an applied entry changed, or all of them (replaced); takes the references. */
void cr_home_applied(qd_coord *c, cr_items *rows, uint64_t index, int replaced);
/* The view was looked at again. */
void cr_home_looked(qd_coord *c);
/* The first entry of a lead is on its way: 0, or the home cannot keep that it leads. */
int32_t cr_home_led(qd_coord *c);
/* The first entry of a term is applied. */
void cr_home_ready(qd_coord *c);
/* When the loop has to look again at the latest. */
int64_t cr_home_next(const qd_coord *c, int64_t now, int64_t at);
/* Is there something for which the loop has to look again soon? */
int cr_home_waits(const qd_coord *c);
/* The timer ran. */
void cr_home_tick(qd_coord *c);
/* Frees what the home has; also before it was opened. */
void cr_home_free(qd_coord *c);
/* 1: a store that is formed now is in charge at once. */
int cr_home_forms(const qd_coord *c);
/* 0 when there is room for what is proposed, else QD_E_NOSPACE. */
int32_t cr_space(qd_coord *c);

/* Begins: forms at once, goes on, or looks for others. */
void cr_found_begin(qd_coord *c);
/* Probes, decides, says what is missing. */
void cr_found_turn(qd_coord *c);
/* Why a change may have taken so long, for the log. */
void cr_why_slow(const qd_coord *c, char *out, size_t room);
void cr_on_info(qd_coord *c, const cr_envelope *e, const cr_info *i);
/* Tells a sender what this node is. */
void cr_found_tell(qd_coord *c, const cr_envelope *e);
void cr_on_forming(qd_coord *c, const cr_envelope *e, const cr_forming *f);
void cr_on_join(qd_coord *c, const cr_envelope *e);
void cr_on_joined(qd_coord *c, const cr_envelope *e, int32_t rc, qd_str text);

/* Members, on the leader: */
/* Carries out a CR_ASK_MEMBERS command. */
void cr_members_ask(qd_coord *c, cr_name name, const uint8_t *command, size_t n);
/* Members as this node sees them; the number. */
uint32_t cr_members_seen(qd_coord *c, cr_who *out);
/* Lets a joiner in: 0, or a code with its reason. */
int32_t cr_members_admit(qd_coord *c, const cr_who *who, char *why, size_t size);
/* A member lives at another address now. */
void cr_members_moved(qd_coord *c, uint64_t id, qd_str name, qd_str address);
/* Follows the policy, ends wishes. */
void cr_members_turn(qd_coord *c);
/* --- slots.c: entry points of the kind --- */
extern const qd_coord_vtable cr_vtable;

/* --- init.c: for the descriptor of the plugin, whose name and flags are CR_HOME_... --- */
int32_t cr_init(qd_self *self, const qd_host *host, qd_err *err);
void cr_stop(qd_self *self, void (*done)(void *arg), void *arg);
cr_plugin *cr_plugin_of(qd_self *self);
/* Milliseconds of "500ms", "15s", "2m" or a bare number of them, a day at most; 0: no such thing.
 */
int64_t cr_option_ms(qd_str s);
/* A setting that all of them have. */
#define CR_CONF_HISTORY                                                                            \
    {                                                                                              \
        "history", QD_PCONF_BYTES, 0, "16mb", NULL, 1 << 20, 1ll << 36,                            \
            "Most memory of past changes that watches may read, beside the newest.", NULL          \
    }

#endif
