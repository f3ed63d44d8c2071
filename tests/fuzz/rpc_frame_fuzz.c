/*
 * rpc_frame_fuzz.c: what a stranger or a peer may send to a node, in one simulated world that goes
 * on from input to input. The first byte chooses: raw bytes to the port; frames after a right
 * handshake, heads and checksums put right; answers to a node that has dialed. Afterwards the node
 * still answers its own calls, and its memory is what it was.
 */
#include "rpc/rpc_int.h"
#include "rpc/sim_wire.h"
#include "runtime/sim_env.h"
#include <stdlib.h>

static qd_sim *sim;
static qd_sim_net *net;
static qd_env *env, *evil_env;
static qd_pools pools;
static qd_rpc *rpc;
static qd_loop *loop;
static qd_wire *evil;
static qd_wire_listener *listener;

static void must(int rc)
{
    if (rc) abort();
}

static void echo(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_rpc_reply(r, qd_rpc_request_body(r), (qd_str){NULL, 0});
}

static void on_post(void *arg, const qd_rpc_node *from, qd_str bytes)
{
    (void)arg, (void)from, (void)bytes;
}

/* --- the other side --- */

static uint8_t script[1 << 20];
static size_t script_n;
static bool ended, dialing;
static qd_wire_link *link_now;

static void say(void)
{
    qd_iovec v = {script, script_n};
    if (script_n) (void)qd_wire_write(link_now, &v, 1);
}
static void evil_opened(void *user)
{
    (void)user;
    say();
}
static void evil_data(void *user, const uint8_t *p, size_t n)
{
    (void)user, (void)p, (void)n;
    if (!dialing && script_n) { /* its hello has come */
        say();
        script_n = 0;
    }
}
static void evil_written(void *user)
{
    (void)user;
}
static void evil_closed(void *user, qd_wire_end why, const char *reason)
{
    (void)user, (void)why, (void)reason;
    ended = true;
    link_now = NULL;
}
static const qd_wire_user user = {evil_opened, evil_data, evil_written, evil_closed};

static void evil_accept(void *arg, qd_wire_link *link)
{
    (void)arg;
    if (link_now) {
        qd_wire_close(link, false);
        return;
    }
    link_now = link;
    qd_wire_link_user(link, &user, NULL);
}

/* --- on the other side's loop --- */

typedef struct job {
    qd_post post;
    void (*fn)(void);
    bool done;
} job;
static void run_job(qd_post *post)
{
    job *j = (job *)(void *)post;
    j->fn();
    j->done = true;
}
static bool job_open(void *arg)
{
    return !((job *)arg)->done;
}
static void on_loop(void (*fn)(void))
{
    job j = {.post.fn = run_job, .fn = fn};
    qd_loop_post(loop, &j.post);
    (void)qd_sim_run_while(sim, job_open, &j, 1000000000);
}
static void do_listen(void)
{
    must(qd_wire_listen(evil, loop, "evil", 9300, false, evil_accept, NULL, &listener, NULL));
}
static void do_dial(void)
{
    must(qd_wire_dial(evil, loop, QD_STR("n0:9300"), 1000000000, &user, NULL, &link_now, NULL));
}
static void do_close(void)
{
    if (link_now) qd_wire_close(link_now, false);
}
static bool going(void *arg)
{
    (void)arg;
    return !ended;
}

static void begin(void)
{
    qd_log_level_set(NULL, QD_LOG_OFF);
    must(qd_sim_open(1, &sim, NULL));
    must(qd_sim_net_open(sim, &net, NULL));
    qd_sim_net_faults f = {.latency_min_ns = 1000, .latency_max_ns = 2000};
    qd_sim_net_faults_set(net, &f);
    env = qd_sim_env(sim, "n0");
    evil_env = qd_sim_env(sim, "evil");
    must(qd_pools_add(&pools, env, "generic", 2, 100, NULL));
    qd_rpc_listen listen = {.host = "n0", .port = 9300};
    qd_rpc_config c = {
        .env = env,
        .wire = qd_sim_net_wire(net, "n0"),
        .pools = &pools,
        .cluster_name = QD_STR("fuzz"),
        .node_id = QD_STR("id-0"),
        .node_name = QD_STR("n0"),
        .product = QD_STR("0"),
        .publish_host = QD_STR("n0"),
        .listen = &listen,
        .nlisten = 1,
        .message_max = 1 << 20,
    };
    must(qd_rpc_open(&c, &rpc, NULL));
    must(qd_rpc_handle(rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL));
    must(qd_rpc_on_post(rpc, QD_STR("raft"), on_post, NULL, NULL));
    evil = qd_sim_net_wire(net, "evil");
    must(qd_loop_open(evil_env, "evil", &loop, NULL));
    must(qd_loop_start(loop, NULL));
    on_loop(do_listen);
}

/* --- making the script --- */

static void add(const void *p, size_t n)
{
    if (n > sizeof script - script_n) n = sizeof script - script_n;
    memcpy(script + script_n, p, n);
    script_n += n;
}

static void add_frame(frame_head h, const void *p, size_t n)
{
    uint8_t head[FRAME_HEAD];
    h.length = (uint32_t)n;
    h.checksum = qdi_frame_sum(p, n);
    qdi_frame_put(head, &h);
    add(head, sizeof head);
    add(p, n);
}

static void add_hello(uint8_t type, uint16_t version, uint8_t class)
{
    qd_writer w;
    qd_writer_init(&w, NULL, 4096, QD_RPC_1_0);
    qd_write_u16(&w, QD_RPC_OLDEST);
    qd_write_u16(&w, QD_RPC_NEWEST);
    qd_write_u16(&w, version);
    qd_write_u8(&w, class);
    qd_write_c(&w, "fuzz");
    qd_write_c(&w, "");
    qd_write_c(&w, "id-evil");
    qd_write_c(&w, "ephemeral");
    qd_write_c(&w, "evil");
    qd_write_varint(&w, 4);
    qd_write_c(&w, "evil:9300");
    qd_write_c(&w, "0");
    add_frame((frame_head){.version = QD_RPC_1_0, .type = type}, w.buf.p, w.buf.n);
    qd_writer_fini(&w);
}

/* Frames: type, flags, version, id, action, u16 length (of the bytes that follow), those bytes. */
static void add_frames(const uint8_t *p, size_t n)
{
    while (n >= 7) {
        frame_head h = {
            .version = (uint16_t)(0x100u | (p[2] & 1)),
            .type = p[0] % (FRAME_TYPES + 1),
            .flags = p[1] & 31,
            .id = p[3],
            .action = p[4] % 8,
        };
        size_t len = (size_t)p[5] | (size_t)(p[6] & 7) << 8;
        p += 7, n -= 7;
        if (len > n) len = n;
        add_frame(h, p, len);
        p += len, n -= len;
    }
    add(p, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    qd_rpc_stats before, after;
    if (!n) return 0;
    if (!sim) begin();
    qd_rpc_stats_get(rpc, &before);
    script_n = 0;
    ended = false;
    dialing = p[0] % 3 != 2;
    if (p[0] % 3 == 0) add(p + 1, n - 1);
    if (p[0] % 3 == 1) add_hello(FRAME_HELLO, 0, p[0] / 3 % 3);
    if (p[0] % 3 == 2) add_hello(FRAME_WELCOME, QD_RPC_NEWEST, 0);
    if (p[0] % 3) add_frames(p + 1, n - 1);
    if (dialing) {
        on_loop(do_dial);
        (void)qd_sim_run_while(sim, going, NULL, 2000000);
    } else {
        qd_rpc_call call = {.to = QD_STR("evil:9300"),
                            .action = QD_ACTION_ECHO,
                            .class = (qd_rpc_class)(p[0] / 3 % 3),
                            .timeout_ms = 5,
                            .body = QD_STR("hello")};
        (void)qd_rpc_call_wait(rpc, &call, NULL);
        qd_rpc_call_fini(&call);
    }
    on_loop(do_close);
    if (link_now) (void)qd_sim_run_while(sim, going, NULL, 1000000000);
    /* the node stands */
    qd_rpc_call call = {
        .to = QD_STR("n0:9300"), .action = QD_ACTION_ECHO, .timeout_ms = 1000, .body = QD_STR("x")};
    must(qd_rpc_call_wait(rpc, &call, NULL));
    qd_rpc_call_fini(&call);
    qd_sim_run_until(sim, qd_sim_now_ns(sim) + 20000000);
    qd_rpc_stats_get(rpc, &after);
    if (after.memory > before.memory + 100000 || after.open_in) __builtin_trap();
    return 0;
}
