/*
 * service.c: the node as a service of systemd (Type=notify): ready, reloading, stopping,
 * and the watchdog.
 *
 * A timer of the main loop feeds the watchdog four times in its interval, as long as every loop of
 * the process (the node's, HTTP's, the transport's) has turned since the time before: a process of
 * which one thread alone still lives is started again. Threads of pools do not count, as a long
 * search is no fault.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "runtime/proc.h"
#include <stdio.h>

#define LOG "main"
#define LOOK_NS UINT64_C(5000000000)
#define LOOK_LEAST_NS UINT64_C(50000000)
#define MORE "EXTEND_TIMEOUT_USEC=30000000" /* a start goes on while loops turn */

static struct {
    qd_timer timer;
    bool watched;         /* by a watchdog */
    bool hungry;          /* it is not fed, and that is in the log */
    _Atomic bool ready;   /* has been told */
    _Atomic bool started; /* nothing is waited for any more */
} service;

static void look(qd_timer *t)
{
    char stuck[64];
    (void)t;
    if (!qd_loops_turn(stuck)) {
        if (!service.hungry)
            qd_log_error(LOG,
                         "the loop [%s] does not turn: the service manager is not told that "
                         "the node lives until it does",
                         stuck);
        service.hungry = true;
        return;
    }
    if (service.hungry) qd_log_warn(LOG, "all loops turn again");
    service.hungry = false;
    if (!atomic_load(&service.ready)) (void)qd_proc_notify(MORE);
    if (service.watched) (void)qd_proc_notify("WATCHDOG=1");
}

void qd_node_service_begin(qd_node *node)
{
    if (!qd_proc_notify("STATUS=starting")) return;
    uint64_t ns = qd_proc_watchdog_ns(), period = ns ? ns / 4 : LOOK_NS;
    if (period > LOOK_NS) period = LOOK_NS;
    if (period < LOOK_LEAST_NS) period = LOOK_LEAST_NS;
    service.watched = ns > 0;
    qd_timer_init(&service.timer, node->main_loop, look, node);
    if (qd_timer_start(&service.timer, period, period)) service.watched = false;
}

void qd_node_service_waits(const char *why)
{
    char lines[512];
    if (atomic_load(&service.started)) return;
    atomic_store(&service.ready, true);
    snprintf(lines, sizeof lines, "READY=1\nSTATUS=waits: %.400s", why);
    (void)qd_proc_notify(lines);
}

void qd_node_service_started(const qd_node *node)
{
    char lines[512];
    atomic_store(&service.started, true);
    atomic_store(&service.ready, true);
    snprintf(lines, sizeof lines, "READY=1\nSTATUS=node %.200s of the cluster %.200s serves",
             node->name, qd_config_text(node->config, QD_SET_CLUSTER_NAME).p);
    (void)qd_proc_notify(lines);
}

void qd_node_service_reloads(const qd_node *node, bool begins)
{
    char lines[128];
    unsigned long long us = (unsigned long long)(qd_env_mono_ns(node->env) / 1000);
    snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%llu", us);
    (void)qd_proc_notify(begins ? lines : "READY=1");
}

void qd_node_service_stops(void)
{
    (void)qd_proc_notify("STOPPING=1\nSTATUS=stopping");
}

void qd_node_service_end(void)
{
    if (service.timer.loop) qd_timer_stop(&service.timer);
}
