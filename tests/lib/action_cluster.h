/*
 * action_cluster.h: several whole nodes in one process for tests of what goes between them: each
 * has its disk, pools, shards and transport (over the loopback interface); coordination in memory
 * is shared. An API is run by a node's own handler, on the calling thread.
 *
 *   action_cluster *c = action_cluster_open(3, NULL);
 *   action_cluster_index(c, "x", 6, 0);
 *   action_cluster_put(c, "x", "1", "{\"a\":1}");     at the node that has its shard
 *   action_cluster_call(c, 0, "POST", "/x/_refresh", NULL) ... on every node:
 * action_cluster_refresh assert_int_equal(action_cluster_call(c, 1, "GET", "/x/_search", NULL),
 * 200); action_cluster_close(c);
 */
#ifndef QD_TESTS_ACTION_CLUSTER_H
#define QD_TESTS_ACTION_CLUSTER_H

#include "action/action.h"
#include "lib/store_crash.h"
#include "rpc/rpc.h"

typedef struct action_cluster action_cluster;

/* Opens so many nodes on empty disks; settings: "key=value" a line, NULL: none. Asserts success. */
action_cluster *action_cluster_open(uint32_t nodes, const char *settings);
/* The same on disks of another kind; disk NULL: the standard one. */
action_cluster *action_cluster_open_on(uint32_t nodes, const char *settings,
                                       const store_crash_options *disk);
/* Closes them; asserts that nothing leaks of accounts they own. NULL is fine. */
void action_cluster_close(action_cluster *c);
/* Runs an API on a node and returns the HTTP status; the answer stays until the next call. */
int action_cluster_call(action_cluster *c, uint32_t node, const char *method, const char *path,
                        const char *body);
/* The same with an answer of the caller's, for threads beside the test's. */
int action_cluster_call_to(action_cluster *c, uint32_t node, const char *method, const char *path,
                           const char *body, qd_buf *answer);
/* Begins a call on a worker of the node's search pool, as its front-end would; each is waited for
 * once, which makes it the last answer. */
typedef struct action_errand action_errand;
action_errand *action_cluster_start(action_cluster *c, uint32_t node, const char *method,
                                    const char *path, const char *body);
/* Waits for its end; returns the HTTP status. */
int action_cluster_wait(action_cluster *c, action_errand *e);
/* The last answer, NUL-terminated. */
const char *action_cluster_body(const action_cluster *c);
/* Makes an index with a body of settings and mappings, and waits until its shards have started. */
void action_cluster_index(action_cluster *c, const char *name, const char *body);
/* Puts a document where its shard is. */
void action_cluster_put(action_cluster *c, const char *index, const char *id, const char *body);
/* Deletes one the same way. */
void action_cluster_delete(action_cluster *c, const char *index, const char *id);
/* Refreshes all shards of all nodes. */
void action_cluster_refresh(action_cluster *c);
/* A node answers no searches and writes of others from now on, as if the connection had ended. */
void action_cluster_cut(action_cluster *c, uint32_t node);
/* It is asked, and says nothing until it is closed, as a frozen process does. */
void action_cluster_silence(action_cluster *c, uint32_t node);
/* Its state stays as it is, whatever happens to the cluster's, until it hears again. */
void action_cluster_deaf(action_cluster *c, uint32_t node, bool on);
/* How often it was asked since. */
uint32_t action_cluster_unanswered(action_cluster *c, uint32_t node);
/* Stops a node cleanly, and starts it again on its disk. */
void action_cluster_leave(action_cluster *c, uint32_t node);
void action_cluster_back(action_cluster *c, uint32_t node);
/* The coordination store of all nodes. */
struct coord_memory *action_cluster_store(action_cluster *c);
/* A node's handle to it. */
struct qd_coord_store *action_cluster_coord(action_cluster *c, uint32_t node);
/* What a node consists of. */
store_crash *action_cluster_disk(action_cluster *c, uint32_t node);
qd_actions *action_cluster_actions(action_cluster *c, uint32_t node);
/* Shards of an index that a node holds. */
uint32_t action_cluster_shards(action_cluster *c, uint32_t node, const char *index);

#endif
