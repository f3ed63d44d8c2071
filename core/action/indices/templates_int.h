/* templates_int.h: templates: their parts, what they say together, and what is wrong with them. */
#ifndef QD_ACTION_TEMPLATES_INT_H
#define QD_ACTION_TEMPLATES_INT_H

#include "action/action_int.h"
#include "json/tree.h"

typedef enum template_kind {
    TEMPLATE_LEGACY,
    TEMPLATE_COMPOSABLE,
    TEMPLATE_COMPONENT
} template_kind;

/* Key of a template's document in the state, in a. */
qd_str qdi_template_key(qd_arena *a, template_kind k, qd_str name);
/* Is it the key of a template of that kind? *name gets its name. */
bool qdi_template_is(template_kind k, qd_str key, qd_str *name);
/* The tree of a stored template; text and tree in a. */
QD_MUST_CHECK
int qdi_template_parse(qd_arena *a, const qd_state_document_record *d, qd_json_node **out,
                       qd_err *err);
/* Does one of its patterns match? */
bool qdi_template_matches(const qd_json_node *t, qd_str index);

#define TEMPLATE_LAYERS_MAX 128u
/* What an index begins with, lowest first. */
typedef struct template_layers {
    const qd_json_node *at[TEMPLATE_LAYERS_MAX]; /* objects with settings, mappings, aliases */
    uint32_t n;
} template_layers;
/* The composable template of highest priority that matches, NULL: none; its name, if wanted. */
QD_MUST_CHECK
int qdi_template_best(const qd_state *s, qd_arena *a, qd_str index, qd_str *name,
                      const qd_json_node **out, qd_err *err);
/* Names of the data streams whose next index this template makes, joined by ", ". */
QD_MUST_CHECK
int qdi_template_streams(const qd_state *s, qd_arena *a, qd_str name, qd_str *streams, qd_err *err);
/* "data_stream" of a template that is to be stored: does it say what it may, and do the streams
 * that the template of this name makes stay with one? QD_E_ARG */
QD_MUST_CHECK
int qdi_template_stream_check(qd_request *q, qd_str name, const qd_json_node *t, qd_err *err);
/* The lifecycle of data streams: {"enabled": …, "data_retention": …}. QD_E_ARG */
QD_MUST_CHECK
int qdi_stream_lifecycle_check(const qd_json_node *n, qd_err *err);
/* The layers of a composable template: its components, what it says itself. */
QD_MUST_CHECK
int qdi_template_layers(const qd_state *s, qd_arena *a, const qd_json_node *t, template_layers *l,
                        qd_err *err);
/* Puts layers below settings (one reference, replaced), mapping and aliases. */
QD_MUST_CHECK
int qdi_template_merge(const template_layers *l, qd_arena *arena, qd_settings **settings,
                       qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err);

/* The template in the body of a request as it is stored, checked, in the request's arena. */
QD_MUST_CHECK
int qdi_template_of_body(qd_request *q, template_kind k, qd_str name, qd_json_node **out,
                         qd_err *err);
/* Would an index be made by what this template says (its JSON as stored)? A component is looked at
 * alone, and in the templates that name it. QD_E_ARG with the cause. [worker] */
QD_MUST_CHECK
int qdi_template_check(qd_request *q, template_kind k, qd_str name, qd_str stored, qd_err *err);

/* Puts what templates say about an index of this name below settings (one reference, replaced),
 * mapping and aliases of its creation, and the cluster's defaults below that. Strings live in the
 * arena. */
int qdi_templates_apply(qd_actions *a, qd_arena *arena, qd_str index, qd_settings **settings,
                        qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err);

/* Puts `below`, which it takes over, below settings (one reference, replaced when all went well).
 * rc other than 0 is handed through: what made `below` failed. */
int qdi_settings_below(int rc, qd_settings *below, qd_settings **settings, qd_err *err);

/* Puts them below settings (one reference, replaced). */
int qdi_index_defaults_apply(const qd_actions *a, const qd_state *s, qd_str index,
                             qd_settings **settings, qd_err *err);

/* A stored template with its settings flat; inner: they stand below "template". */
void qdi_template_flat(qd_arena *arena, qd_str stored, bool inner, qd_json_writer *w);

#endif
