/*
 * rest.h: Elasticsearch's REST API as a built-in front-end: HTTP requests become calls of the
 * action service by the table of APIs (action/api/api.def), answers go back with the headers and
 * media types of the identity that clients expect.
 */
#ifndef QD_REST_REST_H
#define QD_REST_REST_H

#include <quidditch/plugin.h>
#include <stdbool.h>

/* The descriptor to register with qd_plugin_builtin: provides front-end "rest". Its options are the
 * settings http.* and compatibility.identity as text. */
const qd_plugin *qd_rest_plugin(void);

struct qd_action_http_stats;
/* Connections and traffic of the front-end opened last, for qd_actions.http_stats; zeros when none
 * is open. arg is not used. [any] while no front-end is being closed */
void qd_rest_http_stats(void *arg, struct qd_action_http_stats *out);

/* From now on answers of all REST front-ends end their connections (Connection: close), while new
 * ones are taken as before: clients go elsewhere by themselves. [any] */
void qd_rest_retire(bool on);

/* Limits of connections of all REST front-ends, from now on: how many there may be at a front-end,
 * the time for a head and between two parts of a body, and that of a connection without a request
 * (0: for ever). [any] */
void qd_rest_limits(uint64_t connections, uint64_t read_ns, uint64_t idle_ns);

struct qd_account;
/* The account of whole bodies and of answers not yet taken by their clients: the in-flight breaker.
 * Set before a front-end is opened; it outlives it. [worker] */
void qd_rest_account(struct qd_account *account);

#endif
