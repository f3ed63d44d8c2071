/*
 * config.h: the configuration of a node: file, environment, flags and cluster settings in one, with
 * listeners for what changes while it runs.
 *
 * main feeds the sources, then calls qd_config_ready. Readers take qd_config_values, an immutable
 * set that stays valid until qd_config_close even when a newer one takes its place. Updates are
 * made by one thread at a time (a lock of the caller's or the cluster applier).
 */
#ifndef QD_CONFIG_CONFIG_H
#define QD_CONFIG_CONFIG_H

#include "config/schema.h"

typedef struct qd_config qd_config;

/* An empty configuration; machine_memory (bytes) is what node.memory: auto derives from. */
QD_MUST_CHECK
int qd_config_open(int64_t machine_memory, qd_config **out, qd_err *err);
/* Frees it with all values ever handed out. */
void qd_config_close(qd_config *c);

/* The configuration file's text; file is its name for messages (copied). ${VAR} and ${VAR:default}
 * in values are replaced from the environment through get (NULL result: unset). Once. 0 or
 * QD_E_CONFIG with file, line and the nearest known name. */
QD_MUST_CHECK
int qd_config_file(qd_config *c, qd_str text, const char *file,
                   const char *(*get)(const char *name), qd_err *err);
/* The environment variables of config/environment.def (NODE_ID, RAFT_PEERS, BIND_ADDR, ...). */
QD_MUST_CHECK
int qd_config_environment(qd_config *c, const char *(*get)(const char *name), qd_err *err);
/* The variables that are called as settings are, in small letters with a dot ("cluster.name=x"), as
 * Elasticsearch's container takes them; those of environment.def win. at gives the i-th variable as
 * "NAME=value", NULL behind the last (qd_proc_env_at). Unknown ones are found by qd_config_ready.
 */
QD_MUST_CHECK
int qd_config_environment_names(qd_config *c, const char *(*at)(size_t i), qd_err *err);
/* One -E argument, "key=value". */
QD_MUST_CHECK
int qd_config_flag(qd_config *c, qd_str key_value, qd_err *err);
/* The one role this node is made for (--role, QUIDDITCH_ROLE: what an image sets): defaults of
 * node.roles, path.data, ports, coordination.mode below every other source. QD_E_CONFIG: no such
 * role. */
QD_MUST_CHECK
int qd_config_role(qd_config *c, qd_str role, qd_err *err);
/* The node runs in a container (QUIDDITCH_CONTAINER: what an image sets): by default, below every
 * other source, its log is JSON on standard output. */
void qd_config_container(qd_config *c);
/* Tells every mistake of names and values in the sources, the first of them too; before they are
 * fed. qd_config_ready still fails then. */
void qd_config_tell(qd_config *c, void (*tell)(void *arg, const char *text), void *arg);
/* Merges the sources, checks them, parses the values. After it the getters work. */
QD_MUST_CHECK
int qd_config_ready(qd_config *c, qd_err *err);

/* The present values (ids QD_SET_…). [any] */
const qd_values *qd_config_values(const qd_config *c);
/* Shorthands for one present value: a number or a size in bytes. [any] */
int64_t qd_config_i64(const qd_config *c, qd_set id);
/* A time in milliseconds. [any] */
int64_t qd_config_ms(const qd_config *c, qd_set id);
/* A switch. [any] */
bool qd_config_bool(const qd_config *c, qd_set id);
/* Text of a setting of any type, NUL-terminated; empty when there is none. [any] */
qd_str qd_config_text(const qd_config *c, qd_set id);
/* node.memory in bytes, auto resolved. [any] */
int64_t qd_config_memory(const qd_config *c);
/* Bytes of the indexing buffer: indices.memory.index_buffer_size, a percentage of it held between
 * min_index_buffer_size and max_index_buffer_size. [any] */
int64_t qd_config_index_buffer(const qd_config *c);
/* Bytes in indexing buffers from which on they are written to segments: at most
 * indices.memory.early_write_size unless the buffer's size is given in bytes. [any] */
int64_t qd_config_index_early(const qd_config *c);
/* Where the present value of key came from: "file quidditch.yml, line 3", "environment variable
 * NODE_ID", "flag -E", "default", "default of the role", "persistent", "transient". Appended to
 * out. [any] */
int qd_config_origin(const qd_config *c, qd_str key, qd_buf *out);

/* Calls for one key, or for all keys below a prefix that ends with '.'. check sees the new values
 * and may refuse them (code, err set); apply follows when all checks passed. Either may be NULL.
 * apply is called only when a value of the key or prefix changed. At start, or from [worker]. */
QD_MUST_CHECK
int qd_config_listen(qd_config *c, const char *key,
                     int (*check)(void *arg, const qd_values *next, qd_err *err),
                     void (*apply)(void *arg, const qd_values *next), void *arg, qd_err *err);
/* Told of a setting of the cluster that is not used as it stands, and why; borrowed. */
typedef void (*qd_config_left)(void *arg, qd_str key, qd_str value, const char *why);
/* Takes the cluster's settings (complete sets, sealed, NULL = empty) as the top layers. Each is
 * applied for itself: one that this node does not know, that schema or listeners refuse or that
 * cluster.settings.ignore names is left out, and `left` (may be NULL) is told. On an error (no
 * memory) nothing has changed. */
QD_MUST_CHECK
int qd_config_cluster(qd_config *c, qd_settings *persistent, qd_settings *transient,
                      qd_config_left left, void *arg, qd_err *err);
/* Would the node work with these settings (all of them, sealed)? Schema, values that belong
 * together, listeners; nothing changes. [any] */
QD_MUST_CHECK
int qd_config_try(qd_config *c, qd_settings *all, qd_err *err);
/* SIGHUP: the file's new text. Settings with RELOAD or DYNAMIC that changed are applied; names of
 * others that differ are appended to restart (comma-separated). On an error nothing has changed. */
QD_MUST_CHECK
int qd_config_reload(qd_config *c, qd_str text, const char *(*get)(const char *name),
                     qd_buf *restart, qd_err *err);
/* Does the present value of key follow from the roles alone? [any] */
bool qd_config_by_role(const qd_config *c, qd_str key);
/* Was the address to listen on given by BIND_ADDR? Loopback is listened on beside it. [any] */
bool qd_config_bind_addr(const qd_config *c);
/* The settings given explicitly, of all layers, sealed; borrowed. [any] */
const qd_settings *qd_config_settings(const qd_config *c);

#endif
