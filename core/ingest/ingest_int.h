/*
 * ingest_int.h: what processors are made of: paths, templates, parameters, the run. One processor
 * is one file with a row (qdi_processor_<name>) and its name in types.def.
 */
#ifndef QD_INGEST_INGEST_INT_H
#define QD_INGEST_INGEST_INT_H

#include "base/vec.h"
#include "ingest/ingest.h"
#include "ingest/regex_int.h"
#include "script/mustache/mustache.h"

#define QDI_STEPS_MAX 100000u /* processors that may run on one document */
#define QDI_NESTING_MAX 100u  /* pipelines and foreach within one another */

/* --- paths (path.c) --- */

typedef enum qdi_root { QDI_ROOT_SOURCE, QDI_ROOT_META, QDI_ROOT_INGEST } qdi_root;
typedef struct qdi_path {
    qd_str full; /* as given */
    qdi_root root;
    uint32_t n;
    qd_str *at;
} qdi_path;
/* Takes a dotted path apart. QD_E_ARG "path cannot be null nor empty" … */
QD_MUST_CHECK
int qdi_path_make(qd_arena *a, qd_str text, qdi_path *out, qd_err *err);
/* The value at a path: 0 with *out, or QD_E_ARG with Elasticsearch's reason. */
QD_MUST_CHECK
int qdi_path_get(qd_ingest_run *r, const qdi_path *p, qd_iv **out, qd_err *err);
/* The same without an error; NULL: there is none. */
qd_iv *qdi_path_look(qd_ingest_run *r, const qdi_path *p);
/* Puts a value there; objects on the way are made. */
QD_MUST_CHECK
int qdi_path_set(qd_ingest_run *r, const qdi_path *p, qd_iv v, qd_err *err);
/* Appends values to the list there, which is made, of what is there too. */
QD_MUST_CHECK
int qdi_path_append(qd_ingest_run *r, const qdi_path *p, const qd_iv *v, bool duplicates,
                    qd_err *err);
/* QD_E_ARG for metadata that cannot go: what an index and a version are. */
QD_MUST_CHECK
int qdi_path_check_removal(const qdi_path *p, qd_err *err);
/* Removes the value there. */
QD_MUST_CHECK
int qdi_path_remove(qd_ingest_run *r, const qdi_path *p, qd_err *err);
/* Text at a path: QD_E_ARG when it is none ("cannot be cast"). *missing: nothing or null is there,
 * and that is fine (ignore). */
QD_MUST_CHECK
int qdi_path_text(qd_ingest_run *r, const qdi_path *p, bool ignore, qd_str *out, bool *missing,
                  qd_err *err);
/* QD_E_ARG "field [x] of type [y] cannot be cast to [z]". */
int qdi_cannot_cast(const qdi_path *p, const qd_iv *v, const char *to, qd_err *err);
/* QD_E_ARG "field [x] is null, cannot <do> it." */
int qdi_is_null(const qdi_path *p, const char *verb, qd_err *err);

/* --- templates (template.c) --- */

/* Templates are qd_mustache, over the document. This is the text, in the run's arena. */
QD_MUST_CHECK
int qdi_template_text(qd_ingest_run *r, const qd_mustache *t, qd_str *out, qd_err *err);

/* A value with templates in it. */
typedef struct qdi_source qdi_source;
QD_MUST_CHECK
int qdi_source_make(qd_arena *a, const qd_json_node *n, qd_mustache_escape escape, qdi_source **out,
                    qd_err *err);
/* The value for the document. */
QD_MUST_CHECK
int qdi_source_value(qd_ingest_run *r, const qdi_source *s, qd_iv *out, qd_err *err);

/* A path that may be a template. */
typedef struct qdi_tpath {
    qd_mustache *text;
    qdi_path fixed;
    bool constant;
} qdi_tpath;
/* The path for the document; in *room where it is made anew. */
QD_MUST_CHECK
int qdi_tpath_get(qd_ingest_run *r, const qdi_tpath *t, qdi_path *room, const qdi_path **out,
                  qd_err *err);

/* A copy of a value whose text is the arena's too. QD_E_NOMEM, QD_E_ARG: too deep. */
QD_MUST_CHECK
int qdi_iv_own(qd_arena *a, const qd_iv *from, qd_iv *to, qd_err *err);

/* --- steps --- */

typedef struct qdi_steps qdi_steps;
typedef struct qdi_build qdi_build;
typedef struct qdi_processor_type {
    const char *name;
    size_t size; /* of its configuration, zeroed before make */
    /* Reads the parameters; what it keeps is in b->a. */
    int (*make)(qdi_build *b, void *config, qd_err *err);
    /* Changes the run's document: 0, QD_INGEST_DROPPED, QD_INGEST_REROUTED or an error. */
    int (*run)(const void *config, qd_ingest_run *r, qd_err *err);
    /* The same for documents of n runs in one call, into rc; NULL: one by one. */
    void (*run_all)(const void *config, qd_ingest_run *const *runs, uint32_t n, int *rc,
                    qd_err *const *err);
    /* The parameter that a text in place of the parameters' object gives; NULL: none does. */
    const char *short_form;
} qdi_processor_type;

typedef struct qdi_step {
    const qdi_processor_type *type;
    qd_str tag, description;
    void *config;
    struct qdi_script *condition; /* "if"; NULL: it runs always */
    bool ignore_failure;
    qdi_steps *on_failure; /* NULL: none */
    qd_ingest_counts *counts;
} qdi_step;
struct qdi_steps {
    qdi_step *at;
    uint32_t n;
};
/* A list of processors: [{"set": {…}}, …]. */
QD_MUST_CHECK
int qdi_steps_make(qdi_build *b, const qd_json_node *list, qdi_steps *out, qd_err *err);
/* One processor: {"set": {…}}; it is the only one of what. */
QD_MUST_CHECK
int qdi_step_make(qdi_build *b, const qd_json_node *n, qdi_step *out, qd_err *err);
/* Runs them in order, with what each says about failures. */
QD_MUST_CHECK
int qdi_steps_run(qd_ingest_run *r, const qdi_steps *s, qd_err *err);

/* --- parameters (params.c) --- */

#define QDI_PARAMS_MAX 64u
/* A stored script as it was compiled. */
typedef struct qdi_stored {
    struct qdi_stored *next;
    qd_str id;
    uint64_t revision; /* 0: there was none */
} qdi_stored;
/* The compilation of one processor; of a pipeline in all others. */
struct qdi_build {
    const qd_ingest_settings *s;
    qd_arena *a;
    const char *type; /* of the processor; NULL: the pipeline itself */
    qd_str tag;
    const qd_json_node *config;
    uint64_t used; /* bit by number of a member of config */
    uint32_t depth, *nsteps;
    qdi_stored **stored; /* to which stored scripts are added */
};
/* QD_E_ES_PARSE "[property] reason" with the details of Elasticsearch; property NULL: none. */
int qdi_arg_fail(const qdi_build *b, const char *property, qd_err *err, const char *fmt, ...)
    QD_PRINTF(4, 5);
/* Adds the processor to the details of an error. */
void qdi_arg_details(const qdi_build *b, const char *property, qd_err *err);
/* The same around an error that is set: its text is the reason. */
int qdi_arg_wrap(const qdi_build *b, const char *property, qd_err *err);
/* Is it one that every processor has: tag, if …? */
bool qdi_arg_common(qd_str key);
/* A member, which counts as read; NULL: none. A null counts as none. */
const qd_json_node *qdi_arg(qdi_build *b, const char *key);
/* Text; standard NULL: it is required, else what holds without it ("" counts as a value; p NULL of
 * *out: none, by qdi_arg_str_opt). */
QD_MUST_CHECK
int qdi_arg_str(qdi_build *b, const char *key, const char *standard, qd_str *out, qd_err *err);
/* Text or {NULL,0}. */
QD_MUST_CHECK
int qdi_arg_str_opt(qdi_build *b, const char *key, qd_str *out, qd_err *err);
/* true or false. */
QD_MUST_CHECK
int qdi_arg_bool(qdi_build *b, const char *key, bool standard, bool *out, qd_err *err);
/* An integer. */
QD_MUST_CHECK
int qdi_arg_int(qdi_build *b, const char *key, int64_t standard, int64_t *out, qd_err *err);
/* A list of texts; required: QD_E_ES_PARSE without one, else *n is 0. single: text counts as one.
 */
QD_MUST_CHECK
int qdi_arg_strs(qdi_build *b, const char *key, bool required, bool single, qd_str **out,
                 uint32_t *n, qd_err *err);
/* A path; standard NULL: required. */
QD_MUST_CHECK
int qdi_arg_path(qdi_build *b, const char *key, qd_str standard, qdi_path *out, qd_err *err);
/* A path with templates, required unless standard.p is set. */
QD_MUST_CHECK
int qdi_arg_tpath(qdi_build *b, const char *key, qd_str standard, qdi_tpath *out, qd_err *err);
/* A path with templates of a text that was read. */
QD_MUST_CHECK
int qdi_tpath_make(qdi_build *b, const char *key, qd_str text, qdi_tpath *out, qd_err *err);
/* Text with templates. */
QD_MUST_CHECK
int qdi_arg_template(qdi_build *b, const char *key, qd_mustache **out, qd_err *err);
/* A value with templates; required. */
QD_MUST_CHECK
int qdi_arg_value(qdi_build *b, const char *key, qd_mustache_escape escape, qdi_source **out,
                  qd_err *err);
/* media_type, which says how {{x}} is escaped. */
QD_MUST_CHECK
int qdi_arg_media_type(qdi_build *b, qd_mustache_escape *out, qd_err *err);
/* QD_E_ES_PARSE when a member was not read. */
QD_MUST_CHECK
int qdi_args_end(const qdi_build *b, qd_err *err);
/* Java's class of a node, for messages. */
const char *qdi_node_class(const qd_json_node *n);

/* --- processors that change one text, or each of a list (strings.c) --- */

typedef struct qdi_strings {
    qdi_path field, target;
    bool ignore_missing;
} qdi_strings;
/* field, target_field, ignore_missing. */
QD_MUST_CHECK
int qdi_strings_make(qdi_build *b, qdi_strings *s, qd_err *err);
typedef int (*qdi_string_change)(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out,
                                 qd_err *err);
/* Changes what is there. */
QD_MUST_CHECK
int qdi_strings_run(const qdi_strings *s, const void *config, qd_ingest_run *r,
                    qdi_string_change change, qd_err *err);

/* --- the run --- */

struct qd_ingest_run {
    const qd_ingest_settings *s;
    qd_ingest_calls calls;
    qd_arena arena; /* of one document */
    qd_json_reader reader;
    qd_buf out;
    qdi_regex_room regex;
    qd_iv source, meta, ingest; /* meta: _index …; ingest: what stands below _ingest */
    qd_str type;
    int64_t now_ms;                  /* of _ingest.timestamp and of scripts */
    struct qdi_scripting *scripting; /* NULL: no script ran yet */
    uint32_t steps, depth;
    uint32_t npipelines;
    QD_VEC(qd_ingest_pipeline *) held; /* whose texts the document may have, until it ends */
    qd_ingest_pipeline *pipelines[QDI_NESTING_MAX]; /* that run, the innermost last */
    /* of the failure that goes on: which processor it was; type NULL: none yet */
    const char *failed_type;
    qd_str failed_tag, failed_pipeline;
    void (*told)(void *arg, const qd_ingest_run *r, const qd_ingest_trace *t);
    void *told_arg;
};
/* Text in the run's arena of n bytes to be filled; NULL with err set. */
char *qdi_run_bytes(qd_ingest_run *r, size_t n, qd_err *err);
/* QD_E_NOMEM of a document. */
int qdi_run_nomem(qd_err *err);
/* The pipeline named id, for its processors: runs it on the document. */
QD_MUST_CHECK
int qdi_run_pipeline(qd_ingest_run *r, qd_str id, bool ignore_missing, qd_err *err);
/* Keys of metadata. */
bool qdi_is_meta(qd_str key);

/* --- script.c: the seam for a script engine --- */

typedef struct qdi_script qdi_script;
/* Is there an engine? Without one the processor script is not shown. */
extern const bool qdi_script_there;
/* Compiles "if" of a processor (property) or the processor script (NULL) from its node, which is
 * read whole; in b->a. QD_E_ES_PARSE when it cannot be. */
QD_MUST_CHECK
int qdi_script_make(const qdi_build *b, const char *property, const qd_json_node *n,
                    qdi_script **out, qd_err *err);
/* Does the condition hold for the run's document? 1, 0 or an error. */
QD_MUST_CHECK
int qdi_script_test(const qdi_script *s, qd_ingest_run *r, qd_err *err);
/* What scripts of a run need is freed; NULL is fine. */
typedef struct qdi_scripting qdi_scripting;
void qdi_scripting_free(qdi_scripting *s);
/* Runs the processor script on the run's document. */
QD_MUST_CHECK
int qdi_script_run(const qdi_script *s, qd_ingest_run *r, qd_err *err);

/* The row of a name, NULL. */
const qdi_processor_type *qdi_ingest_type(qd_str name);
/* The row of a plugin's processor, in the build's arena; *out NULL: no plugin provides it. */
QD_MUST_CHECK
int qdi_plugged_type(const qdi_build *b, qd_str name, const qdi_processor_type **out, qd_err *err);

#define QDI_PROCESSOR(name) extern const qdi_processor_type qdi_processor_##name;
#include "ingest/types.def"
#undef QDI_PROCESSOR

#endif
