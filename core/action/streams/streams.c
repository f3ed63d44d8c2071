/*
 * streams.c: what data streams are made of.
 *
 * The document of a stream ("data_stream/<name>" of the state) has its generation and what is told
 * of it; which indices are its own, and their order, stands in their records (qd_index_place). An
 * index template with "data_stream" makes streams of the names that match: at the first write, or
 * by PUT _data_stream.
 */
#include "action/indices/indices_int.h"
#include "action/streams/streams_int.h"
#include "base/str.h"
#include "base/vec.h"
#include "mapping/date_format.h"
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX ((size_t)1 << 20)

/* The timestamp, where no template says more of it. */
static const char lowest[] = "{\"mappings\":{\"properties\":{\"@timestamp\":{\"type\":\"date\"}}}}";
/* Each new document is looked at for it. */
static const char stamped[] = "{\"_data_stream_timestamp\":{\"enabled\":true}}";

int qdi_stream_read(const qd_state *s, qd_arena *a, qd_str name, data_stream *out, qd_err *err)
{
    qd_json_node *root;
    qd_str key = qd_arena_printf(a, QD_STREAM_KEY "%.*s", QD_STR_ARG(name));
    const qd_state_document_record *d = qd_state_document(s, key);
    *out = (data_stream){.name = name};
    if (!d) return QD_E_NOTFOUND;
    int rc = qdi_template_parse(a, d, &root, err);
    if (rc) return rc;
    const qd_json_node *g = qd_json_get(root, "generation"), *h = qd_json_get(root, "hidden");
    if (!g || !qd_str_i64(qd_json_text(g), &out->generation)) out->generation = 1;
    out->hidden = h && h->truth;
    out->revision = d->mod_revision;
    out->at = root;
    return 0;
}

bool qdi_stream_is_managed(const data_stream *d)
{
    const qd_json_node *n = d->at ? qd_json_get(d->at, "lifecycle") : NULL;
    const qd_json_node *enabled = n ? qd_json_get(n, "enabled") : NULL;
    return n && (!enabled || enabled->truth);
}

void qdi_stream_lifecycle_write(const qd_json_node *lifecycle, qd_json_writer *w)
{
    const qd_json_node *enabled = qd_json_get(lifecycle, "enabled");
    const qd_json_node *retention = qd_json_get(lifecycle, "data_retention");
    qd_json_object(w);
    qd_json_field_bool(w, "enabled", !enabled || enabled->truth);
    if (retention && retention->type == QD_JSON_T_STRING)
        qd_json_field_str(w, "data_retention", retention->text);
    qd_json_object_end(w);
}

int qdi_stream_template(const qd_state *s, qd_arena *a, qd_str stream, const qd_json_node **out,
                        qd_str *name, qd_err *err)
{
    int rc = qdi_template_best(s, a, stream, name, out, err);
    if (rc) return rc;
    if (!*out) {
        return qd_err_set(err, QD_E_ARG, "no matching index template found for data stream [%.*s]",
                          QD_STR_ARG(stream));
    }
    if (qd_json_get(*out, "data_stream")) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "matching index template [%.*s] for data stream [%.*s] has no data stream "
                      "template",
                      QD_STR_ARG(*name), QD_STR_ARG(stream));
}

int qdi_stream_wanted(const qd_state *s, qd_arena *a, qd_str name, bool *out, qd_err *err)
{
    const qd_json_node *t;
    int rc = qdi_template_best(s, a, name, NULL, &t, err);
    *out = !rc && t && qd_json_get(t, "data_stream");
    return rc;
}

/* The document with another generation; of a new stream the first one. */
static int write_record(const data_stream *now, int64_t generation, const qd_json_node *lifecycle,
                        qd_arena *a, qd_str *out, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_int(&w, "generation", generation);
    if (!now->at) qd_json_field_bool(&w, "hidden", now->hidden);
    if (!now->at && lifecycle) {
        qd_json_key_c(&w, "lifecycle");
        qd_json_raw_value(&w, lifecycle->raw);
    }
    for (const qd_json_node *n = now->at ? now->at->first : NULL; n; n = n->next) {
        if (qd_str_is(n->key, "generation")) continue;
        qd_json_key(&w, n->key);
        qd_json_raw_value(&w, n->raw);
    }
    qd_json_object_end(&w);
    *out = qd_arena_str(a, qd_buf_view(&b));
    int rc = qd_buf_status(&b) || !out->p ? qd_err_nomem(err, "data stream") : 0;
    qd_buf_fini(&b);
    return rc;
}

/* ".ds-logs-2026.01.31-000001": the first free one from this generation on. */
static qd_str next_name(const qd_state *s, qd_arena *a, qd_str stream, int64_t now_ms,
                        int64_t *generation)
{
    for (;; (*generation)++) {
        qd_civil at;
        qd_civil_from_ms(now_ms, &at);
        qd_str name = qd_arena_printf(a, ".ds-%.*s-%04lld.%02d.%02d-%06lld", QD_STR_ARG(stream),
                                      (long long)at.year, at.month, at.day, (long long)*generation);
        if (!name.p || !qd_state_index(s, name)) return name;
    }
}

static int hidden_settings(qd_settings **out, qd_err *err)
{
    int rc = qd_settings_new(NULL, out, err);
    if (!rc) rc = qd_settings_put(*out, QD_STR("index.hidden"), QD_STR("true"), err);
    return rc ? rc : qd_settings_seal(*out, err);
}

int qdi_stream_next(qd_actions *actions, const qd_state *s, qd_arena *a, const data_stream *now,
                    qd_index_creation *out, qd_err *err)
{
    const qd_json_node *t;
    qd_json_node *low;
    qd_str template_name;
    qd_alias *aliases = NULL;
    int64_t generation = now->revision ? now->generation + 1 : 1;
    template_layers *l = qd_arena_alloc(a, 2 * sizeof *l), *all = l + 1;
    if (!l) return qd_err_nomem(err, "templates");
    *out = (qd_index_creation){.stream = now->name,
                               .stream_revision = now->revision,
                               .stream_hidden = now->hidden,
                               .mapping = QD_STR(stamped)};
    int rc = qdi_stream_template(s, a, now->name, &t, &template_name, err);
    if (!rc) rc = qdi_template_layers(s, a, t, l, err);
    if (!rc) rc = qd_json_parse(a, QD_STR(lowest), 0, &low, err);
    if (rc) return rc;
    all->at[0] = low;
    all->n = l->n < TEMPLATE_LAYERS_MAX ? l->n + 1 : TEMPLATE_LAYERS_MAX;
    memcpy(all->at + 1, l->at, (all->n - 1) * sizeof l->at[0]);
    out->name = next_name(s, a, now->name, qd_env_wall_ms(actions->env), &generation);
    if (!out->name.p) return qd_err_nomem(err, "data stream");
    rc = hidden_settings(&out->settings, err);
    if (!rc)
        rc = qdi_template_merge(all, a, &out->settings, &out->mapping, &aliases, &out->naliases,
                                err);
    /* later ones have the aliases of the one before */
    if (now->revision) out->naliases = 0;
    out->aliases = aliases;
    if (!rc) rc = qdi_index_defaults_apply(actions, s, out->name, &out->settings, err);
    const qd_json_node *lifecycle = NULL; /* the last one that says something */
    for (uint32_t i = 0; i < l->n; i++)
        if (qd_json_get(l->at[i], "lifecycle")) lifecycle = qd_json_get(l->at[i], "lifecycle");
    return rc ? rc : write_record(now, generation, lifecycle, a, &out->record, err);
}

static int check_name(qd_str name, qd_err *err)
{
    if (qd_str_starts(name, QD_STR(".ds-"))) {
        return qd_err_set(err, QD_E_ARG, "data_stream [%.*s] must not start with '.ds-'",
                          QD_STR_ARG(name));
    }
    qd_err why;
    qd_err_init(&why);
    int rc = qd_index_name_check(name, &why);
    if (rc)
        rc = qd_err_set(err, QD_E_ARG, "data_stream [%.*s] is invalid: %s", QD_STR_ARG(name),
                        qd_err_reason(&why));
    qd_err_fini(&why);
    return rc;
}

int qdi_stream_create(qd_actions *actions, qd_arena *a, qd_str name, qd_state **out, qd_err *err)
{
    const qd_json_node *t;
    qd_str template_name;
    qd_index_creation made = {0};
    data_stream now = {.name = name};
    int rc = check_name(name, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(actions->cluster);
    rc = qdi_stream_template(s, a, name, &t, &template_name, err);
    const qd_json_node *options = rc ? NULL : qd_json_get(t, "data_stream");
    const qd_json_node *hidden = options ? qd_json_get(options, "hidden") : NULL;
    now.hidden = hidden && hidden->truth;
    if (!rc) rc = qdi_stream_next(actions, s, a, &now, &made, err);
    if (!rc) rc = qd_cluster_create(actions->cluster, &made, out, err);
    qd_settings_unref(made.settings);
    qd_state_unref(s);
    return rc;
}
