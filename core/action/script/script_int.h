/* script_int.h: scripts of requests, for the folders above. */
#ifndef QD_ACTION_SCRIPT_INT_H
#define QD_ACTION_SCRIPT_INT_H

#include "action/action_int.h"
#include "script/script.h"
#include "json/tree.h"

/* A script of a request, compiled for a context; a stored one is looked up in the state. *out is to
 * be put. QD_E_ARG, QD_E_NOTFOUND. [any] */
QD_MUST_CHECK
int qdi_script_compile(const qd_state *s, const qd_script_ref *ref, qd_script_context c,
                       qd_script **out, qd_err *err);
/* A stored script, its text in the arena. QD_E_NOTFOUND. [any] */
QD_MUST_CHECK
int qdi_script_stored(const qd_state *s, qd_str id, qd_arena *arena, qd_script_ref *out,
                      qd_err *err);
/* The source that an object stands for: its JSON without white space between the tokens, as
 * Elasticsearch has it. QD_E_ARG: it is larger than a source may be. [any] */
QD_MUST_CHECK
int qdi_script_of_object(qd_arena *a, const qd_json_node *n, qd_str *out, qd_err *err);
/* Reads and compiles a script of a request. */
QD_MUST_CHECK
int qdi_script_of(const qd_state *s, const qd_json_node *n, qd_script_context c, qd_script_ref *ref,
                  qd_script **out, qd_err *err);
/* The params of a script, as a map, into a run's variable. */
QD_MUST_CHECK
int qdi_script_params(qd_script_exec *x, const qd_script_ref *ref, qd_err *err);

#endif
