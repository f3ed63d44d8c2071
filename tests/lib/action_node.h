/*
 * action_node.h: a whole node in one process for tests of APIs: configuration, pools, a tier that
 * loses power, coordination in memory, cluster, shards and actions. An API is called as a client
 * calls it, by method, path and body, through the REST front-end's routes and the action service.
 *
 *   action_node *n = action_node_open(NULL);
 *   assert_int_equal(action_call(n, "PUT", "/x/_doc/1?refresh", "{\"a\":1}"), 201);
 *   assert_string_equal(action_at(n, "result"), "created");
 *   action_node_close(n);
 *
 * One node at a time in a process; calls from one thread. Many calls may be under way at once:
 * action_start, and action_wait for each.
 */
#ifndef QD_TESTS_ACTION_NODE_H
#define QD_TESTS_ACTION_NODE_H

#include "action/action.h"
#include "lib/store_crash.h"

typedef struct action_node action_node;

/* Opens a node on an empty disk, ready to serve. settings: "key=value" a line, NULL: none. Asserts
 * success. */
action_node *action_node_open(const char *settings);
/* The same on a disk of another kind; disk NULL: the standard one. */
action_node *action_node_open_on(const char *settings, const store_crash_options *disk);
/* Closes it; asserts that nothing leaks of accounts it owns. NULL is fine. */
void action_node_close(action_node *n);
/* Stops the node and starts it again on what its disk holds: cleanly, or, with crash, after a power
 * loss whose leftovers the seed decides. Coordination keeps all. */
void action_node_restart(action_node *n, bool crash, uint64_t seed);

/* Calls an API and returns the HTTP status; the answer stays until the next call. path has the
 * query string with it; body NULL: none. Paths and methods that no API takes: 405 or 400. */
int action_call(action_node *n, const char *method, const char *path, const char *body);
/* The same with the media type that the client accepts (QD_FORMAT_*). */
int action_call_accept(action_node *n, const char *method, const char *path, const char *body,
                       uint32_t accept);
/* Starts a call and returns at once; each is waited for once, which makes it the last answer. */
typedef struct action_ticket action_ticket;
action_ticket *action_start(action_node *n, const char *method, const char *path, const char *body);
/* Its client goes away: the call is cancelled; to be waited for all the same. */
void action_leave(action_ticket *t);
/* Waits for its end; returns the HTTP status. */
int action_wait(action_node *n, action_ticket *t);
/* Body of the last answer, NUL-terminated. */
const char *action_body(const action_node *n);
/* Format of the last answer. */
uint32_t action_format(const action_node *n);
/* Text of a value of the last answer by its path, "hits.hits.0._id"; a dot in a key is written as
 * "\\.". Scalars as text, containers as their JSON; NULL when it is not there. Lives until the next
 * call. */
const char *action_at(action_node *n, const char *path);

/* Calls fn(arg) once, on the applier's thread, when the shards have been shown the next state and
 * nobody else knows of it. */
void action_node_on_state(action_node *n, void (*fn)(void *arg), void *arg);
/* What the node consists of. */
store_crash *action_node_disk(action_node *n);
qd_actions *action_node_actions(action_node *n);

#endif
