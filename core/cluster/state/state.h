/*
 * state.h: a snapshot of the cluster state, immutable and counted: indices by name and uuid,
 * aliases, settings, nodes. Searches and writes take one and never wait for the control plane.
 */
#ifndef QD_CLUSTER_STATE_H
#define QD_CLUSTER_STATE_H

#include "base/features.h"
#include "base/map.h"
#include "base/pmap.h"
#include "cluster/state/index_meta.h"

/* A node as it announced itself ("node/<id>"), with what it last told of its disk ("disk/<id>"). */
/* Which stores of the cluster's state a node opens: none, the one; both, so that it can move the
 * state; the one in Kubernetes beside the masters', which it asks: it follows a move. */
enum { QD_NODE_STORES_NONE, QD_NODE_STORES_ONE, QD_NODE_STORES_BOTH, QD_NODE_STORES_FOLLOWS };
typedef struct qd_node_meta {
    qd_str id, name, host, transport_address, http_address,
        roles; /* roles: letters of _cat/nodes, see below */
    qd_str version;
    uint32_t features;         /* highest level of formats that it knows; 0: of an old record */
    qd_str ephemeral;          /* random, made by each process; empty only in old records */
    uint32_t stores;           /* of the state that it opens: QD_NODE_STORES_* */
    qd_str wants;              /* mode that its settings ask for; empty: none, or the cluster's */
    qd_str tiers;              /* on which it may hold shards: "hot,warm"; empty: it tells none */
    const qd_pair *attributes; /* node.attr.* without the prefix, by key */
    uint32_t nattributes;
    uint64_t disk_total, disk_free; /* bytes of its own tier; 0: not told */
    qd_str tier_spaces;             /* "<name>=<total>/<free> ...", of tiers beside its own */
    qd_str shard_sizes;             /* "<uuid>/<n>=<bytes> ...", of its large shards */
    uint64_t session;      /* of the coordination store; 0: not known (of qd_cluster_self) */
    uint64_t mod_revision; /* of its record */
} qd_node_meta;

/* Of a tier in tier_spaces: bytes in all and free, below 2^63; false: it is not told. [any] */
bool qd_tier_space_in(qd_str spaces, qd_str tier, uint64_t *total, uint64_t *available);
/* The same of the disk on which a node has indices of a tier (empty: its own one). [any] */
bool qd_node_disk(const qd_node_meta *n, qd_str tier, uint64_t *total, uint64_t *available);

/* Letters in qd_node_meta.roles: d data, h data_hot, w data_warm, c data_cold, s data_content,
 * f data_frozen, i ingest, m master, r coordination, o operator. */
#define QD_NODE_DATA_ROLES "dhwcsf"
/* May it hold shards? [any] */
bool qd_node_is_data(const qd_node_meta *n);
/* Has it the role of a letter? [any] */
bool qd_node_has_role(const qd_node_meta *n, char letter);
#define QD_NODE_ATTRIBUTES_MAX 64u
/* The attributes that settings give a node (node.attr.*): keys and values of the settings, at most
 * QD_NODE_ATTRIBUTES_MAX. Returns how many. [any] */
uint32_t qd_node_attributes(const qd_settings *s, qd_pair out[QD_NODE_ATTRIBUTES_MAX]);
/* An attribute's value; {NULL, 0}: it has none of that name. [any] */
qd_str qd_node_attribute(const qd_node_meta *n, qd_str key);

/* An alias over all indices that carry it, or a data stream over its backing indices. */
typedef struct qd_alias_group {
    qd_str name;
    const qd_index_meta **indices; /* by name */
    uint32_t n;
    const qd_index_meta *write_index; /* NULL: none, writes are refused */
    bool is_hidden;
    bool is_stream; /* indices: by their order in it, the last one is the write index */
} qd_alias_group;

#define QD_STREAM_KEY "data_stream/"  /* of the document of a data stream, before its name */
#define QD_LIFECYCLE_KEY "lifecycle/" /* of documents of lifecycle policies */

/* A JSON document of its own in the cluster state: templates ("template/..."), permits, what data
 * streams are ("data_stream/..."). */
typedef struct qd_state_document_record {
    qd_str key, value;
    uint64_t mod_revision;
} qd_state_document_record;

enum {                   /* parts of a state that are made, and shared, each for itself */
       QD_STATE_INDICES, /* indices, names, aliases, what they use */
       QD_STATE_SHARDS,  /* uuids, shards, what nodes hold */
       QD_STATE_SETTINGS,
       QD_STATE_NODES,
       QD_STATE_DOCUMENTS,
       QD_STATE_MAPPINGS,
       QD_STATE_BURIED,
       QD_STATE_PARTS
};

typedef struct qd_state {
    _Atomic int32_t refs;
    uint64_t revision;
    char uuid[QD_UUID_TEXT]; /* of the cluster; empty: not formed */
    qd_index_meta **indices; /* by name */
    qd_shard_meta **shards;  /* by index as above: meta->shards records each; another array
                              * when one of them has changed */
    uint32_t n;
    qd_pmap names;        /* name -> qd_index_meta */
    qd_pmap uuids;        /* uuid -> index and its shards, which it holds; state_int.h */
    qd_pmap aliases;      /* name -> qd_alias_group */
    qd_pmap uses;         /* hash of a mapping -> number of its indices */
    qd_pmap damaged;      /* uuids of indices whose records cannot be used */
    qd_pmap held;         /* id of a node -> copies that it holds or moving ones go to */
    uint64_t open_copies; /* that all open indices shall have */
    uint32_t nwanting;    /* indices whose writes wait for other active copies than the primary */
    qd_settings *persistent, *transient;              /* sealed */
    uint64_t persistent_revision, transient_revision; /* 0: none stored */
    qd_pmap mappings; /* hash -> revision of its record, as a number */
    qd_pmap buried;   /* uuid of a deleted index -> revision of its record in the graveyard */
    const qd_node_meta *nodes; /* by id */
    uint32_t nnodes;
    uint32_t features;          /* level of formats that nodes may write; see docs/state.md */
    uint64_t features_revision; /* of its record; 0: none, which is level 1 */
    qd_str master;              /* id of the node whose allocator leads; empty: none is elected */
    uint64_t master_session;    /* under which it was elected */
    const qd_state_document_record *documents; /* by key */
    uint32_t ndocuments;
    /* what holds all that is above; one that has not changed is shared with earlier states */
    struct qd_state_part *part[QD_STATE_PARTS];
} qd_state;

/* One more reference. [any] */
qd_state *qd_state_ref(const qd_state *s);
/* One reference less; NULL is fine. [any] */
void qd_state_unref(const qd_state *s);
/* An index by its own name, NULL. [any] */
const qd_index_meta *qd_state_index(const qd_state *s, qd_str name);
/* The records of an index's shards, NULL when the index is not in s. [any] */
const qd_shard_meta *qd_state_shards(const qd_state *s, const qd_index_meta *m);
/* The record of one shard, NULL when the index is not in s or has no such shard. [any] */
const qd_shard_meta *qd_state_shard(const qd_state *s, const qd_index_meta *m, uint32_t number);
/* A node by id, NULL. O(log n) [any] */
const qd_node_meta *qd_state_node(const qd_state *s, qd_str id);
/* Has the node said that its disk is so full that it refuses writes? [any] */
static inline bool qd_node_disk_full(const qd_node_meta *n)
{
    return n->disk_total && !n->disk_free;
}
/* Is the process that was given the copy still a node of the cluster? [any] */
bool qd_state_copy_lives(const qd_state *s, const qd_copy *c);
/* An index by uuid, NULL. [any] */
const qd_index_meta *qd_state_index_uuid(const qd_state *s, qd_str uuid);
/* Was the index deleted? One that is neither here nor buried is not known to have ever been. [any]
 */
bool qd_state_buried(const qd_state *s, qd_str uuid);
/* Revision of a mapping's record, 0 when there is none. [any] */
uint64_t qd_state_mapping_revision(const qd_state *s, const char *hash);
/* A document by its key, NULL. O(log n) [any] */
const qd_state_document_record *qd_state_document(const qd_state *s, qd_str key);
/* Does an index of the state, other than `but` (NULL: any), use the mapping of this hash? [any] */
bool qd_state_mapping_used(const qd_state *s, const char *hash, const qd_index_meta *but);
/* So many copies a node holds; a moving one counts at its target. [any] */
uint32_t qd_state_held(const qd_state *s, qd_str node);
/* An alias, or a data stream, NULL. [any] */
const qd_alias_group *qd_state_alias(const qd_state *s, qd_str name);
/* A data stream, NULL. [any] */
const qd_alias_group *qd_state_stream(const qd_state *s, qd_str name);
/* The data stream of an index, NULL. [any] */
static inline const qd_alias_group *qd_state_stream_of(const qd_state *s, const qd_index_meta *m)
{
    return m->place.stream.n ? qd_state_stream(s, m->place.stream) : NULL;
}
/* Calls fn for each alias and each data stream, in no order that means anything, until it returns
 * other than 0; returns that. [any] */
int qd_state_aliases_each(const qd_state *s, int (*fn)(void *arg, const qd_alias_group *g),
                          void *arg);

/* One index in two states; NULL: it is not in that one. */
typedef struct qd_state_difference {
    const qd_index_meta *was, *is;
    const qd_shard_meta *was_shards, *is_shards;
} qd_state_difference;
/* Calls fn for each index whose metadata or records of shards are not the same in both states, in
 * no order that means anything, until it returns other than 0; returns that. old may be NULL.
 * O(changes) between a state and one that was made of it. [any] */
int qd_state_diff(const qd_state *old, const qd_state *now,
                  int (*fn)(void *arg, const qd_state_difference *d), void *arg);

/* Elasticsearch's IndicesOptions. */
enum {
    QD_EXPAND_OPEN = 1,
    QD_EXPAND_CLOSED = 2,
    QD_EXPAND_HIDDEN = 4,
    QD_ALLOW_NO_INDICES = 8,    /* a pattern that matches nothing is fine */
    QD_IGNORE_UNAVAILABLE = 16, /* a missing or closed index is left out */
    QD_FORBID_CLOSED = 32,      /* a closed index is an error (unless ignored) */
    QD_FORBID_ALIASES = 64,     /* an alias is an error (deleting an index) */
    QD_NO_ALIASES = 128,        /* patterns do not match aliases */
    QD_ONE_NAME = 256,          /* the expression is one name: no list, no pattern */
};
#define QD_INDICES_SEARCH (QD_EXPAND_OPEN | QD_ALLOW_NO_INDICES | QD_FORBID_CLOSED)
#define QD_INDICES_ALL (QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES)

typedef struct qd_resolved {
    const qd_index_meta **at; /* by name, without repetition; borrowed from the state */
    uint32_t n;
} qd_resolved;

/* Parses expand_wildcards ("open,hidden", "all", "none") into the EXPAND bits of *options.
 * QD_E_ARG "No valid expand wildcard value [x]". [any] */
QD_MUST_CHECK
int qd_state_expand_parse(qd_str text, uint32_t *options, qd_err *err);
/*
 * Resolves a comma-separated list of names, aliases, patterns with `*`, exclusions ("-x" behind a
 * pattern), "_all" or nothing (all). [any] QD_E_INDEX_NOT_FOUND ("no such index [x]"),
 * QD_E_INDEX_CLOSED ("closed"), QD_E_ARG (aliases where forbidden), QD_E_INVALID_INDEX_NAME.
 */
QD_MUST_CHECK
int qd_state_resolve(const qd_state *s, qd_str expression, uint32_t options, qd_arena *arena,
                     qd_resolved *out, qd_err *err);
/* The error of a name that no index, alias or data stream has: QD_E_INDEX_NOT_FOUND with its
 * details. [any] */
int qd_state_no_index(qd_str name, qd_err *err);
/*
 * What searching an index under this expression means: *filter gets the aliases' filters as a JSON
 * array of queries (any of them suffices; empty: all documents), *routing their search routings
 * joined by commas (empty: all shards). [any] QD_E_NOMEM
 */
QD_MUST_CHECK
int qd_state_alias_filter(const qd_state *s, qd_str expression, const qd_index_meta *index,
                          qd_arena *arena, qd_str *filter, qd_str *routing, qd_err *err);
/* The index that a write to name goes to: the index, or the write index of an alias (whose index
 * routing *routing gets). [any] QD_E_INDEX_NOT_FOUND; QD_E_ARG: no write index. */
QD_MUST_CHECK
int qd_state_write_index(const qd_state *s, qd_str name, const qd_index_meta **out, qd_str *routing,
                         qd_err *err);
/* Does pattern (with `*`) match name? [any] O(n·m) without recursion */
bool qd_pattern_match(qd_str pattern, qd_str name);

/* Checks a name for a new index: QD_E_INVALID_INDEX_NAME with Elasticsearch's reasons. [any] */
QD_MUST_CHECK
int qd_index_name_check(qd_str name, qd_err *err);
/* The same for an alias: QD_E_INVALID_ALIAS. [any] */
QD_MUST_CHECK
int qd_alias_name_check(qd_str name, qd_err *err);

/* --- building, for cluster.c -------------------------------------------------------------------
 */

/* The keys of the store, as last read or watched: name -> value with its revision. */
typedef struct qd_state_kv {
    uint64_t mod_revision, session;
    qd_str value; /* behind the struct */
} qd_state_kv;
/* What has changed in kv since the state before. */
typedef struct qd_state_changes {
    uint32_t parts;  /* bits 1 << QD_STATE_… of those that are made as a whole */
    qd_map indices;  /* uuid of an index -> not NULL: its record, or one of its shards' */
    qd_map mappings; /* hash -> not NULL */
    qd_map buried;   /* uuid -> not NULL */
    bool every;      /* nothing is known: all is looked at */
} qd_state_changes;
/* Nothing has changed. */
void qd_state_changes_init(qd_state_changes *c);
/* Ends it; init begins again. */
void qd_state_changes_fini(qd_state_changes *c);
/* The value of a key has changed. */
void qd_state_changes_add(qd_state_changes *c, qd_str key);

/* Makes the snapshot of all keys in kv (values qd_state_kv); what has not changed is shared with
 * old (may be NULL, as may changes: then all is looked at). Damaged records are left out and
 * logged. plugins as in qd_index_source; the state may not outlive them. [worker] */
QD_MUST_CHECK
int qd_state_build(const qd_map *kv, uint64_t revision, const qd_state *old,
                   const qd_state_changes *changes, const struct qd_plugin_host *plugins,
                   qd_state **out, qd_err *err);

#endif
